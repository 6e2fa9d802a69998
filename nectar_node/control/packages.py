"""The commands about packages: what is installed and what it may do, and starting one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

import trio
from msgspec import structs

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.process import Waiting
from nectar_node.base.errors import BadInput, BadPackage, NodeError
from nectar_node.base.log import COMPILER, RECENT
from nectar_node.base.shipped import is_shipped
from nectar_node.contract.actions import Installed
from nectar_node.control import status
from nectar_node.control.clients import Client, Waiter
from nectar_node.control.package_rows import standing_of
from nectar_node.control.requests import Fields, consent_of, package_untrusted
from nectar_node.control.server import line_of
from nectar_node.control.uploads import FileUploads
from nectar_node.control.watching import LOG_SECONDS
from nectar_node.core.core import NodeCore
from nectar_node.packages.contents import discard_copy, has_copy, with_copy
from nectar_node.packages.manifest import Package, capability_text, read_package, requested_capabilities
from nectar_node.packages.powers import wanted_powers
from nectar_node.packages.review import Reviewed, demand, question_row, review, why_not
from nectar_node.packages.startable import read_startable
from nectar_node.packages.trial import Trial
from nectar_node.packages.unpacking import (
    Prepared,
    SingleFile,
    discard_replaced,
    is_single_file,
    name_for,
    prepare,
    wrap,
)
from nectar_node.releases.installed import InstalledVersion
from nectar_node.system.vfs import MAX_MOUNTS

FIRST_STEPS_SECONDS = 1.0
"""Seconds that the answer to a start waits until each new process has ended or waits for something."""
_GLANCE_SECONDS = 0.002


class RolledBack(NodeError):
    """A new version of a package has failed at once, and the one before runs again."""


class Packages:
    """Those commands of one node."""

    def __init__(
        self,
        core: NodeCore,
        folder: Path,
        uploads: FileUploads,
        turn: Callable[[], None],
        kept: Callable[[], Awaitable[None]],
        asked: Callable[[Package], object],
    ) -> None:
        """`folder` is the node's; `turn` lets the node run after it was told something; `kept` returns when what has
        changed is durable; `asked` is told of a package that somebody is asked about.
        """
        self._core = core
        self._asked = asked
        self._folder = folder
        self._uploads = uploads
        self._turn = turn
        self._kept = kept
        self._locks: WeakValueDictionary[PackageId, trio.Lock] = WeakValueDictionary()
        self._former: dict[PackageId, Path] = {}
        """Of each package, the files of the version that runs again if the newest one fails in its first seconds."""
        self.commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "packages": self._on_packages,
            "review": self._on_review,
            "start": self._on_start,
        }

    async def _on_packages(self, _: object, __: Fields) -> dict[str, object]:
        """Answer what is installed, what it asks for and holds, and what its user has decided."""
        rows = []
        for allowed in list(self._core.packages.values()):
            try:
                asked = await trio.to_thread.run_sync(read_package, allowed.folder, self._core.our)
            except BadPackage:  # somebody has changed or removed its folder meanwhile
                asked = allowed
            rows.append(self._row(asked, allowed if len(asked.entries) == len(allowed.entries) else asked))
        return {"packages": sorted(rows, key=lambda row: str(row["package"]))}

    def _row(self, asked: Package, allowed: Package) -> dict[str, object]:
        our, decision = self._core.our, self._core.decisions.of(asked.id)
        return {
            "package": str(asked.id),
            "origin": str(allowed.source),
            "shipped": is_shipped(allowed.folder),
            "standing": standing_of(self._core, asked.id),
            "processes": status.started_rows(self._core, asked, allowed),
            "powers": _power_rows(asked, our),
            "denied": [] if decision is None else sorted(capability_text(each, our) for each in decision.denied),
        }

    async def _on_review(self, _: object, fields: Fields) -> dict[str, object]:
        """Answer what a start with the same arguments would ask for, and what else it would have to be told."""
        fields = await self._resolved(fields)
        wanted = await self.read(fields)
        return self.question(wanted, self.review(wanted, fields))

    def question(self, wanted: Package, reviewed: Reviewed) -> dict[str, object]:
        """Return what a review asks, and what the package is and asks for, as JSON."""
        self._asked(wanted)
        our = self._core.our
        asked = {each for entry in wanted.entries for each in requested_capabilities(entry, our)}
        return question_row(wanted, reviewed.question, our) | {
            "processes": [str(each) for each in wanted.processes],
            "requests": sorted(capability_text(each, our) for each in asked),
            "absent": [capability_text(each, our) for each in asked if self._core.kernel.lacks(each.issuer.process)],
            "powers": _power_rows(wanted, our),
        }

    async def _resolved(self, fields: Fields) -> Fields:
        """Return the request with the folder of the package that was uploaded, or is installed under `address`."""
        if fields.upload:
            upload = self._uploads.whole_untrusted(fields.upload)
            prepared, single = await trio.to_thread.run_sync(_prepared_untrusted, upload.path, self._folder)
            if upload.unpacked is None and prepared.copy is not None:
                upload.unpacked = prepared
            return structs.replace(
                fields, package=str(prepared.folder.resolve()), origin=f"uploaded/{upload.path.name}", single=single
            )
        if fields.address is None:
            return fields
        installed = self._core.packages.get(package_untrusted(fields.address))
        if installed is None:
            raise BadInput(f"No package {fields.address} is installed: choose a zip or a folder to start it from.")
        origin = None if installed.origin is None else str(installed.origin)
        stands_in = str(installed.processes[0]) if installed.stands_in else ""
        return structs.replace(fields, package=str(installed.folder), origin=origin, stands_in=stands_in)

    async def read(self, fields: Fields) -> Package:
        """Return the package in the folder that a request names; raises BadPackage and BadInput."""
        if not fields.package:
            raise BadInput("package is the path of a folder.")
        read = await trio.to_thread.run_sync(read_startable, Path(fields.package), self._core.our)
        wanted = replace(read, origin=Path(fields.origin) if fields.origin else None)
        self._check_startable(wanted)
        return wanted

    def review(self, wanted: Package, fields: Fields) -> Reviewed:
        """Return what the user must be asked about a package; raises BadPackage and BadInput."""
        core = self._core
        known, installed = core.decisions.of(wanted.id), core.packages.get(wanted.id)
        return review(wanted, known, consent_of(fields), core.our, installed)

    def alone(self, package: PackageId) -> trio.Lock:
        """Return the lock that whoever changes what runs or is installed of a package holds meanwhile."""
        return self._locks.setdefault(package, trio.Lock())

    async def _on_start(self, client: Client, fields: Fields) -> dict[str, object]:
        fields = await self._resolved(fields)
        wanted, told = await self.read(fields), client if fields.tells else None
        async with self.alone(wanted.id):
            answer = await self.start(wanted, self.review(wanted, fields), fields, client=told)
            if fields.upload:
                self._uploads.started(fields.upload)
            return answer

    async def start(
        self,
        wanted: Package,
        reviewed: Reviewed,
        fields: Fields,
        version: Callable[[Package], InstalledVersion] | None = None,
        again: Callable[[], None] | None = None,
        client: Client | None = None,
    ) -> dict[str, object]:
        """Start a package as a review allows, and return the answer; the version before runs again if it traps at once.

        With a `version` it is installed: that says of the copy of its files which one it is. With `again` it is one
        that was installed before: that notes it. A `client` is told what is compiled meanwhile. Raises BadPackage,
        NeedsConsent and RolledBack.
        """
        core, (question, allowed, decision) = self._core, reviewed
        if question:
            raise demand(wanted, question, core.our)
        by_hash = version is not None or again is not None
        had_copy = has_copy(allowed, self._folder, by_hash=by_hash)
        copy = partial(with_copy, allowed, self._folder, by_hash=by_hash)
        allowed = await trio.to_thread.run_sync(copy)
        before, decided = core.packages.get(wanted.id), core.decisions.of(wanted.id)
        installed = None if version is None else version(allowed)

        def note() -> None:
            if decision is not None:
                core.decisions.decide(wanted.id, decision)
            if again is not None:
                again()
            elif installed is not None:
                core.installed.add(wanted.id, installed)

        versions, answered = core.installed.of(wanted.id), False

        def go_back() -> None:
            core.decisions.decide(wanted.id, decided)
            if installed is not None and not answered:
                core.installed.put_back(wanted.id, versions)
            elif installed is not None:  # the files of the oldest one may be gone by now
                core.installed.go_back(wanted.id)

        trial = None
        if before is not None and before.digest != allowed.digest and not fields.keep:
            name = "" if installed is None else installed.version
            trial = Trial(before, Waiter(), go_back, decided, name, not fields.single)
        try:
            ended = await self.install(
                allowed, whole=not fields.single, copied=not had_copy, note=note, trial=trial, client=client
            )
        except BadPackage:
            if not had_copy:
                await trio.to_thread.run_sync(discard_copy, allowed)
            raise
        await self._first_steps(wanted.processes, trial)
        if trial is not None and trial.failed is not None:
            assert isinstance(trial.token, Waiter)
            await trial.token.wait()
            await self._kept()
            if not had_copy:
                await trio.to_thread.run_sync(discard_copy, allowed)
            raise RolledBack(_rolled_back(wanted, *trial.failed))
        answered = True
        await self._kept()
        # A copy that the package goes on using is not the replaced one's, nor is one to which it can go back. It goes
        # before it is anybody else's turn, who may start that version again from what is there.
        if (replaced := self._replaced(before, allowed, trial)) is not None:
            await trio.to_thread.run_sync(discard_replaced, replaced, Prepared(allowed.folder, None), self._folder)
        return {
            "package": str(wanted.id),
            "folder": str(wanted.folder),
            "ended": list(map(str, ended)),
            "processes": status.started_rows(core, wanted, allowed),
            "unknown_keys": list(wanted.unknown_keys),
        }

    def _replaced(self, before: Package | None, now: Package, trial: Trial | None) -> Path | None:
        """Return the folder of a version that nothing runs any more. The one before a version on trial may run again:
        its files stay until another one is started, or until the next boot.
        """
        folder = None if before is None else before.folder
        if trial is not None and folder is not None:
            former = self._former.get(now.id)
            self._former[now.id] = folder
            folder = None if former == folder else former
        return None if folder is None or folder == now.folder or self.is_kept(folder) else folder

    def take_former(self, package: PackageId) -> Path | None:
        """Return the folder of the version that would run again if the newest one failed, and forget it."""
        return self._former.pop(package, None)

    def is_kept(self, folder: Path) -> bool:
        """Return whether the files of a folder are those of an installed version, or of a release that is here."""
        return self._core.installed.uses(folder) or self._core.shelf.uses(folder)

    async def install(
        self,
        package: Package,
        *,
        whole: bool,
        copied: bool = False,
        note: Callable[[], None] = lambda: None,
        trial: Trial | None = None,
        client: Client | None = None,
    ) -> tuple[ProcessId, ...]:
        """Start a package, and return the processes that it has ended; raises BadPackage.

        If it was `copied` and cannot be started when the client has left, the copy is removed. `note` and `trial` are
        as in `NodeCore.install`. A `client` is told what is compiled meanwhile.
        """
        waiter, seen = Waiter(), RECENT.count
        self._core.install(package, waiter, trio.current_time(), whole=whole, note=note, trial=trial)
        self._turn()
        try:
            ended = False
            while client is not None and not ended:
                ended = await waiter.is_set_within(LOG_SECONDS)
                seen = await _tell_of_compiling(client, seen)
            installed: Installed = await waiter.wait()
        except trio.Cancelled:
            if copied:
                waiter.left = partial(_discard_later, package)
            raise
        if installed.failures:
            raise BadPackage(why_not(package, installed.failures))
        return installed.ended

    async def _first_steps(self, processes: Iterable[ProcessId], trial: Trial | None) -> None:
        """Return once all of these processes have ended or wait for something, or their trial has failed.

        Processes that go on computing are waited for no longer than FIRST_STEPS_SECONDS.
        """
        running = self._core.kernel.processes
        for _ in range(round(FIRST_STEPS_SECONDS / _GLANCE_SECONDS)):
            if trial is not None and trial.failed is not None:
                return
            if not any(each in running and running[each].waiting is Waiting.NOTHING for each in processes):
                return
            await trio.sleep(_GLANCE_SECONDS)

    def _check_startable(self, package: Package) -> None:
        if self._core.vfs.mounts >= MAX_MOUNTS:
            raise BadPackage(f"{MAX_MOUNTS} packages and files are in use already.")
        for entry in package.entries:
            if self._core.kernel.is_system(entry.process):
                raise BadPackage(f"{entry.process} cannot be started: the name is a system process's. Choose another.")


async def _tell_of_compiling(client: Client, seen: int) -> int:
    """Tell a client what the log says of the compiler after that many lines; return how many lines there are now."""
    for line in RECENT.after(seen)[0]:
        seen = line.number
        if line.source == COMPILER:
            await client.send(line_of({"event": {"compiling": line.text}}))
    return seen


def _discard_later(package: Package, installed: Installed) -> None:
    if installed.failures:
        trio.lowlevel.spawn_system_task(trio.to_thread.run_sync, discard_copy, package)


def _rolled_back(package: Package, process: ProcessId, trap: str) -> str:
    return (
        f"{process} of the new {package.id} has failed at once ({trap.rstrip('.')}), so the version before runs again. "
        "Say --keep to run the new one all the same."
    )


def _power_rows(package: Package, our: str) -> list[dict[str, object]]:
    return [
        {"capability": capability_text(each.capability, our), "power": each.power.name, "allows": each.power.allows}
        for each in wanted_powers(package, our)
    ]


def _prepared_untrusted(path: Path, node: Path) -> tuple[Prepared, bool]:
    """Return the package in an uploaded file, and whether it is a single .wasm file; raises BadPackage."""
    try:
        if is_single_file(path):
            return wrap(path, SingleFile(name_for(path, None), False, False, (), None), node), True
        return prepare(path, node), False
    except (BadPackage, BadInput) as error:
        # Where it lies is unknown to whoever has uploaded it.
        raise BadPackage(str(error).replace(str(path), path.name)) from error
