"""What a process asks of the kernel besides messages: output, on-exit, capabilities, state, time.

Each method applies one kind of effect. All return True: none of them can make a process wait for capacity.
"""

from __future__ import annotations

from kernel.contract.events import Output, StateAction, StateUsed, UseState
from kernel.contract.guest import (
    ClearState,
    DropCapabilities,
    GetOnExit,
    GetState,
    OurCapabilities,
    Print,
    SaveCapabilities,
    SetOnExit,
    SetState,
    Sleep,
    Woken,
)
from kernel.contract.process import Process, Waiting
from kernel.router.handover import Handover
from kernel.router.lifecycle import Lifecycle
from kernel.router.sleepers import Sleepers
from kernel.router.state import KernelState


class HostCalls:
    """Applies these effects."""

    def __init__(self, state: KernelState, handover: Handover, lifecycle: Lifecycle) -> None:
        self._grants = state.grants
        self._state = state
        self._handover = handover
        self._lifecycle = lifecycle
        self._sleepers = Sleepers(state.processes)

    def print(self, process: Process, effect: Print) -> bool:
        """Apply print-to-terminal, and the guest's own output."""
        self._state.emit(Output(process.address.process, effect.verbosity, effect.text))
        return True

    def set_on_exit(self, process: Process, effect: SetOnExit) -> bool:
        """Apply set-on-exit (G22)."""
        self._lifecycle.set_on_exit(process, effect.on_exit)
        return True

    def get_on_exit(self, process: Process, _: GetOnExit) -> bool:
        """Apply get-on-exit."""
        self._handover.answer_call(process, process.on_exit)
        return True

    def our_capabilities(self, process: Process, _: OurCapabilities) -> bool:
        """Apply our-capabilities."""
        self._handover.answer_call(process, self._grants.of(process.address.process))
        return True

    def save_capabilities(self, process: Process, effect: SaveCapabilities) -> bool:
        """Apply save-capabilities (G20)."""
        ours = process.address
        kept = self._grants.savable(ours, effect.capabilities)
        if len(kept) < len(effect.capabilities):
            self._state.log(ours.process, "saved a capability that it neither issues nor was given; it was left out")
        if not self._grants.save(ours.process, kept):
            self._state.log(ours.process, "holds too many capabilities to save more")
        return True

    def drop_capabilities(self, process: Process, effect: DropCapabilities) -> bool:
        """Apply drop-capabilities."""
        self._grants.drop(process.address.process, effect.capabilities)
        return True

    def get_state(self, process: Process, _: GetState) -> bool:
        """Apply get-state."""
        return self._use_state(process, StateAction.GET, b"")

    def set_state(self, process: Process, effect: SetState) -> bool:
        """Apply set-state, which is answered when it is durable (G27)."""
        return self._use_state(process, StateAction.SET, effect.state)

    def clear_state(self, process: Process, _: ClearState) -> bool:
        """Apply clear-state."""
        return self._use_state(process, StateAction.CLEAR, b"")

    def sleep(self, process: Process, effect: Sleep) -> bool:
        """Apply a wait for a time, or for the outcome of a `SendAndHear`; one may have come while the guest ran."""
        if process.told:
            process.told = False
            self._handover.answer_call(process, Woken())
        else:
            self._sleepers.add(process, effect.until)
        return True

    def next_deadline(self) -> float | None:
        """Return when the next process wakes."""
        return self._sleepers.next_deadline()

    def on_tick(self) -> None:
        """Wake the processes whose time has come."""
        while (process := self._sleepers.pop_due(self._state.now)) is not None:
            self._handover.answer_call(process, None)

    def _use_state(self, process: Process, action: StateAction, state: bytes) -> bool:
        process.waiting = Waiting.CALL
        self._state.emit(UseState(process.address.process, process, action, state))
        return True

    def on_state_used(self, event: StateUsed) -> None:
        """Answer a process whose state the disk has read or changed."""
        process = event.token
        assert isinstance(process, Process)
        if self._lifecycle.processes.get(process.address.process) is not process:
            return  # it has ended, whoever has its name now
        if event.problem is not None:
            self._lifecycle.trap(process, event.problem)
        else:
            self._handover.answer_call(process, event.state)
