"""The start of a node: it asks for its name, gives the registrar some seconds to answer, and then starts its packages.

Pure. Other nodes may reach this one before its packages run: what they send to its processes waits until these have
been started, or could not be. A registrar that is down delays a node only briefly: the node goes on with what it knows,
and the net asks again. A registrar that refuses the name ends the node, if it has not started its packages yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, NamedTuple

from kernel.contract.address import PackageId
from kernel.contract.events import Event, Restore, Restored, Settled
from kernel.contract.guest import Program
from nectar_node.base.refusals import why_refused
from nectar_node.contract.actions import BadCode, DriverAction, Joined, LoadCode, LogLine, NameRefused, Ready
from nectar_node.packages.installer import Installer
from nectar_node.packages.manifest import Package
from nectar_node.packages.reboot import Again, RebootPlan, Together
from nectar_node.storage.operations import Location
from net.base.timers import Timers
from net.contract.events import FailureReason, RegistrationFailed
from net.names.directory import Endpoint

JOIN_SECONDS = 10.0
"""Seconds that a booting node waits for the registrar before it logs that and goes on trying."""


class Boot(NamedTuple):
    """What a node boots with."""

    packages: tuple[Package, ...] = ()
    """The packages whose processes it starts."""
    registers: bool = False
    """Whether it asks the registrar for its name, and waits for the answer."""
    endpoint: Endpoint | None = None
    """The endpoint under which it registers; None: it is reached through its routers."""
    before: Mapping[PackageId, Package] = MappingProxyType({})
    """Of each version that was on trial when the node died the one before, if its files are there."""


class _Stage(Enum):
    DOWN = auto()
    ASKING = auto()
    STARTING = auto()
    READY = auto()
    REFUSED = auto()


class StartUp:
    """One boot of one node."""

    def __init__(
        self,
        our: str,
        code: str,
        installer: Installer,
        act: Callable[[Event], None],
        emit: Callable[[DriverAction], None],
        timers: Timers[Any],
    ) -> None:
        """`code` is the folder of the code of processes; `act` gives the kernel an event, `emit` the driver an
        action; `timers` has, with this object as its key, when the wait for the registrar ends.
        """
        self._our = our
        self._code = code
        self._act = act
        self._installer = installer
        self._emit = emit
        self._stage = _Stage.DOWN
        self._plan = RebootPlan((), (), (), {}, {})
        self._loading = 0
        """Processes that run again as soon as their code is loaded."""
        self._timers = timers
        self._warning: str | None = None

    def begin(self, boot: Boot, plan: RebootPlan, now: float) -> None:
        """Begin: the node has booted, and has asked for its name, if it registers."""
        self._plan = plan
        self._installer.expect(each.processes for each in plan.new)
        self._installer.expect([tuple(each.remnant.process for each in plan.again)])
        for package in plan.resumed:
            self._installer.resume(package)
        if boot.registers:
            self._stage = _Stage.ASKING
            self._timers.set(self, now + JOIN_SECONDS)
        else:
            self._start(None)

    def registered(self) -> None:
        """Go on, since the registrar has granted the name."""
        self._emit(Joined())
        if self._stage is _Stage.ASKING:
            self._start(None)

    def registration_failed(self, failed: RegistrationFailed) -> None:
        """Go on, or end the node, since the registrar has not granted the name."""
        if self._stage is not _Stage.ASKING:
            self._log(failed)
        elif failed.retries:
            self._start(failed)
        else:
            self._stage = _Stage.REFUSED
            self._timers.set(self, None)
            self._emit(NameRefused(failed.reason))

    def on_timer(self, now: float) -> None:
        """Go on without the registrar if the wait is over."""
        if (deadline := self._timers.when(self)) is not None and deadline <= now:
            self._start(RegistrationFailed(FailureReason.UNREACHABLE, retries=True))

    def installed(self) -> None:
        """Report that the node is ready once no package is being installed any more."""
        if self._stage is _Stage.STARTING and not self._installer.starting and not self._loading:
            self._stage = _Stage.READY
            self._installer.booted()
            self._emit(Ready(self._warning))

    def _start(self, why_not: RegistrationFailed | None) -> None:
        """Start the packages; `why_not` says why the node has no place in its network yet."""
        self._stage = _Stage.STARTING
        self._timers.set(self, None)
        if why_not is not None:
            self._warning = self._log(why_not)
        for package in self._plan.new:
            self._installer.install(package, None, anew=False, whole=True, started=False)
        self._loading = len(self._plan.again)
        by_code: dict[Location, list[Again]] = {}
        for again in self._plan.again:
            by_code.setdefault(again.code or Location(self._code, (again.remnant.digest,)), []).append(again)
        for code, processes in by_code.items():
            self._emit(LoadCode(code, Together(tuple(processes))))
        if not self._loading:
            self._act(Restored())
        self.installed()

    def code_loaded(self, again: Again, program: Program | BadCode) -> str | None:
        """Let a process run again whose code is there; return why it does not run, or None."""
        id, problem = again.remnant.process, None
        if isinstance(program, BadCode):
            problem = program.reason if again.code is None else f"the new version of {id.package_id} has no such code"
        else:
            self._act(Restore(again.remnant, program))
        self._act(Settled((id,)))
        self._loading -= 1
        if not self._loading:
            self._act(Restored())
        self.installed()
        return problem

    def _log(self, failed: RegistrationFailed) -> str:
        text = why_refused(self._our, failed.reason, failed.seconds)
        self._emit(LogLine("net", 0, text))
        return text
