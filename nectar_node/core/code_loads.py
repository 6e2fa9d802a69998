"""Code that is loaded: from where, and to whom it goes that has asked for it."""

from __future__ import annotations

from collections.abc import Callable

from kernel.contract.address import PackageId
from kernel.contract.events import Event, Load, Loaded
from kernel.contract.guest import Program, SpawnError
from nectar_node.contract.actions import BadCode, DriverAction, LoadCode, LogLine
from nectar_node.contract.json_shapes import RequestRefused
from nectar_node.core.former_processes import FormerProcesses
from nectar_node.core.system_set import SystemSet
from nectar_node.packages.boot import StartUp
from nectar_node.packages.installer import EntryOwner
from nectar_node.packages.reboot import Again, Together
from nectar_node.storage.operations import Location
from nectar_node.system.process import SORRY, SystemToken
from nectar_node.system.processes import SystemProcesses
from net.contract.events import Unforeseen
from net.peering.containment import told


class CodeLoads:
    """The code of one node's processes, from where it lies to who starts them."""

    def __init__(
        self,
        our: str,
        made: SystemSet,
        system: SystemProcesses,
        start_up: StartUp,
        former: FormerProcesses,
        act: Callable[[Event], None],
        emit: Callable[[DriverAction], None],
    ) -> None:
        """`act` gives the kernel an event, `emit` the driver an action."""
        self._our = our
        self._vfs = made.vfs
        self._installer = made.installer
        self._system = system
        self._start_up = start_up
        self._former = former
        self._act = act
        self._emit = emit

    def load(self, owner: Load | SystemToken, package: PackageId, path: str, now: float) -> None:
        """Load code for a child from a drive of its parent's package, or for a system process from an installed
        package's folder.

        A system process may give its new process rights of the user's, so a drive, where processes write, is not
        enough.
        """
        problem = f"{package} is not installed"
        try:
            installed = isinstance(owner, SystemToken)
            location = self._installer.locate(package, path) if installed else self._vfs.locate(package, path)
        except RequestRefused as refusal:
            location, problem = None, f"that is not a path ({refusal})"
        except Exception as error:
            self._emit(Unforeseen(f"the start of {path} of {package}", tuple(told(error))))
            location, problem = None, SORRY
        if location is None:
            self.loaded(LoadCode(Location(self._our, ()), owner), BadCode(problem), now)
        else:
            self._emit(LoadCode(location, owner))

    def loaded(self, load: LoadCode, program: Program | BadCode, now: float) -> None:
        """Pass on code that has been loaded, or why it cannot be."""
        owner = load.owner
        if isinstance(owner, EntryOwner):
            self._installer.code_loaded(owner, program)
            self._start_up.installed()
        elif isinstance(owner, Together):
            for again in owner.again:
                self._run_again(again, program)
        elif isinstance(owner, SystemToken):
            self._system.code_fetched(owner, program, now)
        else:
            assert isinstance(owner, Load)
            if isinstance(program, BadCode):
                why = f"cannot be started from {owner.path}: {program.reason}"
                self._emit(LogLine(str(owner.process), 0, why))
            outcome = SpawnError.NO_FILE_AT_PATH if isinstance(program, BadCode) else program
            self._act(Loaded(owner.process, outcome))

    def _run_again(self, again: Again, program: Program | BadCode) -> None:
        problem = self._start_up.code_loaded(again, program)
        if problem is not None and again.code is not None:
            self._former.end(again.remnant.process, problem)
        elif problem is not None:
            self._former.stays_down(again.remnant.process, problem)
