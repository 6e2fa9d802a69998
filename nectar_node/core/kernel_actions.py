"""What the kernel and the guests have decided, carried out: by other nodes, by system processes, by the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kernel.contract.address import ProcessId
from kernel.contract.events import (
    Abandoned,
    Answered,
    DeadLetter,
    Ended,
    Load,
    Output,
    Parcel,
    Taken,
    Trapped,
    UseState,
)
from kernel.contract.message import Envelope, Request, kind_of
from nectar_node.base.log import without_colours
from nectar_node.contract.actions import DriverAction, LogLine, Printed
from nectar_node.core.code_loads import CodeLoads
from nectar_node.core.dead_letters import DeadLetters
from nectar_node.core.disk_use import DiskUse
from nectar_node.core.system_set import SystemSet
from nectar_node.packages.trial import Trial
from nectar_node.peers.bridge import Peers
from nectar_node.system.process import SystemToken
from nectar_node.system.processes import SystemProcesses
from net.peering.network import Network

MAX_TRAPS = 256
"""Processes whose last trap is remembered: enough for everything that was started a moment ago."""


class KernelActions:
    """The actions of one node's kernel, on their way to who carries them out."""

    def __init__(
        self,
        our: str,
        network: Network,
        peers: Peers,
        made: SystemSet,
        system: SystemProcesses,
        code: CodeLoads,
        disk_use: DiskUse,
        emit: Callable[[DriverAction], None],
    ) -> None:
        """`emit` gives the driver an action."""
        self._our = our
        self._network = network
        self._made = made
        self._system = system
        self._code = code
        self._disk_use = disk_use
        self._emit = emit
        self.dead_letters = DeadLetters()
        self.traps: dict[ProcessId, str] = {}
        """Why processes have trapped that the user has not started again since: the latest MAX_TRAPS of them."""
        self.handlers: Mapping[type, Callable[..., None]] = {
            Parcel: peers.send,
            Envelope: system.receive,
            Taken: self._taken,
            Load: self._load,
            UseState: self._use_state,
            Output: self._output,
            DeadLetter: self._dead_letter,
            Answered: self._answered,
            Trapped: self._crashed,
            Ended: self._ended,
            Abandoned: self._abandoned,
        }
        """What carries out an action, by its type; called with the action and the time."""

    def _taken(self, action: Taken, now: float) -> None:
        if type(action.receipt) is SystemToken:
            self._system.taken(action.receipt, now)
        else:
            self._network.taken(action.receipt, now)

    def _load(self, action: Load, now: float) -> None:
        self._code.load(action, action.package, action.path, now)

    def _use_state(self, action: UseState, now: float) -> None:
        self._system.use_state(self._made.state, action, now)

    def _answered(self, action: Answered, now: float) -> None:
        token = action.token
        if isinstance(token, SystemToken):
            self._system.answered(token, action.answer, now)
        else:
            self._emit(action)

    def _abandoned(self, action: Abandoned, now: float) -> None:
        self._system.abandoned(action.target.process, action.reply_to, now)

    def _ended(self, action: Ended, now: float) -> None:
        self.traps.pop(action.process, None)
        if action.trap is not None:
            self.traps[action.process] = action.trap
            if len(self.traps) > MAX_TRAPS:
                del self.traps[next(iter(self.traps))]
            trial = self._made.installer.trapped(action.process, action.trap, now)
            if trial is not None:
                text = f"the version before of {action.process.package_id} runs again: {action.process} of the new one"
                self._go_back(trial, f"{text} has failed in its first seconds: {action.trap}")
        self._system.ended(action.process, now)
        self._disk_use.ended(action.process)

    def _go_back(self, trial: Trial, why: str) -> None:
        """Let the version before a new one run again."""
        self._emit(LogLine("kernel", 0, why))
        self._made.installer.install(
            trial.before, trial.token, anew=True, whole=trial.whole, started=True, note=trial.go_back
        )

    def _output(self, action: Output, now: float) -> None:
        user, text = self._made.terminal.user_of(action.process), without_colours(action.text)
        if user is not None:
            self._emit(Printed(user, action.verbosity, text))
            return
        self._emit(LogLine(str(action.process), action.verbosity, text))

    def _dead_letter(self, letter: DeadLetter, now: float) -> None:
        self._emit(self.dead_letters.add(letter))
        envelope = letter.envelope
        if envelope.source.node == self._our and isinstance(envelope.message, Request):
            self._made.terminal.failed(envelope.source.process, kind_of(letter.reason))

    def _crashed(self, crash: Trapped, now: float) -> None:
        self.dead_letters.add_crash(crash, self._made.state.saved(crash.address.process))
