"""The router: events and the time in, actions out.

Theory of operation. A process is a guest that somebody else polls. Each poll comes back as one `Polled` event with the
effects the guest caused, in order, and the reason why it stopped; the router applies the effects, then sees what
the process waits for, and hands it the next thing from its mailbox as a `Resume` action. A process gets one message per
poll, so the prompt (G9) and the current blob (G11) are the same for all effects of that poll.

A request that expects a response lives in `OutstandingTable` until exactly one outcome takes it out (G5). Where its
answer goes travels with the message as `reply_to`: a request that inherits and expects nothing carries the prompt's
reply-to onward (G10), and nothing else is needed for chains of any length, across any number of nodes.

Nothing here waits. A sender whose target has no room is set aside with the rest of its effects and goes on when the
target takes a message (`room`, G24); one that has too much on its way to other nodes, when that is less (`abroad`).
Where a request goes, and whether it may, is `routing`'s.

Rejected: one task and one queue for each process (a task switch per message costs as much as everything here), and
dropping the deadline of an answered request at once (see `outstanding`). Tests: tests/kernel/test_kernel.py by promise,
test_state_machines.py against an independent model, tests/conformance with real guests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from kernel import limits
from kernel.abroad import Abroad
from kernel.address import OUR_NODE, Address, ProcessId
from kernel.calls import Calls
from kernel.events import (
    Action,
    Answered,
    ChangeOnExit,
    DeadLetter,
    Event,
    FromPeer,
    GrantCapabilities,
    Initialize,
    Inject,
    Kill,
    Loaded,
    Output,
    Parcel,
    PeerFailed,
    PeerTook,
    Polled,
    Reply,
    Resume,
    Run,
    Start,
    StateUsed,
    Tick,
    ToPeer,
    ToSystem,
    WithdrawCapabilities,
)
from kernel.grants import Grants
from kernel.guest import (
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
from kernel.json_text import is_json
from kernel.lifecycle import Lifecycle
from kernel.mailbox import Delivery
from kernel.message import (
    Envelope,
    LazyLoadBlob,
    Reason,
    ReplyTo,
    Request,
    Response,
    SendError,
    SendErrorKind,
    is_claim,
    kind_of,
    returned,
    size_of,
)
from kernel.outside import Outside
from kernel.outstanding import OutstandingTable
from kernel.process import Outstanding, Process, Waiting
from kernel.revocation import strip
from kernel.room import Room
from kernel.routing import Routing
from kernel.trace import Tracer

# Names of their own for what every message needs: looking up a member of an enumeration takes 70 nanoseconds, and a
# named tuple's own constructor 100 more than the one below it. Together they are a twelfth of a round trip.
_NOTHING, _RECEIVE, _RESPONSE = Waiting.NOTHING, Waiting.RECEIVE, Waiting.RESPONSE
_POLLED_RECEIVE = Poll.RECEIVE
_new = tuple.__new__


class Kernel:
    """The processes of one node and the messages between them."""

    def __init__(self, our: str, fresh_id: Callable[[], int], system: Iterable[tuple[ProcessId, bool]] = ()) -> None:
        """`fresh_id` gives unpredictable u64s; `system` the system processes of this node and whether each is
        public."""
        self.our = our
        self.grants = Grants(our)
        self.dropped = 0
        """Responses that came too late, twice, or for nobody (G5)."""
        self._outcomes = 0
        self._offline = 0
        self._timeout = 0
        """Of the outcomes."""
        self._handed_before = 0
        """Messages handed to processes that have ended."""
        self.tracer: Tracer | None = None
        """Is told of every message while somebody looks."""
        self._fresh_id = fresh_id
        self._system = dict(system)
        self._outstanding = OutstandingTable()
        self._taken_ids = self._outstanding.ids
        self._ended = 0
        """Processes that have ended so far: as long as it stays the same, none has."""
        self._actions: list[Action] = []
        self._now = 0.0
        self.lifecycle = Lifecycle(self.grants, self, our)
        self._processes = self.lifecycle.processes
        self._calls = calls = Calls(self.grants, self, self.lifecycle)
        self._abroad = Abroad()
        self._routing = Routing(self, self.grants, self._processes, self._system, self._outstanding, self._abroad)
        self._route = self._routing.route
        self._room = Room(
            self, self._processes, self._outstanding, self._abroad, apply=self._apply, route=self._send_again
        )
        self._outside = outside = Outside(self, self.lifecycle.processes, self._outstanding, self._abroad)
        self._handlers: dict[type, Callable[..., None]] = {
            Polled: self._on_polled,
            FromPeer: outside.on_from_peer,
            PeerFailed: self._on_peer_failed,
            PeerTook: self._on_peer_took,
            Inject: outside.on_inject,
            Reply: outside.on_reply,
            Start: self.lifecycle.on_start,
            Kill: self.lifecycle.on_kill,
            Initialize: self.lifecycle.on_initialize,
            Run: self.lifecycle.on_run,
            GrantCapabilities: self.lifecycle.on_grant,
            WithdrawCapabilities: self.lifecycle.on_withdraw,
            ChangeOnExit: self.lifecycle.on_change_on_exit,
            Loaded: self.lifecycle.on_loaded,
            StateUsed: calls.on_state_used,
            Tick: self._on_tick,
        }
        self._appliers: dict[type, Callable[..., bool]] = {
            SendRequest: self._send_request,
            SendResponse: self._send_response,
            SendAndAwait: self._send_and_await,
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
        """Take one event; the actions that follow from it, in order."""
        self._now = now
        self._handlers[type(event)](event)
        actions, self._actions = self._actions, []
        return actions

    def polled(self, id: ProcessId, poll: Poll, effects: list[Effect], end: End | None, now: float) -> list[Action]:
        """`handle` of a `Polled` that is not built: that is the one event of every message."""
        self._now = now
        process = self._processes.get(id)
        if process is not None:
            process.waiting = _NOTHING
            self._apply(process, effects, poll, end)
        actions, self._actions = self._actions, []
        return actions

    def next_deadline(self) -> float | None:
        """When a `Tick` is due; None: not before the next event."""
        first, second = self._outstanding.next_deadline(), self.lifecycle.next_deadline()
        if first is None or (second is not None and second < first):
            return second
        return first

    @property
    def processes(self) -> dict[ProcessId, Process]:
        """What runs, for status pages; not to be changed."""
        return self._processes

    def is_system(self, process: ProcessId) -> bool:
        """Whether this is the id of one of this node's system processes."""
        return process in self._system

    def statistics(self) -> dict[str, int]:
        """Live figures, and since the start: `messages` handed to processes, requests `answered`, `offline`,
        `timeout` (G5), responses `dropped`."""
        return {
            "processes": len(self._processes),
            "outstanding": len(self._outstanding),
            "abroad": self._abroad.messages,
            "dropped": self.dropped,
            "messages": self._handed_before + sum(process.messages for process in self._processes.values()),
            "answered": self._outcomes - self._offline - self._timeout,
            "offline": self._offline,
            "timeout": self._timeout,
        }

    # --- what the lifecycle needs of the router ---------------------------------------------------------------------

    def emit(self, action: Action) -> None:
        """Add an action to those of the current event."""
        self._actions.append(action)

    @property
    def now(self) -> float:
        """The time of the current event."""
        return self._now

    def say(self, process: ProcessId, text: str) -> None:
        """A line in the node's log about a process."""
        self._actions.append(Output(process, 0, text))

    def fresh_id(self) -> int:
        """An unused u64."""
        id = self._fresh_id()
        while id in self._taken_ids:
            id = self._fresh_id()
        return id

    def answer_call(self, process: Process, answer: object) -> None:
        """The call that a process waits for has its answer."""
        process.waiting = Waiting.NOTHING
        self._actions.append(Resume(process.address.process, answer))  # type: ignore[arg-type]

    def bury(self, process: Process) -> None:
        """A process has ended: tell everybody who waits for it (G14), forget what it waited for."""
        self._ended += 1
        self._handed_before += process.messages
        if process.stall is not None:
            self.dead(process.stall.envelope, Reason.PROCESS_ENDED)
            self._room.give_up(process)
        if self.tracer is not None:
            self.tracer.ended(process.address.process)
        self._outstanding.release(process)
        for id in self._outstanding.orphans(process):
            entry = self._outstanding.resolve(id)
            if entry is not None:
                self.fail(entry, Reason.PROCESS_ENDED)
        while process.mailbox:
            self._bury_delivery(process, process.mailbox.take())
        self._room.release(process)

    def revoke(self, issuer: Address) -> None:
        """What a process has issued is worth nothing any more, wherever it is (G21)."""
        self.grants.revoke(issuer)
        strip(self._processes.values(), issuer)

    def send_as_ended(self, process: Process) -> None:
        """Send the on-exit requests of a process that has just ended, in its name (G22)."""
        for target, request, blob in process.on_exit.requests:
            stripped = request._replace(expects_response=None, inherit=False)
            envelope = self._envelope(process, target, stripped, blob)
            if self.tracer is not None:
                self.tracer.sent(envelope, self._now)
            self._route(process, envelope, None)

    # --- polls ------------------------------------------------------------------------------------------------------

    def _on_polled(self, event: Polled) -> None:
        process = self._processes.get(event.process)
        if process is not None:
            process.waiting = _NOTHING
            self._apply(process, event.effects, event.poll, event.end)

    def _apply(self, process: Process, effects: Iterable[Effect], poll: Poll, end: End | None) -> None:
        appliers, ended, rest = self._appliers, self._ended, iter(effects)
        for effect in rest:
            if not appliers[type(effect)](process, effect):
                self._room.set_aside(process, deque(rest), poll, end)
                return
            if ended != self._ended and self._processes.get(process.address.process) is not process:
                return  # that effect was its end
        self._settle(process, poll, end)

    def _settle(self, process: Process, poll: Poll, end: End | None) -> None:
        """All effects of a poll are applied: what now?"""
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

    def _hand_over(self, process: Process) -> None:
        """Give a process that waits for a message the first of its mailbox."""
        self._give(process, *process.mailbox.take()[:4])
        if process.waiters:
            self._room.free(process)

    def _give(
        self,
        process: Process,
        answer: Arrival | Failure,
        prompt: ReplyTo | None,
        keeps_prompt: bool,
        blob: LazyLoadBlob | None,
    ) -> None:
        """Resume a process with a message; what else there is to it as in `Delivery`."""
        if self.tracer is not None:
            self.tracer.handed(process.address.process, answer, self._now)
        if type(answer) is Arrival and answer.message.capabilities:
            self.grants.receive(process.address.process, answer.message.capabilities)
        if not keeps_prompt:
            process.prompt = prompt
        process.blob = blob
        process.waiting = _NOTHING
        process.messages += 1
        self._actions.append(_new(Resume, (process.address.process, answer)))

    def put(self, process: Process, delivery: Delivery) -> None:
        """Hand something to a process, now if it waits for a message."""
        if process.waiting is _RECEIVE:
            self._give(process, *delivery[:4])  # then its mailbox is empty
        else:
            process.mailbox.put(delivery)

    # --- requests ---------------------------------------------------------------------------------------------------

    def _envelope(self, process: Process, target: Address, request: Request, blob: LazyLoadBlob | None) -> Envelope:
        id = self.fresh_id()
        inherit = request.inherit
        if request.expects_response is not None:
            reply_to: ReplyTo | None = _new(ReplyTo, (process.address, id))
        else:
            reply_to = process.prompt if inherit else None
        if blob is None and inherit:
            blob = process.blob
        if target.node == OUR_NODE:
            known = self._processes.get(target.process)
            target = Address(self.our, target.process) if known is None else known.address
        if request.capabilities:
            request = request._replace(capabilities=self._calls.attachable(process, request.capabilities))
        return _new(Envelope, (id, process.address, target, reply_to, request, blob, False))

    def _expect(self, process: Process, envelope: Envelope, request: Request, context: bytes | None) -> None:
        id, _, target, _, _, blob, _ = envelope
        assert request.expects_response is not None
        entry = Outstanding(id, process, request, target, self._now + request.expects_response)
        entry.prompt = process.prompt
        entry.size = size_of(request, blob)
        entry.blob = blob
        if context is not None:
            entry.context = context
            entry.size += len(context)
        self._outstanding.add(entry)

    def _send_request(self, process: Process, effect: SendRequest) -> bool:
        if self._has_too_much(process):
            return True
        target, request, context, blob = effect
        envelope = self._envelope(process, target, request, blob)
        if request.expects_response is not None:
            self._expect(process, envelope, request, context)
        if self.tracer is not None:
            self.tracer.sent(envelope, self._now)
        return self._route(process, envelope, context)

    def _send_and_await(self, process: Process, effect: SendAndAwait) -> bool:
        if self._has_too_much(process):
            return True
        target, request, blob = effect
        envelope = self._envelope(process, target, request, blob)
        if request.expects_response is None:
            self.lifecycle.trap(process, "send-and-await-response needs a request that expects a response")
            return True
        if envelope.target == process.address:
            self.lifecycle.trap(process, "send-and-await-response to oneself would wait for ever")
            return True
        self._expect(process, envelope, request, None)
        if self.tracer is not None:
            self.tracer.sent(envelope, self._now)
        process.waiting = Waiting.RESPONSE
        process.awaited = envelope.id
        return self._route(process, envelope, None)

    def _has_too_much(self, process: Process) -> bool:
        """Whether a process has so much outstanding, or so many outcomes unreceived, that it ends here."""
        mailbox = process.mailbox
        count = len(process.outstanding) + mailbox.outcomes
        if count < limits.MAX_OUTSTANDING and (
            process.outstanding_bytes + mailbox.error_bytes < limits.MAX_OUTSTANDING_BYTES
        ):
            return False
        self.lifecycle.trap(process, f"it has {count} requests outstanding or outcomes that it does not receive")
        return True

    def to_system(self, envelope: Envelope) -> None:
        """Give a request to a system process."""
        if self.tracer is not None:
            self.tracer.passed_on(envelope, self._now)
        self._actions.append(ToSystem(envelope))

    def to_peer(self, envelope: Envelope, context: bytes | None, sender: Process | None) -> None:
        """Give a message to the net; see `Parcel`."""
        id, source, _, _, message, blob, _ = envelope
        if self.tracer is not None:
            if isinstance(message, Request):
                self.tracer.passed_on(envelope, self._now)
            else:
                self.tracer.answered(id, source, message, blob, self._now)
        prompt = None if sender is None else sender.prompt
        size = size_of(message, blob) + (0 if context is None else len(context))
        parcel = _new(Parcel, (envelope, context, prompt, sender, size))
        self._abroad.sent(parcel)
        self._actions.append(_new(ToPeer, (parcel,)))

    def _on_peer_took(self, event: PeerTook) -> None:
        if self.tracer is not None:
            self.tracer.arrived(event.parcel.envelope, self._now)
        self._gone(event.parcel)

    def _on_peer_failed(self, event: PeerFailed) -> None:
        self._outside.on_peer_failed(event)
        self._gone(event.parcel)

    def _gone(self, parcel: Parcel) -> None:
        """A message is no longer on its way to another node."""
        if self._abroad.gone(parcel) and parcel.sender is not None:
            self._room.freed(parcel.sender)

    def put_request(self, receiver: Process, envelope: Envelope) -> None:
        """Hand a request to a process that has room, or in the name of somebody who need not wait."""
        id, source, _, reply_to, message, blob, _ = envelope
        arrival = _new(Arrival, (source, message, None, blob))
        if self.tracer is not None:
            self.tracer.queued(arrival, id, is_request=True)
        if receiver.waiting is _RECEIVE:
            self._give(receiver, arrival, reply_to, reply_to is None, blob)
            return
        weight = size_of(message, blob) + 1
        receiver.mailbox.put(_new(Delivery, (arrival, reply_to, reply_to is None, blob, weight)))

    def undeliverable(self, envelope: Envelope, reason: Reason) -> None:
        """A local request reached nobody: Timeout at once for who expects a response (G14)."""
        request = envelope.message
        if isinstance(request, Request) and request.expects_response is not None:
            entry = self._outstanding.resolve(envelope.id)
            if entry is not None:
                self.fail(entry, reason)
        self.dead(envelope, reason)

    def drop(self, envelope: Envelope) -> None:
        """A response that nobody waits for (any more) (G5)."""
        self.dropped += 1
        self.dead(envelope, Reason.NOT_AWAITED)

    def dead(self, envelope: Envelope, reason: Reason) -> None:
        """A message has reached nobody (G16)."""
        if self.tracer is not None:
            self.tracer.dropped(envelope, reason, self._now)
        self._actions.append(DeadLetter(self._now, envelope, reason))

    def _bury_delivery(self, process: Process, delivery: Delivery) -> None:
        answer = delivery.answer
        if self.tracer is not None:
            self.tracer.forget(answer)
        if isinstance(answer, Arrival):
            self.dead(self._rebuilt(0, answer, process.address, delivery.prompt), Reason.PROCESS_ENDED)

    def _rebuilt(self, id: int, arrival: Arrival, target: Address, reply_to: ReplyTo | None) -> Envelope:
        """The envelope of a message that was about to be handed over."""
        source, message, _, blob = arrival
        return Envelope(id, source, target, reply_to, message, blob, is_claim(source, self.our))

    # --- outcomes ---------------------------------------------------------------------------------------------------

    def outcome(self, entry: Outstanding, answer: Arrival | Failure, blob: LazyLoadBlob | None) -> None:
        """The one outcome of a request (G5), with its context (G6) and prompt (G9)."""
        owner = entry.owner
        if owner is not None and owner.mailbox.answer_bytes >= limits.MAX_ANSWER_BYTES and type(answer) is Arrival:
            awaited = owner.waiting is _RESPONSE and owner.awaited == entry.id
            if not awaited:
                self.dead(self._rebuilt(entry.id, answer, owner.address, None), Reason.INBOX_FULL)
                self.fail(entry, Reason.INBOX_FULL)
                return
        self._outcomes += 1
        if self.tracer is not None:
            self._trace_outcome(entry, answer)
        if owner is None:
            self._actions.append(Answered(entry.token, answer))
            return
        waiting = owner.waiting
        if waiting is _RECEIVE or (waiting is _RESPONSE and owner.awaited == entry.id):
            self._give(owner, answer, entry.prompt, False, blob)
            return
        delivery = _new(Delivery, (answer, entry.prompt, False, blob, 0))
        if waiting is Waiting.ROOM and owner.stall is not None and owner.stall.envelope.id == entry.id:
            self._unstall(owner, delivery)
        else:
            owner.mailbox.put(delivery)

    def _trace_outcome(self, entry: Outstanding, answer: Arrival | Failure) -> None:
        assert self.tracer is not None
        if isinstance(answer, Failure):
            self.tracer.failed(entry.id, answer.error.reason, self._now)
        else:
            assert isinstance(answer.message, Response)
            self.tracer.answered(entry.id, answer.source, answer.message, answer.blob, self._now)
        if entry.owner is not None:
            self.tracer.queued(answer, entry.id, is_request=False)

    def _unstall(self, owner: Process, delivery: Delivery) -> None:
        """The request that a process waits to send has run out of time: it waits no longer (G24)."""
        stall = owner.stall
        assert stall is not None
        self._room.give_up(owner)
        if stall.poll is Poll.CALL and not stall.rest and owner.awaited == stall.envelope.id:
            self._give(owner, *delivery[:4])
            return
        owner.mailbox.put(delivery)
        owner.waiting = Waiting.NOTHING
        self._apply(owner, stall.rest, stall.poll, stall.end)

    def fail(self, entry: Outstanding, reason: Reason) -> None:
        """A request has failed; its owner is told."""
        error = SendError(kind_of(reason), entry.target, entry.request, entry.blob, reason)
        if error.kind is SendErrorKind.OFFLINE:
            self._offline += 1
        else:
            self._timeout += 1
        self.outcome(entry, Failure(error, entry.context), entry.blob)

    def _on_tick(self, _: Tick) -> None:
        while (entry := self._outstanding.expire(self._now)) is not None:
            self.fail(entry, Reason.EXPIRED)
            if entry.owner is not None:  # a user's request is the user's to know of
                reply_to = ReplyTo(entry.owner.address, entry.id)
                self.dead(
                    Envelope(entry.id, reply_to.address, entry.target, reply_to, entry.request, entry.blob),
                    Reason.EXPIRED,
                )
        self.lifecycle.on_tick()

    # --- responses --------------------------------------------------------------------------------------------------

    def _send_response(self, process: Process, effect: SendResponse) -> bool:
        if self._has_too_much(process):
            return True
        response, blob = effect
        prompt = process.prompt
        if prompt is None:
            self._actions.append(
                Output(process.address.process, 0, "sent a response, but there is no request to answer")
            )
            return True
        if blob is None and response.inherit:
            blob = process.blob
        if response.capabilities:
            response = response._replace(capabilities=self._calls.attachable(process, response.capabilities))
        envelope = _new(Envelope, (prompt.id, process.address, prompt.address, None, response, blob, False))
        if response.metadata is not None and not is_json(response.metadata):
            self._return_response(process, envelope, Reason.BAD_METADATA)
        elif prompt.address.node == self.our:
            self._answer(process, envelope)
        else:
            return self._answer_peer(process, envelope)
        return True

    def _answer_peer(self, process: Process, envelope: Envelope) -> bool:
        """A response to a request of another node; False: it has to wait (G24)."""
        reason = self._routing.barrier(process, envelope)
        if reason is not None:
            self._return_response(process, envelope, reason)
        elif self._routing.may_go(process, envelope, None):
            self.to_peer(envelope, None, process)
        else:
            return False
        return True

    def _send_again(self, process: Process, envelope: Envelope, context: bytes | None, admitted: bool) -> bool:
        """Send what had to wait."""
        if isinstance(envelope.message, Response):
            return self._answer_peer(process, envelope)
        return self._route(process, envelope, context, admitted)

    def _answer(self, process: Process, envelope: Envelope) -> None:
        """A response to a request of this node."""
        id, source, target, _, response, blob, _ = envelope
        entry = self._outstanding.resolve(id)
        if entry is not None:
            assert isinstance(response, Response)
            self.outcome(entry, _new(Arrival, (source, response, entry.context, blob)), blob)
        elif target.process in self._processes or target.process in self._system:
            self.drop(envelope)
        else:
            self._return_response(process, envelope, Reason.PROCESS_ENDED)

    def _return_response(self, process: Process, envelope: Envelope, reason: Reason) -> None:
        """A response could not be delivered: back to its sender, with the prompt restored (G15)."""
        self.dead(envelope, reason)
        error = returned(envelope, reason)
        prompt = ReplyTo(envelope.target, envelope.id)
        self.put(process, Delivery(Failure(error, None), prompt, False, envelope.blob, 0))
