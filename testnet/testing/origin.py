"""What the journal of a test says of the test: enough to run it again from anywhere."""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct

from nectar_node.base.decoding import BadShape, convert_untrusted
from nectar_node.base.errors import BadInput
from testnet.journal.journal import OF_A_TEST, Header
from testnet.model.seeds import without_index
from testnet.testing.injections import Keeping, keeping_of, left_out_of


class FailedLine(Struct, frozen=True):
    """The line of the test that has failed."""

    file: str
    """As seen from the folder where pytest was started."""
    line: int
    source: str
    """The line itself."""

    def words(self) -> str:
        """Return `test_poll.py:27`."""
        return f"{self.file}:{self.line}"


class TestHeader(Struct, frozen=True):
    """The options in the header of a test's journal."""

    __test__ = False  # pytest takes classes of this name for tests

    test: str
    """The node id of the test."""
    repeat: str
    """The command that runs it again, to be typed in `folder`."""
    folder: str
    """Where pytest was started."""
    file: str
    """The file of the test, a whole path."""
    rootdir: str
    level: str
    part: str
    """The end of the journal's name, which tells the networks of one test apart."""
    config: str | None = None
    """pytest's file of settings, a whole path."""
    nectar_seed: int | None = None
    """The value of --nectar-seed; None: the test has no seed."""
    example: str | None = None
    """The example of Hypothesis (`testnet.testing.examples`)."""
    kept: list[Any] | None = None
    """Which faults were kept of those that the test asks for (`testnet.testing.injections`); None: all."""
    left_out: list[Any] = []
    """The numbers of the requests that were left out."""
    requests: int = 0
    """How many the test has asked for."""
    injected: list[Any] = []
    """Each fault of the schedule, as `KeptFault` has it."""
    place: FailedLine | None = None

    def item(self) -> str:
        """Return the node id, with the whole path of the file, for all seeds."""
        _, colons, rest = without_index(self.test).partition("::")
        return self.file + colons + rest

    def keeping(self) -> Keeping:
        """Return which faults were kept; raises ValueError."""
        return keeping_of(self.kept)


def is_of_a_test(header: Header) -> bool:
    """Return whether a journal is that of a test, which pytest runs again."""
    return header.scenario == OF_A_TEST


def read_test_untrusted(header: Header, origin: str) -> TestHeader:
    """Read the options of a test's journal; `origin` names it in sentences. Raises BadInput."""
    try:
        found = convert_untrusted(header.options, TestHeader)
        keeping_of(found.kept)
        keeping_of(found.injected)
        left_out_of(found.left_out)
    except (BadShape, ValueError) as error:
        raise BadInput(f"{origin} does not say how its test is run again ({error}): run the test anew.") from None
    if not found.file.startswith("/") or "\0" in found.file + found.test + found.folder:
        raise BadInput(f"{origin} does not say where the file of its test is: run the test anew.")
    return found


@dataclass(frozen=True, slots=True)
class TestOrigin:
    """A test, as pytest knows it; what its journals say of it follows from this."""

    __test__ = False  # pytest takes classes of this name for tests

    test: str
    repeat: str
    folder: Path
    file: Path
    rootdir: Path
    config: Path | None = None
    nectar_seed: int | None = None
    keeping: Keeping = None
    left_out: frozenset[int] = frozenset()

    def options(self, level: str, part: str, **more: Any) -> Mapping[str, Any]:
        """Return what `TestHeader` reads."""
        return {
            "test": self.test,
            "repeat": self.repeat,
            "folder": str(self.folder),
            "file": str(self.file),
            "rootdir": str(self.rootdir),
            "level": level,
            "part": part,
            "config": None if self.config is None else str(self.config),
            "nectar_seed": self.nectar_seed,
            "kept": None if self.keeping is None else [each.value() for each in self.keeping],
            "left_out": sorted(self.left_out),
            **more,
        }

    def command(self) -> str:
        """Return the command that repeats the test, to be typed in any folder."""
        return f"cd {shlex.quote(str(self.folder))} && {self.repeat}"

    def place_of(self, error: BaseException) -> FailedLine | None:
        """Return the last line of the test's file through which the error came."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename == str(self.file) and frame.lineno:
                return FailedLine(self._seen(), frame.lineno, (frame.line or "").strip())
        return None

    def _seen(self) -> str:
        try:
            return str(self.file.relative_to(self.folder))
        except ValueError:
            return str(self.file)
