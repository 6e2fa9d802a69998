"""Runs a test again, in a pytest of its own, as the journal of its run says; a new journal comes out."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nectar_node.base.errors import BadInput
from testnet.journal.journal import Header, Journal, read_journal_untrusted
from testnet.testing.injections import Keeping, KeptFault, keeping_of, keeping_text
from testnet.testing.origin import TestHeader, read_test_untrusted

_VARIES = re.compile(r"[0-9a-f]{8,}|\d+\.\d+")
_TAIL_LINES = 8
"""Of what pytest has printed, where it has not run the test."""


class TestAgain:
    """A test that was run, and can be run again with fewer of its faults."""

    __test__ = False  # pytest takes classes of this name for tests

    def __init__(self, header: Header, origin: str) -> None:
        """`origin` names the journal in sentences. Raises BadInput for one that does not say how to run its test, or
        whose test is no longer there."""
        self.header: TestHeader = read_test_untrusted(header, origin)
        self.faults: tuple[KeptFault, ...] = keeping_of(self.header.injected) or ()
        """The faults of that run."""
        self.left_out = frozenset(self.header.left_out)
        """The requests that were left out of that run."""
        if importlib.util.find_spec("pytest") is None:
            raise BadInput(f"{origin} is of a test, and pytest is not installed here: pip install pytest.")
        for path in (Path(self.header.file), Path(self.header.folder)):
            if not path.exists():
                raise BadInput(f"{origin} is of a test in {self.header.file}, and {path} is no longer there.")

    def run(self, keeping: Keeping, kept_in: Path | None = None, left_out: frozenset[int] | None = None) -> Journal:
        """Run it, and return the journal, which stays in the file `kept_in`. The requests `left_out` are not sent;
        None: those of the journal. Raises BadInput if pytest does not run it,
        with what pytest says, and OSError for that file."""
        with tempfile.TemporaryDirectory(prefix="nectar-test-") as folder:
            ended = subprocess.run(
                self._command(folder, keeping, self.left_out if left_out is None else left_out),
                cwd=self.header.folder,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                stdin=subprocess.DEVNULL,
            )
            found = sorted((Path(folder) / "journals").glob(f"*{self.header.part}"))
            if not found:
                said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-_TAIL_LINES:])
                raise BadInput(f"pytest has not run {self.header.test}; it says:\n{said}")
            if kept_in is not None:
                shutil.copyfile(found[-1], kept_in)
            return read_journal_untrusted(found[-1])

    def same(self) -> Journal:
        """Run it as it was run."""
        return self.run(self.header.keeping())

    def _command(self, journals: str, keeping: Keeping, left_out: frozenset[int]) -> list[str]:
        header = self.header
        # With the usual folders of pytest, of which it keeps three, these runs would take away the journal itself.
        temporary = ["--basetemp", str(Path(journals) / "t")]
        command = [sys.executable, "-m", "pytest", header.item(), "--rootdir", header.rootdir]
        command += ["-p", "no:cacheprovider", *temporary]
        command += ["--nectar-journals", str(Path(journals) / "journals")]
        if header.config is not None and Path(header.config).is_file():
            command += ["-c", header.config]
        if header.nectar_seed is not None:
            command += ["--nectar-seed", str(header.nectar_seed)]
        if keeping is not None:
            command += ["--nectar-faults", keeping_text(keeping)]
        if left_out:
            command += ["--nectar-left-out", json.dumps(sorted(left_out))]
        if header.example:
            command += ["--nectar-example", header.example]
        return command


def fails_alike(then: Journal, now: Journal) -> bool:
    """Return whether two runs of a test have failed in the same way: with the same result, at the same line."""
    place, again = (each.header.options.get("place") for each in (then, now))
    if then.end.result != now.end.result:
        return False
    if place is not None and again is not None:
        return bool(place.get("line") == again.get("line") and _kind(then) == _kind(now))
    return _kind(then) == _kind(now)


def says_the_same(then: Journal, now: Journal) -> bool:
    """Return whether two failures are told in the same words, but for ids and times. A test that was not answered may
    fail at the same line for this alone; then it says so."""
    return _VARIES.sub("", then.end.text) == _VARIES.sub("", now.end.text)


def _kind(journal: Journal) -> str:
    """Return the kind of a failure's text: a promise's number or an error's type."""
    return journal.end.text.partition(":")[0]
