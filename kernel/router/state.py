"""What the parts of the kernel share: its tables, the time, and the actions of the current event.

No part knows another by it: what one needs of another it is given as that part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kernel.capabilities.grants import Grants
from kernel.contract.address import ProcessId
from kernel.contract.events import Action, Output
from kernel.contract.guest import Effect, End, Poll
from kernel.contract.in_flight import InFlight
from kernel.contract.memory import Memory
from kernel.contract.process import Process
from kernel.router.outstanding import OutstandingTable
from kernel.router.starting import Starting
from kernel.router.trace import Tracer

Apply = Callable[[Process, Iterable[Effect], Poll, End | None], None]
"""Go on with the rest of a process's effects: what the kernel does, at the wish of parts that it is made of."""


@dataclass(slots=True, eq=False)
class KernelState:
    """The state of one node's kernel."""

    our: str
    """This node's name."""
    system: dict[ProcessId, bool]
    """The system processes, and whether each is public."""
    memory: Memory
    """Pays for what waits."""
    random_id: Callable[[], int]
    """Gives unpredictable u64s."""
    grants: Grants
    """Who holds what."""
    in_flight: InFlight
    """What is on its way to other nodes."""
    answered_for: frozenset[ProcessId] = frozenset()
    """Names of guests for which the node answers while nobody has them, beside those of system processes."""
    processes: dict[ProcessId, Process] = field(default_factory=dict)
    """What runs; the lifecycle alone changes it."""
    starting: Starting = field(default_factory=Starting)
    """What is about to be started."""
    outstanding: OutstandingTable = field(default_factory=OutstandingTable)
    """Requests that wait for an answer."""
    tracer: Tracer | None = None
    """Is told of every message while somebody looks."""
    now: float = 0.0
    """The time of the current event."""
    ended: int = 0
    """Processes that have ended so far: as long as it stays the same, none has."""
    actions: list[Action] = field(default_factory=list)
    """Those of the current event, in order."""

    def emit(self, action: Action) -> None:
        """Add an action to those of the current event."""
        self.actions.append(action)

    def log(self, process: ProcessId, text: str) -> None:
        """Add a line about a process to the node's log."""
        self.actions.append(Output(process, 0, text))

    def fresh_id(self) -> int:
        """An unused u64."""
        id = self.random_id()
        while id in self.outstanding.ids:
            id = self.random_id()
        return id

    def give_up(self, sender: Process) -> None:
        """A sender has ended, or its request has run out of time: it waits to send no longer (G24)."""
        stall, sender.stall = sender.stall, None
        assert stall is not None
        target = self.processes.get(stall.envelope.target.process)
        if target is not None:
            target.waiters.discard(None, sender)
        self.starting.give_up(stall.envelope.target.process, sender)
        self.in_flight.give_up(sender)
