"""The router: events and the time in, actions out.

Theory of operation. A process is a guest that somebody else polls. Each poll comes back as one `Polled` event with the
effects the guest caused, in order, and the reason why it stopped; the router applies the effects, then sees what
the process waits for, and hands it the next thing from its mailbox as a `Resume` action. A process gets one message per
poll, so the prompt (G9) and the current blob (G11) are the same for all effects of that poll.

A request that expects a response lives in `OutstandingTable` until exactly one outcome takes it out (G5, `outcomes`).
Where its answer goes travels with the message as `reply_to`: a request that inherits and expects nothing carries the
prompt's reply-to onward (G10, `sending`), and nothing else is needed for chains of any length, across any number of
nodes. Where a request goes, and whether it may, is `routing`'s.

Nothing here waits. A sender whose target has no room is set aside with the rest of its effects and goes on when the
target takes a message (`room`, G24); one that has too much on its way to other nodes, when that is less (`in_flight`).

This module joins those parts, which know it as a `Router`; its own are polls, and what is handed to a process.

Rejected: one task and one queue for each process (a task switch per message costs as much as everything here), and
dropping the deadline of an answered request at once (see `outstanding`). Tests: tests/kernel, part by part and by
promise; test_state_machines.py against an independent model; tests/conformance with real guests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from kernel.capabilities.grants import Grants
from kernel.capabilities.stripping import strip
from kernel.contract.address import Address, ProcessId
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
    Output,
    Parcel,
    PeerFailed,
    PeerTook,
    Polled,
    Reply,
    Resume,
    Run,
    Settled,
    Start,
    StateUsed,
    Tick,
    ToPeer,
    ToSystem,
    WithdrawCapabilities,
)
from kernel.contract.guest import (
    Arrival,
    ClearState,
    DropCapabilities,
    Effect,
    End,
    Failure,
    GetOnExit,
    GetState,
    OurCapabilities,
    Poll,
    Print,
    SaveCapabilities,
    SendAndAwait,
    SendRequest,
    SendResponse,
    SetOnExit,
    SetState,
    Spawn,
)
from kernel.contract.in_flight import InFlight
from kernel.contract.mailbox import Delivery
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Envelope, LazyLoadBlob, Reason, ReplyTo, Request, size_of
from kernel.contract.process import Process, Waiting
from kernel.router.backpressure import Backpressure
from kernel.router.host_calls import HostCalls
from kernel.router.incoming import Incoming
from kernel.router.lifecycle import Lifecycle
from kernel.router.outcomes import Outcomes
from kernel.router.outstanding import OutstandingTable
from kernel.router.routing import Routing
from kernel.router.sending import Sending
from kernel.router.starting import Starting
from kernel.router.trace import Tracer

# Module-level names for what every message needs: looking up a member of an enumeration takes 70 nanoseconds, and a
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
    ) -> None:
        """`fresh_id` returns unpredictable u64s; `system` is the system processes of this node and whether each is
        public; `memory` pays for what waits."""
        self.our = our
        self.grants = Grants(our)
        self._handed_before = 0
        """Messages handed to processes that have ended."""
        self.tracer: Tracer | None = None
        """Is told of every message while there is one."""
        self._fresh_id = fresh_id
        self._system = dict(system)
        self._ended = 0
        """Processes that have ended so far; while this is unchanged, none has."""
        self._actions: list[Action] = []
        self.now = 0.0
        """The time of the current event."""
        self.outstanding = OutstandingTable()
        self.abroad = InFlight(memory)
        self.expected = Starting()
        self.memory = memory
        self.lifecycle = Lifecycle(self.grants, self, our)
        self.processes = self.lifecycle.processes
        """The running processes; only the lifecycle may change the table."""
        self._outcomes = outcomes = Outcomes(self)
        routing = Routing(self, outcomes, self._system)
        self._sending = sending = Sending(self, routing, outcomes, self.lifecycle)
        self._room = room = Backpressure(self, outcomes, apply=self._apply, send=sending.again)
        outside = Incoming(self, outcomes, room)
        calls = HostCalls(self.grants, self, self.lifecycle)
        self._handlers = self._by_event(outside, calls)
        self._appliers = self._by_effect(sending, calls)

    def _by_event(self, outside: Incoming, calls: HostCalls) -> dict[type, Callable[..., None]]:
        return {
            Polled: self._on_polled,
            FromPeer: outside.on_from_peer,
            PeerFailed: outside.on_peer_failed,
            PeerTook: outside.on_peer_took,
            Inject: outside.on_inject,
            Reply: outside.on_reply,
            Start: self.lifecycle.on_start,
            Expect: outside.on_expect,
            Settled: outside.on_settled,
            Kill: self.lifecycle.on_kill,
            KillAll: self.lifecycle.on_kill_all,
            Initialize: self.lifecycle.on_initialize,
            Run: self.lifecycle.on_run,
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
        }

    # --- the five verbs ---------------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Handle one event; return the actions that follow from it, in order."""
        self.now = now
        self._handlers[type(event)](event)
        actions, self._actions = self._actions, []
        return actions

    def polled(self, id: ProcessId, poll: Poll, effects: list[Effect], end: End | None, now: float) -> list[Action]:
        """Handle a `Polled` event without building it, since there is one for every message."""
        self.now = now
        process = self.processes.get(id)
        if process is not None:
            process.waiting = _NOTHING
            self._apply(process, effects, poll, end)
        actions, self._actions = self._actions, []
        return actions

    def next_deadline(self) -> float | None:
        """Return when a `Tick` is due, or None if not before the next event."""
        first, second = self.outstanding.next_deadline(), self.lifecycle.next_deadline()
        if first is None or (second is not None and second < first):
            return second
        return first

    def is_system(self, process: ProcessId) -> bool:
        """Return whether this is the id of one of this node's system processes."""
        return process in self._system

    def statistics(self) -> dict[str, int]:
        """Return live figures and counts since the start: `messages` handed to processes, requests `answered`,
        `offline`, `timeout` (G5), responses `dropped`."""
        return {
            "processes": len(self.processes),
            "outstanding": len(self.outstanding),
            "abroad": self.abroad.messages,
            "messages": self._handed_before + sum(process.messages for process in self.processes.values()),
            **self._outcomes.statistics(),
        }

    # --- what its components need of the router ---------------------------------------------------------------------

    def emit(self, action: Action) -> None:
        """Add an action to those of the current event."""
        self._actions.append(action)

    def say(self, process: ProcessId, text: str) -> None:
        """Log a line about a process."""
        self._actions.append(Output(process, 0, text))

    def fresh_id(self) -> int:
        """Return an unused u64."""
        id = self._fresh_id()
        while id in self.outstanding.ids:
            id = self._fresh_id()
        return id

    def answer_call(self, process: Process, answer: object) -> None:
        """Answer the call that a process waits for, unless the process is being ended."""
        if process.waiting is Waiting.END:
            return
        process.waiting = Waiting.NOTHING
        self._actions.append(Resume(process.address.process, answer))  # type: ignore[arg-type]

    def hush(self, process: Process) -> None:
        """Drop what a process that is about to end waits to send, and what it was to do after that."""
        if process.stall is not None:
            self._outcomes.dead(process.stall.envelope, Reason.PROCESS_ENDED)
            self._room.give_up(process)

    def bury(self, ended: Sequence[Process]) -> None:
        """Forget what processes that have ended together waited for, then tell all that wait for one of them (G14)."""
        for process in ended:
            self._ended += 1
            self._handed_before += process.messages
            if self.tracer is not None:
                self.tracer.ended(process.address.process)
            self.outstanding.release(process)
        for process in ended:
            self._outcomes.orphan(process)
            while process.mailbox:
                self._outcomes.bury(process, process.mailbox.take())
            self._room.release(process)

    def revoke(self, issuers: Collection[Address]) -> None:
        """Revoke all capabilities that processes have issued, wherever they are (G21)."""
        for issuer in issuers:
            self.grants.revoke(issuer)
        strip(self.processes.values(), self.expected.queues(), issuers)

    def send_as_ended(self, process: Process) -> None:
        """Send the on-exit requests of a process that has just ended, in its name (G22)."""
        self._sending.as_ended(process)

    # --- polls ------------------------------------------------------------------------------------------------------

    def _on_polled(self, event: Polled) -> None:
        process = self.processes.get(event.process)
        if process is not None:
            process.waiting = _NOTHING
            self._apply(process, event.effects, event.poll, event.end)

    def _on_tick(self, _: Tick) -> None:
        self._outcomes.expire(self.now)
        self.lifecycle.on_tick()

    def _apply(self, process: Process, effects: Iterable[Effect], poll: Poll, end: End | None) -> None:
        appliers, ended, rest = self._appliers, self._ended, iter(effects)
        for effect in rest:
            if not appliers[type(effect)](process, effect):
                self._room.set_aside(process, deque(rest), poll, end)
                return
            if ended != self._ended and self.processes.get(process.address.process) is not process:
                return  # that effect was its end
        self._settle(process, poll, end)

    def unstall(self, owner: Process, delivery: Delivery) -> None:
        """Stop a process from waiting to send a request that has run out of time (G24)."""
        stall = owner.stall
        assert stall is not None
        self._room.give_up(owner)
        if stall.poll is Poll.CALL and not stall.rest and owner.awaited == stall.envelope.id:
            self.give(owner, *delivery[:4])
            return
        owner.mailbox.put(delivery)
        owner.waiting = Waiting.NOTHING
        self._apply(owner, stall.rest, stall.poll, stall.end)

    def _settle(self, process: Process, poll: Poll, end: End | None) -> None:
        """Act on what a process waits for, after all effects of its poll are applied."""
        if poll is _POLLED_RECEIVE:
            process.waiting = _RECEIVE
            mailbox = process.mailbox
            if mailbox.requests or mailbox.outcomes:
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
        self.give(process, *process.mailbox.take()[:4])
        if process.waiters:
            self._room.free(process)

    def give(
        self,
        process: Process,
        answer: Arrival | Failure,
        prompt: ReplyTo | None,
        keeps_prompt: bool,
        blob: LazyLoadBlob | None,
    ) -> None:
        """Resume a process with a message; the other parameters are as in `Delivery`."""
        if self.tracer is not None:
            self.tracer.handed(process.address.process, answer, self.now)
        if type(answer) is Arrival and answer.message.capabilities:
            self.grants.receive(process.address.process, answer.message.capabilities)
        if not keeps_prompt:
            process.prompt = prompt
        process.blob = blob
        process.waiting = _NOTHING
        process.messages += 1
        self._actions.append(_new(Resume, (process.address.process, answer)))

    def put(self, process: Process, delivery: Delivery) -> None:
        """Deliver to a process: now if it waits for a message, otherwise through its mailbox."""
        if process.waiting is _RECEIVE:
            self.give(process, *delivery[:4])  # then its mailbox is empty
        else:
            process.mailbox.put(delivery)

    def put_request(self, receiver: Process, envelope: Envelope) -> None:
        """Deliver a request to a process that has capacity, or for a sender that need not wait."""
        id, source, _, reply_to, message, blob, _ = envelope
        arrival = _new(Arrival, (source, message, None, blob))
        if self.tracer is not None:
            self.tracer.queued(arrival, id, is_request=True)
        if receiver.waiting is _RECEIVE:
            self.give(receiver, arrival, reply_to, reply_to is None, blob)
            return
        weight = size_of(message, blob) + 1
        delivery = _new(Delivery, (arrival, reply_to, reply_to is None, blob, weight))
        receiver.mailbox.put(delivery, None if source.node == self.our else source.node)

    # --- what leaves the kernel -------------------------------------------------------------------------------------

    def to_system(self, envelope: Envelope) -> None:
        """Give a request to a system process."""
        if self.tracer is not None:
            self.tracer.passed_on(envelope, self.now)
        self._actions.append(ToSystem(envelope))

    def to_peer(self, envelope: Envelope, context: bytes | None, sender: Process | None) -> None:
        """Give a message to the net (see `Parcel`)."""
        message, blob = envelope.message, envelope.blob
        if self.tracer is not None:
            if isinstance(message, Request):
                self.tracer.passed_on(envelope, self.now)
            else:
                self.tracer.left(envelope, self.now)
        prompt = None if sender is None else sender.prompt
        size = size_of(message, blob) + (0 if context is None else len(context))
        lot = self.abroad.sent(envelope, sender, size)
        parcel = _new(Parcel, (envelope, context, prompt, sender, size, lot))
        self._actions.append(_new(ToPeer, (parcel,)))
