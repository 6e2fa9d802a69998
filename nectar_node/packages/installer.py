"""Starts packages: their code is read and compiled first, then all of their processes start, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kernel.contract.address import SYSTEM, Address, PackageId, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.events import Event, Expect, KillAll, Settled, Start
from kernel.contract.guest import Program
from kernel.contract.process import Launch
from kernel.router.kernel import Kernel
from nectar_node.contract.actions import BadCode, DriverAction, Installed, LoadCode, LogLine
from nectar_node.packages.manifest import ManifestEntry, Package
from nectar_node.packages.powers import power_of
from nectar_node.packages.reboot import PACKAGES, KeptPackage
from nectar_node.packages.trial import TRIAL_SECONDS, Trial
from nectar_node.storage.operations import Location, Row, is_part
from net.base.timers import Timers

_RESERVED = "the name is a system process's"
_TOO_LATE = "another version was started meanwhile, or the package was uninstalled"


class _Installation:
    """A package whose processes' code is being read: none of them starts unless all can."""

    def __init__(
        self,
        number: int,
        token: object,
        package: Package,
        anew: bool,
        whole: bool,
        started: bool,
        note: Callable[[], None],
        trial: Trial | None,
    ) -> None:
        self.number = number
        self.token = token
        self.anew = anew
        self.whole = whole
        self.started = started
        self.note = note
        self.trial = trial
        self.ended: tuple[ProcessId, ...] = ()
        self.package = package
        self.waiting = len(package.entries)
        self.loaded: list[tuple[ManifestEntry, Program]] = []
        self.failures: list[tuple[ProcessId, str]] = []


class EntryOwner(NamedTuple):
    """The owner of a LoadCode: the process whose code it is."""

    entry: ManifestEntry
    installation: _Installation


class Installer:
    """The packages of one node."""

    def __init__(
        self,
        our: str,
        kernel: Kernel,
        act: Callable[[Event], None],
        emit: Callable[[DriverAction], None],
        mount: Callable[[str, Location], None],
        unmount: Callable[[str], object],
        kept: Mapping[PackageId, KeptPackage],
        timers: Timers[Any],
    ) -> None:
        """`act` gives the kernel an event, `emit` the driver an action, `mount` puts a folder into the vfs and
        `unmount` takes it out, `kept` has the packages that earlier boots have started, and `timers` the earliest end
        of a trial.
        """
        self._kept = dict(kept)
        self._changed: dict[PackageId, None] = {}
        """Packages of which something else is to be kept than is."""
        self.packages: dict[PackageId, Package] = {}
        """The installed packages."""
        self._begun = 0
        """Installations that were begun in this boot, which is the number of the last one."""
        self._decided: dict[PackageId, int] = {}
        """While any is going on: of packages that were started or forgotten meanwhile, the last that had been begun by
        then. It and all before come too late: a version that comes back after a failed trial waits for nobody's turn.
        """
        self.starting = 0
        """Packages whose processes' code is still being read or compiled."""
        self._our = our
        self._grants = kernel.grants
        self._lifecycle = kernel.lifecycle
        self._lacks = kernel.lacks
        self._act = act
        self._emit = emit
        self._mount = mount
        self._unmount = unmount
        self._processes = kernel.processes
        self._trials: dict[PackageId, Trial] = {}
        """New versions in their first seconds, or of which that is not known yet."""
        self._ends: Timers[PackageId] = Timers(timers)
        """When what is kept of trials is forgotten."""
        self.failed: dict[PackageId, Trial] = {}
        """Of each package the new version that has failed last, since this boot, until another one is started."""

    def may_script(self, package: PackageId, capability: Capability) -> bool:
        """Return whether the user lets the scripts of a package have a capability."""
        installed = self.packages.get(package)
        rights = installed.script_rights if installed is not None else None
        return rights is None or capability in rights or power_of(capability, package) is None

    def locate(self, package: PackageId, path: str) -> Location | None:
        """Return where a file of an installed package lies, in the folder that the user named, where no process writes.

        None: the package is not installed, or `path` is not a path in it.
        """
        installed = self.packages.get(package)
        parts = tuple(path.strip("/").split("/"))
        if installed is None or not all(is_part(part) for part in parts):
            return None
        return Location(str(installed.folder), parts)

    def expect(self, processes: Iterable[tuple[ProcessId, ...]]) -> None:
        """Expect processes: messages to them wait until they have been started, or could not be."""
        for each in processes:
            self._act(Expect(each))

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return bool(self._changed)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        changed, self._changed = self._changed, {}
        rows = ((id, self._kept.get(id)) for id in changed)
        return [Row(PACKAGES, str(id), None) if kept is None else kept.row(id) for id, kept in rows]

    def forget(self, package: PackageId) -> None:
        """Forget an installed package, which does not come back at the next boot."""
        self.packages.pop(package, None)
        if self.starting:
            self._decided[package] = self._begun
        self._trials.pop(package, None)
        self._ends.set(package, None)
        self.failed.pop(package, None)
        self._unmount(f"/{package}/pkg")
        if self._kept.pop(package, None) is not None:
            self._changed[package] = None

    def resume(self, package: Package) -> None:
        """Let a package go on that ran before the node went down; its processes are restored one by one."""
        self.packages[package.id] = package
        self._mount(f"/{package.id}/pkg", Location(str(package.folder), ()))

    def install(
        self,
        package: Package,
        token: object,
        *,
        anew: bool,
        whole: bool,
        started: bool,
        note: Callable[[], None] = lambda: None,
        trial: Trial | None = None,
    ) -> None:
        """Begin to install a package, as `NodeCore.install` describes.

        `started`: whether it comes back at every boot, and not only if it is named there.
        """
        self._begun += 1
        installation = _Installation(self._begun, token, package, anew, whole, started, note, trial)
        self.starting += 1
        if package.id == SYSTEM and not package.stands_in:
            for process in package.processes:
                self._emit(LogLine(str(process), 0, f"cannot be started: {_RESERVED}"))
                installation.failures.append((process, _RESERVED))
            self._installed(installation)
            return
        for entry in package.entries:
            self._emit(LoadCode(package.code(entry), EntryOwner(entry, installation)))
        if not package.entries:
            self._installed(installation)

    def code_loaded(self, owner: EntryOwner, program: Program | BadCode) -> None:
        """Take the code of one process, or why it cannot be loaded."""
        entry, installation = owner
        if isinstance(program, BadCode):
            self._emit(LogLine(str(entry.process), 0, f"cannot be started from {entry.wasm_path}: {program.reason}"))
            installation.failures.append((entry.process, program.reason))
        else:
            installation.loaded.append((entry, program))
        installation.waiting -= 1
        if not installation.waiting:
            self._installed(installation)

    def _installed(self, installation: _Installation) -> None:
        self.starting -= 1
        id, number = installation.package.id, installation.number
        if number <= self._decided.get(id, 0):
            installation.failures += [(each, _TOO_LATE) for each in installation.package.processes]
        if not installation.failures:
            self._decided[id] = number
            self._start_all(installation)
        if not self.starting:
            self._decided.clear()
        self._act(Settled(installation.package.processes))
        self._emit(Installed(installation.token, tuple(installation.failures), installation.ended))

    def _start_all(self, installation: _Installation) -> None:
        package = installation.package
        self.resume(package)
        before, origin = self._kept.get(package.id), None if package.origin is None else str(package.origin)
        started = installation.started or (before is not None and before.started)
        trial = installation.trial if package.processes else None
        kept = None if trial is None else trial.kept()
        self._kept[package.id] = KeptPackage(package.digest, str(package.folder), origin, started, kept)
        self._changed[package.id] = None
        # All of them first: a kill revokes what a process had issued, which others are about to be granted. Children go
        # with their parents: they belong to the package as it was (G22).
        installation.note()
        if installation.anew:
            # What waits in the mailboxes of the former processes goes to the new ones.
            self._act(Expect(package.processes))
            whole = package.id if installation.whole else None
            family = self._lifecycle.tree(lambda each: each in package.processes or each.package_id == whole)
            installation.ended = tuple(each for each in family if each not in package.processes)
            self._act(KillAll(tuple(dict.fromkeys((*package.processes, *family)))))
        for entry, program in installation.loaded:
            self._start(entry, program)
        for entry, _ in installation.loaded:
            for holder, params in entry.grants:
                self._grants.grant(holder, [Capability(Address(self._our, entry.process), params)])
        self._trials.pop(package.id, None)
        failed = self.failed.get(package.id)
        if failed is not None and failed.before is not package:
            del self.failed[package.id]
        self._ends.set(package.id, None)
        if trial is not None:
            self._trials[package.id] = trial
            self._begin(package, trial)

    def _begin(self, package: Package, trial: Trial) -> None:
        """Let the time of a trial begin: the processes of the version have been started."""
        started = [self._processes[each].started_at for each in package.processes if each in self._processes]
        trial.until = max(started) + TRIAL_SECONDS if started else 0.0  # all have ended, and none has trapped
        self._ends.set(package.id, trial.until)

    def try_again(self, package: PackageId, trial: Trial) -> None:
        """Go on with the trial of a package that was on trial when the node died."""
        self._trials[package] = trial

    def booted(self) -> None:
        """Learn that all processes have been started, so that the time of trials begins."""
        for id, trial in self._trials.items():
            if trial.until is None and id not in self._ends:
                self._begin(self.packages[id], trial)

    def on_timer(self, now: float) -> None:
        """Forget what is kept of trials that are over."""
        while (package := self._ends.pop_due(now)) is not None:
            self._keep_no_trial(package)

    def _keep_no_trial(self, package: PackageId) -> None:
        kept = self._kept.get(package)
        if kept is not None and kept.trial is not None:
            self._kept[package] = kept._replace(trial=None)
            self._changed[package] = None

    def trapped(self, process: ProcessId, why: str, now: float) -> Trial | None:
        """Learn that a process has trapped; return the trial that its package has failed by that, or None."""
        trial = self._trials.get(process.package_id)
        if trial is None:
            return None
        if trial.until is not None and now > trial.until:
            del self._trials[process.package_id]
            return None
        installed = self.packages.get(process.package_id)
        if installed is None or process not in installed.processes:
            return None
        del self._trials[process.package_id]
        self._ends.set(process.package_id, None)
        trial.failed = process, why
        self.failed[process.package_id] = trial
        return trial

    def _start(self, entry: ManifestEntry, program: Program) -> None:
        capabilities = [each for each in entry.capabilities if not self._lacks(each.issuer.process)]
        if entry.networking:
            capabilities.append(self._grants.network)
        launch = Launch(entry.process, program, entry.on_exit, entry.public)
        self._act(Start(launch, tuple(capabilities)))
