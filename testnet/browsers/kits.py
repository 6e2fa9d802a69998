"""Packages that developer kits send to a simulated node: what a real one does with the zip, on no disk of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kernel.contract.address import PackageId, ProcessId
from nectar_node.base.consent import NOTHING_SAID
from nectar_node.base.errors import NodeError
from nectar_node.contract.http import HttpEvent, StartUpload, UploadStarted
from nectar_node.http.uploads import told_how
from nectar_node.packages import unpacking
from nectar_node.packages.decisions import Decision
from nectar_node.packages.manifest import Package
from nectar_node.packages.review import demand, review, why_not
from nectar_node.packages.startable import read_startable

KITS = "kits"
"""The folder of the zips, in a node's."""


class SimKits:
    """The packages that kits send to one node."""

    def __init__(
        self,
        our: str,
        tell: Callable[[HttpEvent], None],
        known: Callable[[PackageId], Decision | None],
        running: Mapping[PackageId, Package],
        start: Callable[[Package, object], None],
        decide: Callable[[PackageId, Decision], None],
    ) -> None:
        """`tell` gives the core an event; `known` is what the user has decided, `running` what runs; `start` starts a
        package whose files are still here, with a token for `installed`; `decide` keeps what follows for the user.
        """
        self._our = our
        self._tell = tell
        self._known = known
        self._running = running
        self._start = start
        self._decide = decide
        self._starting: dict[object, tuple[StartUpload, Package, Decision | None]] = {}

    def take(self, upload: StartUpload) -> None:
        """Start the package of an upload, or say why not."""
        with TemporaryDirectory() as folder:
            try:
                self._take(upload, Path(folder))
            except NodeError as error:
                self._ends(upload, str(error).replace(f"{folder}/", ""))

    def installed(self, token: object, failures: tuple[tuple[ProcessId, str], ...]) -> None:
        """Take the end of a start, if it is one of these."""
        if token in self._starting:
            upload, package, decision = self._starting.pop(token)
            if decision is not None and not failures:
                self._decide(package.id, decision)
            self._ends(upload, why_not(package, failures) if failures else None)

    def _take(self, upload: StartUpload, folder: Path) -> None:
        path = folder / _name(upload)
        path.write_bytes(upload.data)
        wanted = read_startable(unpacking.unpack_untrusted(path, folder).folder, self._our)
        if wanted.id != upload.package:
            raise NodeError(f"The zip holds {wanted.id}, and not {upload.package}.")
        wanted = replace(wanted, origin=Path(self._our, KITS, path.name))
        question, allowed, decision = review(
            wanted, self._known(wanted.id), NOTHING_SAID, self._our, self._running.get(wanted.id)
        )
        if question:
            raise demand(wanted, question, self._our)
        token = object()
        self._starting[token] = upload, wanted, decision
        self._start(allowed, token)

    def _ends(self, upload: StartUpload, problem: str | None) -> None:
        how = None if problem is None else told_how(problem, f"{self._our}/{KITS}/{_name(upload)}", self._our)
        self._tell(UploadStarted(upload.token, how))


def _name(upload: StartUpload) -> str:
    return f"{upload.package.package}@{upload.package.publisher}.zip"
