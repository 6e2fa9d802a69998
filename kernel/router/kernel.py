"""The router: events and the time in, actions out.

Theory of operation. A process is a guest that somebody else polls. Each poll comes back as one `Polled` event with the
effects the guest caused, in order, and the reason why it stopped; the router applies the effects, then sees what the
process waits for, and hands it the next thing from its mailbox as a `ResumeGuest` action. A process gets one message
per poll, so the prompt (G9) and the current blob (G11) are the same for all effects of that poll.

A request that expects a response lives in `OutstandingTable` until exactly one outcome takes it out (G5, `outcomes`).
Where its answer goes travels with the message as `reply_to`: a request that inherits and expects nothing carries the
prompt's reply-to onward (G10, `sending`), and nothing else is needed for chains of any length, across any number of
nodes. Where a request goes, and whether it may, is `routing`'s.

Nothing here waits. A sender whose target has no room is set aside with the rest of its effects and goes on when the
target takes a message (`backpressure`, G24); one that has too much on its way to other nodes, when that is less
(`in_flight`).

The parts share a `KernelState`, and each knows those that it is given. This module joins them; its own are polls.

Rejected: one task and one queue for each process (a task switch per message costs as much as everything here), and
dropping the deadline of an answered request at once (see `outstanding`). Tests: tests/kernel, part by part and by
promise; test_state_machines.py against an independent model; tests/conformance with real guests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from kernel.capabilities.grants import Grants
from kernel.contract.address import SYSTEM, ProcessId
from kernel.contract.events import (
    Action,
    ChangeOnExit,
    Event,
    Expect,
    FromPeer,
    GrantCapabilities,
    Initialize,
    Inject,
    Kill,
    KillAll,
    Loaded,
    PeerFailed,
    PeerTook,
    Polled,
    Reply,
    Restore,
    Restored,
    Run,
    Settled,
    Start,
    StateUsed,
    Tick,
    WithdrawCapabilities,
)
from kernel.contract.guest import (
    ClearState,
    DropCapabilities,
    Effect,
    End,
    GetOnExit,
    GetState,
    OurCapabilities,
    Poll,
    Print,
    SaveCapabilities,
    SendAndAwait,
    SendAndHear,
    SendRequest,
    SendResponse,
    SetOnExit,
    SetState,
    Sleep,
    Spawn,
    StopHearing,
)
from kernel.contract.in_flight import InFlight
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Envelope
from kernel.contract.process import Process, Waiting
from kernel.router.backpressure import Backpressure
from kernel.router.handover import Handover
from kernel.router.host_calls import HostCalls
from kernel.router.incoming import IncomingEvents
from kernel.router.lifecycle import Lifecycle
from kernel.router.outcomes import Outcomes
from kernel.router.requests import Requests
from kernel.router.routing import Routing
from kernel.router.sending import Sending
from kernel.router.state import KernelState
from kernel.router.trace import Tracer

# Names of their own for what every message needs: looking up a member of an enumeration takes 70 nanoseconds, and a
# named tuple's own constructor 100 more than the one below it. Together they are a twelfth of a round trip.
_NOTHING, _RECEIVE = Waiting.NOTHING, Waiting.RECEIVE
_POLLED_RECEIVE = Poll.RECEIVE
_new = tuple.__new__


class Kernel:
    """The processes of one node and the messages between them."""

    def __init__(
        self,
        our: str,
        fresh_id: Callable[[], int],
        system: Iterable[tuple[ProcessId, bool]] = (),
        memory: Memory = UNMETERED,
        answered_for: Iterable[ProcessId] = (),
    ) -> None:
        """`fresh_id` returns unpredictable u64s; `system` is the system processes of this node and whether each is
        public; `memory` pays for what waits; `answered_for` is the names of guests for which the node answers while
        nobody has them."""
        grants, in_flight = Grants(our), InFlight(memory)
        names = frozenset(answered_for)
        self._state = state = KernelState(our, dict(system), memory, fresh_id, grants, in_flight, names)
        self.our = our
        self.grants = grants
        self.memory = memory
        self.in_flight = in_flight
        self.starting = state.starting
        self.outstanding = state.outstanding
        self.processes = state.processes
        """The running processes; only the lifecycle may change the table."""
        self._handover = handover = Handover(state)
        self._give = handover.give
        self._outcomes = outcomes = Outcomes(state, handover, self._apply)
        routing = Routing(state, handover, outcomes)
        requests = Requests(state, routing)
        self._backpressure = backpressure = Backpressure(state, handover, outcomes, routing, self._apply)
        self.lifecycle = lifecycle = Lifecycle(state, handover, outcomes, backpressure, requests)
        sending = Sending(state, handover, outcomes, routing, requests, lifecycle)
        incoming = IncomingEvents(state, handover, outcomes, backpressure)
        self._calls = calls = HostCalls(state, handover, lifecycle)
        self._handlers = self._by_event(incoming, calls)
        self._appliers = self._by_effect(sending, calls)

    def _by_event(self, incoming: IncomingEvents, calls: HostCalls) -> dict[type, Callable[..., None]]:
        return {
            Polled: self._on_polled,
            FromPeer: incoming.on_from_peer,
            PeerFailed: incoming.on_peer_failed,
            PeerTook: incoming.on_peer_took,
            Inject: incoming.on_inject,
            Reply: incoming.on_reply,
            Start: self.lifecycle.on_start,
            Expect: incoming.on_expect,
            Settled: incoming.on_settled,
            Kill: self.lifecycle.on_kill,
            KillAll: self.lifecycle.on_kill_all,
            Initialize: self.lifecycle.on_initialize,
            Run: self.lifecycle.on_run,
            Restore: self.lifecycle.on_restore,
            Restored: self.lifecycle.on_restored,
            GrantCapabilities: self.lifecycle.on_grant,
            WithdrawCapabilities: self.lifecycle.on_withdraw,
            ChangeOnExit: self.lifecycle.on_change_on_exit,
            Loaded: self.lifecycle.on_loaded,
            StateUsed: calls.on_state_used,
            Tick: self._on_tick,
        }

    def _by_effect(self, sending: Sending, calls: HostCalls) -> dict[type, Callable[..., bool]]:
        return {
            SendRequest: sending.send_request,
            SendResponse: sending.send_response,
            SendAndAwait: sending.send_and_await,
            SendAndHear: sending.ask,
            StopHearing: sending.stop_hearing,
            Print: calls.print,
            SetOnExit: calls.set_on_exit,
            GetOnExit: calls.get_on_exit,
            SaveCapabilities: calls.save_capabilities,
            DropCapabilities: calls.drop_capabilities,
            OurCapabilities: calls.our_capabilities,
            Spawn: self.lifecycle.spawn,
            GetState: calls.get_state,
            SetState: calls.set_state,
            ClearState: calls.clear_state,
            Sleep: calls.sleep,
        }

    # --- the five verbs ---------------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Handle one event; return the actions that follow from it, in order."""
        state = self._state
        state.now = now
        self._handlers[type(event)](event)
        actions, state.actions = state.actions, []
        return actions

    def polled(self, id: ProcessId, poll: Poll, effects: list[Effect], end: End | None, now: float) -> list[Action]:
        """Handle a `Polled` event without building it, since there is one for every message."""
        state = self._state
        state.now = now
        process = self.processes.get(id)
        if process is not None:
            process.waiting = _NOTHING
            self._apply(process, effects, poll, end)
        actions, state.actions = state.actions, []
        return actions

    def next_deadline(self) -> float | None:
        """Return when a `Tick` is due, or None if not before the next event."""
        first = self.outstanding.next_deadline()
        for second in (self.lifecycle.next_deadline(), self._calls.next_deadline()):
            if first is None or (second is not None and second < first):
                first = second
        return first

    @property
    def tracer(self) -> Tracer | None:
        """Is told of every message while there is one."""
        return self._state.tracer

    @tracer.setter
    def tracer(self, tracer: Tracer | None) -> None:
        """Somebody looks from now on, or nobody does any more."""
        self._state.tracer = tracer

    def root_of(self, request: Envelope) -> int | None:
        """Return what to tell another node of the lineage of a request to it (`Tracer.root_of`); None: nothing."""
        tracer = self._state.tracer
        return None if tracer is None else tracer.root_of(request)

    def is_system(self, process: ProcessId) -> bool:
        """Return whether this is the id of one of this node's system processes."""
        return process in self._state.system

    def lacks(self, process: ProcessId) -> bool:
        """Return whether this is the name of a system process that this node does not have, and at which its user has
        put none."""
        return process.package_id == SYSTEM and not self.is_system(process) and not self.lifecycle.is_taken(process)

    def statistics(self) -> dict[str, int]:
        """Return live figures and counts since the start: `messages` handed to processes, requests `answered`,
        `offline`, `timeout` (G5), responses `dropped`."""
        return {
            "processes": len(self.processes),
            "outstanding": len(self.outstanding),
            "abroad": self.in_flight.messages,
            "messages": self.lifecycle.handed_before + sum(process.messages for process in self.processes.values()),
            **self._outcomes.statistics(),
        }

    # --- polls ------------------------------------------------------------------------------------------------------

    def _on_polled(self, event: Polled) -> None:
        process = self.processes.get(event.process)
        if process is not None:
            process.waiting = _NOTHING
            self._apply(process, event.effects, event.poll, event.end)

    def _on_tick(self, _: Tick) -> None:
        self._outcomes.expire(self._state.now)
        self.lifecycle.on_tick()
        self._calls.on_tick()

    def _apply(self, process: Process, effects: Iterable[Effect], poll: Poll, end: End | None) -> None:
        appliers, state, rest = self._appliers, self._state, iter(effects)
        ended = state.ended
        for effect in rest:
            if not appliers[type(effect)](process, effect):
                self._backpressure.set_aside(process, deque(rest), poll, end)
                return
            if ended != state.ended and self.processes.get(process.address.process) is not process:
                return  # that effect was its end
        if poll is _POLLED_RECEIVE and not (process.mailbox.requests or process.mailbox.outcomes):
            process.waiting = _RECEIVE
            process.handled = None  # which may be large
        else:
            self._settle(process, poll, end)

    def _settle(self, process: Process, poll: Poll, end: End | None) -> None:
        """Act on what a process waits for, after all effects of its poll are applied."""
        if poll is _POLLED_RECEIVE:
            process.waiting = _RECEIVE
            self._hand_over(process)
        elif poll is Poll.CALL:
            pass  # its effect has been applied: it has its answer already, or will get it
        elif poll is Poll.PREEMPTED:
            self.lifecycle.go_on(process)
        else:
            assert end is not None
            self.lifecycle.ended(process, end)

    # --- what a process is handed -----------------------------------------------------------------------------------

    def _hand_over(self, process: Process) -> None:
        """Hand the first delivery of its mailbox to a process that waits for a message."""
        self._give(process, *process.mailbox.take()[:4])
        if process.waiters:
            self._backpressure.free(process)
