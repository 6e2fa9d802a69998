"""The router: events and the time in, actions out.

Theory of operation. A process is a guest that somebody else polls. Each poll comes back as one `Polled` event with the
effects the guest caused, in order, and the reason why it stopped; the router applies the effects, then sees what
the process waits for, and hands it the next thing from its mailbox as a `Resume` action. A process gets one message per
poll, so the prompt (G9) and the current blob (G11) are the same for all effects of that poll.

A request that expects a response lives in `OutstandingTable` until exactly one outcome takes it out (G5). Where its
answer goes travels with the message as `reply_to`: a request that inherits and expects nothing carries the prompt's
reply-to onward (G10), and nothing else is needed for chains of any length, across any number of nodes.

Nothing here waits. A sender whose target has no room is set aside with the rest of its effects (`Stall`) and goes on
when the target takes a message (G24).

Rejected: one task and one queue for each process (a task switch per message costs as much as everything here), and
dropping the deadline of an answered request at once (see `outstanding`). Tests: tests/kernel/test_kernel.py by promise,
test_kernel_machine.py as a Hypothesis state machine.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable

from kernel import limits
from kernel.address import OUR_NODE, Address, ProcessId
from kernel.calls import Calls
from kernel.errors import BadAddress
from kernel.events import (
    Action,
    Answered,
    DeadLetter,
    Event,
    FromPeer,
    Inject,
    Kill,
    Loaded,
    Output,
    Parcel,
    PeerFailed,
    Polled,
    Reply,
    Resume,
    Start,
    StateUsed,
    Taken,
    Tick,
    ToPeer,
    ToSystem,
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
    kind_of,
    returned,
)
from kernel.outside import Outside
from kernel.outstanding import OutstandingTable
from kernel.process import Outstanding, Parked, Process, Stall, Waiting


class Kernel:
    """The processes of one node and the messages between them."""

    def __init__(self, our: str, fresh_id: Callable[[], int], system: Iterable[tuple[ProcessId, bool]] = ()) -> None:
        """`fresh_id` gives unpredictable u64s; `system` the system processes of this node and whether each is
        public."""
        self.our = our
        self.grants = Grants(our)
        self.dropped = 0
        """Responses that came too late, twice, or for nobody (G5)."""
        self._fresh_id = fresh_id
        self._system = dict(system)
        self._outstanding = OutstandingTable()
        self._actions: list[Action] = []
        self._now = 0.0
        self.lifecycle = Lifecycle(self.grants, self, our)
        self._processes = self.lifecycle.processes
        self._calls = calls = Calls(self.grants, self, self.lifecycle)
        outside = Outside(self, self.lifecycle.processes, self._outstanding)
        self._handlers: dict[type, Callable[..., None]] = {
            Polled: self._on_polled,
            FromPeer: outside.on_from_peer,
            PeerFailed: outside.on_peer_failed,
            Inject: outside.on_inject,
            Reply: outside.on_reply,
            Start: self.lifecycle.on_start,
            Kill: self.lifecycle.on_kill,
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
        """Live figures."""
        return {"processes": len(self._processes), "outstanding": len(self._outstanding), "dropped": self.dropped}

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
        while id in self._outstanding:
            id = self._fresh_id()
        return id

    def answer_call(self, process: Process, answer: object) -> None:
        """The call that a process waits for has its answer."""
        process.waiting = Waiting.NOTHING
        self._actions.append(Resume(process.address.process, answer))  # type: ignore[arg-type]

    def bury(self, process: Process) -> None:
        """A process has ended: tell everybody who waits for it (G14), forget what it waited for."""
        self._outstanding.release(process)
        for id in self._outstanding.orphans(process):
            entry = self._outstanding.resolve(id)
            if entry is not None:
                self.fail(entry, Reason.PROCESS_ENDED)
        while process.mailbox:
            self._bury_delivery(process, process.mailbox.take())
        waiters, process.waiters = process.waiters, deque()
        for waiter in waiters:
            if isinstance(waiter, Parked):
                self._actions.append(Taken(waiter.receipt))
                self.dead(waiter.envelope, Reason.PROCESS_ENDED)
            else:
                self._retry(waiter)

    def send_as_ended(self, process: Process) -> None:
        """Send the on-exit requests of a process that has just ended, in its name (G22)."""
        for target, request, blob in process.on_exit.requests:
            stripped = request._replace(expects_response=None, inherit=False)
            self._route_request(process, self._envelope(process, target, stripped, blob), None)

    def fail_stall(self, process: Process) -> None:
        """A process that waited for room has ended: what it wanted to send is gone."""
        if process.stall is not None:
            self.dead(process.stall.envelope, Reason.PROCESS_ENDED)
            process.stall = None

    # --- polls ------------------------------------------------------------------------------------------------------

    def _on_polled(self, event: Polled) -> None:
        process = self._processes.get(event.process)
        if process is not None:
            process.waiting = Waiting.NOTHING
            self._apply(process, deque(event.effects), event.poll, event.end)

    def _apply(self, process: Process, effects: deque[Effect], poll: Poll, end: End | None) -> None:
        appliers = self._appliers
        while effects:
            effect = effects.popleft()
            if not appliers[type(effect)](process, effect):
                stall = process.stall
                assert stall is not None
                process.stall = stall._replace(rest=effects, poll=poll, end=end)
                process.waiting = Waiting.ROOM
                return
            if self._processes.get(process.address.process) is not process:
                return  # that effect was its end
        self._settle(process, poll, end)

    def _settle(self, process: Process, poll: Poll, end: End | None) -> None:
        """All effects of a poll are applied: what now?"""
        if poll is Poll.RECEIVE:
            process.waiting = Waiting.RECEIVE
            if process.mailbox:
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
        self._give(process, process.mailbox.take())
        if process.waiters and process.mailbox.has_room():
            self._admit(process)

    def _give(self, process: Process, delivery: Delivery) -> None:
        answer, prompt, keeps_prompt, blob, _ = delivery
        if not keeps_prompt:
            process.prompt = prompt
        process.blob = blob
        process.waiting = Waiting.NOTHING
        process.messages += 1
        self._actions.append(Resume(process.address.process, answer))

    def put(self, process: Process, delivery: Delivery) -> None:
        """Hand something to a process, now if it waits for a message."""
        if process.waiting is Waiting.RECEIVE:
            self._give(process, delivery)  # then its mailbox is empty
        else:
            process.mailbox.put(delivery)

    # --- waiting for room (G24) -------------------------------------------------------------------------------------

    def _admit(self, target: Process) -> None:
        """A mailbox has room again: let in whoever waits, in order."""
        while target.waiters and target.mailbox.has_room():
            waiter = target.waiters.popleft()
            if isinstance(waiter, Parked):
                self._actions.append(Taken(waiter.receipt))
                self.put_request(target, waiter.envelope)
            else:
                self._retry(waiter, admitted=True)

    def _retry(self, sender: Process, *, admitted: bool = False) -> None:
        """Send what a process waited to send, and go on with the rest of its effects. `admitted`: its turn has come,
        whoever else waits."""
        stall, sender.stall = sender.stall, None
        if stall is None:
            return
        sender.waiting = Waiting.NOTHING
        envelope, context, rest, poll, end = stall
        message = envelope.message
        if isinstance(message, Request) and message.expects_response is not None:
            if envelope.id not in self._outstanding:
                self._apply(sender, rest, poll, end)  # it timed out meanwhile
                return
            if poll is Poll.CALL and not rest and sender.awaited == envelope.id:
                sender.waiting = Waiting.RESPONSE
        if self._route_request(sender, envelope, context, admitted=admitted):
            if self._processes.get(sender.address.process) is sender:
                self._apply(sender, rest, poll, end)
        else:
            assert sender.stall is not None
            sender.stall = sender.stall._replace(rest=rest, poll=poll, end=end)
            sender.waiting = Waiting.ROOM

    # --- requests ---------------------------------------------------------------------------------------------------

    def _envelope(self, process: Process, target: Address, request: Request, blob: LazyLoadBlob | None) -> Envelope:
        id = self.fresh_id()
        inherit = request.inherit
        if request.expects_response is not None:
            reply_to: ReplyTo | None = ReplyTo(process.address, id)
        else:
            reply_to = process.prompt if inherit else None
        if blob is None and inherit:
            blob = process.blob
        if target.node == OUR_NODE:
            target = Address(self.our, target.process)
        if request.capabilities:
            request = request._replace(capabilities=self._calls.attachable(process, request.capabilities))
        return Envelope(id, process.address, target, reply_to, request, blob)

    def _expect(self, process: Process, envelope: Envelope, context: bytes | None) -> None:
        request = envelope.message
        assert isinstance(request, Request)
        assert request.expects_response is not None
        deadline = self._now + request.expects_response
        entry = Outstanding(envelope.id, process, request, envelope.target, deadline)
        entry.context, entry.blob, entry.prompt = context, envelope.blob, process.prompt
        entry.size = len(request.body) + len(context or b"") + (len(envelope.blob.bytes) if envelope.blob else 0)
        self._outstanding.add(entry)

    def _send_request(self, process: Process, effect: SendRequest) -> bool:
        if self._has_too_much(process):
            return True
        target, request, context, blob = effect
        envelope = self._envelope(process, target, request, blob)
        if request.expects_response is not None:
            self._expect(process, envelope, context)
        return self._route_request(process, envelope, context)

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
        self._expect(process, envelope, None)
        process.waiting = Waiting.RESPONSE
        process.awaited = envelope.id
        return self._route_request(process, envelope, None)

    def _has_too_much(self, process: Process) -> bool:
        """Whether a process has so much outstanding, or so many outcomes unreceived, that it ends here."""
        mailbox = process.mailbox
        count = len(process.outstanding) + mailbox.outcomes
        if count < limits.MAX_OUTSTANDING and (
            process.outstanding_bytes + mailbox.outcome_bytes < limits.MAX_OUTSTANDING_BYTES
        ):
            return False
        self.lifecycle.trap(process, f"it has {count} requests outstanding or outcomes that it does not receive")
        return True

    def _route_request(
        self, process: Process, envelope: Envelope, context: bytes | None, *, admitted: bool = False
    ) -> bool:
        """Bring a request on its way; False: the target has no room, and the sender is stalled."""
        message, target = envelope.message, envelope.target
        if message.metadata is not None and not _is_json(message.metadata):
            self.undeliverable(envelope, Reason.BAD_METADATA)
        elif target.node != self.our:
            self._route_to_peer(process, envelope, context)
        else:
            receiver = self._processes.get(target.process)
            if receiver is not None:
                return self._route_to_process(process, receiver, envelope, context, admitted)
            self._route_elsewhere(process, envelope)
        return True

    def _route_to_process(
        self, process: Process, receiver: Process, envelope: Envelope, context: bytes | None, admitted: bool
    ) -> bool:
        if not self._may_message(process, receiver):
            self.undeliverable(envelope, Reason.NO_CAPABILITY)
        elif receiver.mailbox.has_room() and (admitted or not receiver.waiters):
            self._entrust(envelope, receiver, process)
            self.put_request(receiver, envelope)
        elif receiver is process or self._processes.get(process.address.process) is not process:
            # It would wait for itself, or has ended and cannot wait.
            self.undeliverable(envelope, Reason.INBOX_FULL)
        else:
            process.stall = Stall(envelope, context, deque(), Poll.RECEIVE, None)
            receiver.waiters.append(process)
            return False
        return True

    def _route_elsewhere(self, process: Process, envelope: Envelope) -> None:
        """To a system process, or to nobody."""
        target = envelope.target
        public = self._system.get(target.process)
        if public is None:
            self.undeliverable(envelope, Reason.NO_SUCH_PROCESS)
        elif public or self.grants.may_message(process.address.process, target):
            self._entrust(envelope, None, process)
            self._actions.append(ToSystem(envelope))
        else:
            self.undeliverable(envelope, Reason.NO_CAPABILITY)

    def _route_to_peer(self, process: Process, envelope: Envelope, context: bytes | None) -> None:
        reason = self._barrier(process, envelope)
        if reason is not None:
            self.undeliverable(envelope, reason)
            return
        self._entrust(envelope, None, process)
        self._actions.append(ToPeer(Parcel(envelope, context, process.prompt, process)))

    def _barrier(self, process: Process, envelope: Envelope) -> Reason | None:
        """Why a message may not leave the node; None: it may."""
        try:
            envelope.target.validate()
        except BadAddress:
            return Reason.BAD_ADDRESS
        if not self.grants.may_use_network(process.address.process):
            return Reason.NO_CAPABILITY
        return None

    def _entrust(self, envelope: Envelope, holder: Process | None, sender: Process) -> None:
        reply_to = envelope.reply_to
        if reply_to is None or reply_to.address.node != self.our:
            return
        previous = sender if reply_to.address != sender.address else None
        if holder is not None or previous is not None:
            self._outstanding.entrust(reply_to.id, holder, previous)

    def put_request(self, receiver: Process, envelope: Envelope) -> None:
        """Hand a request to a process that has room, or in the name of somebody who need not wait."""
        _, source, _, reply_to, message, blob, _ = envelope
        weight = len(message.body) + 1 if blob is None else len(message.body) + len(blob.bytes) + 1
        self.put(receiver, Delivery(Arrival(source, message, None, blob), reply_to, reply_to is None, blob, weight))

    def _may_message(self, sender: Process, target: Process) -> bool:
        launch = target.launch
        return (
            launch.public
            or sender is target
            or launch.parent == sender.address.process
            or sender.launch.parent == launch.process
            or self.grants.may_message(sender.address.process, target.address)
        )

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
        self._actions.append(DeadLetter(self._now, envelope, reason))

    def _bury_delivery(self, process: Process, delivery: Delivery) -> None:
        answer = delivery.answer
        if isinstance(answer, Arrival):
            self.dead(
                Envelope(0, answer.source, process.address, delivery.prompt, answer.message, answer.blob),
                Reason.PROCESS_ENDED,
            )

    # --- outcomes ---------------------------------------------------------------------------------------------------

    def outcome(self, entry: Outstanding, answer: Arrival | Failure, blob: LazyLoadBlob | None) -> None:
        """The one outcome of a request (G5), with its context (G6) and prompt (G9)."""
        owner = entry.owner
        if owner is None:
            self._actions.append(Answered(entry.token, answer))
            return
        delivery = Delivery(answer, entry.prompt, False, blob, 0)
        if owner.waiting is Waiting.RESPONSE and owner.awaited == entry.id:
            self._give(owner, delivery)
        elif owner.waiting is Waiting.ROOM and owner.stall is not None and owner.stall.envelope.id == entry.id:
            self._unstall(owner, delivery)
        else:
            self.put(owner, delivery)

    def _unstall(self, owner: Process, delivery: Delivery) -> None:
        """The request that a process waits to send has run out of time: it waits no longer (G24)."""
        stall = owner.stall
        assert stall is not None
        target = self._processes.get(stall.envelope.target.process)
        if target is not None and owner in target.waiters:
            target.waiters.remove(owner)
        owner.stall = None
        if stall.poll is Poll.CALL and not stall.rest and owner.awaited == stall.envelope.id:
            self._give(owner, delivery)
            return
        owner.mailbox.put(delivery)
        owner.waiting = Waiting.NOTHING
        self._apply(owner, stall.rest, stall.poll, stall.end)

    def fail(self, entry: Outstanding, reason: Reason) -> None:
        """A request has failed; its owner is told."""
        error = SendError(kind_of(reason), entry.target, entry.request, entry.blob, reason)
        self.outcome(entry, Failure(error, entry.context), entry.blob)

    def _on_tick(self, _: Tick) -> None:
        while (entry := self._outstanding.expire(self._now)) is not None:
            self.fail(entry, Reason.EXPIRED)
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
        envelope = Envelope(prompt.id, process.address, prompt.address, None, response, blob)
        if response.metadata is not None and not _is_json(response.metadata):
            self._return_response(process, envelope, Reason.BAD_METADATA)
        elif prompt.address.node == self.our:
            self._answer(process, envelope)
        elif (reason := self._barrier(process, envelope)) is not None:
            self._return_response(process, envelope, reason)
        else:
            self._actions.append(ToPeer(Parcel(envelope, None, prompt, process)))
        return True

    def _answer(self, process: Process, envelope: Envelope) -> None:
        """A response to a request of this node."""
        id, source, target, _, response, blob, _ = envelope
        entry = self._outstanding.resolve(id)
        if entry is not None:
            assert isinstance(response, Response)
            self.outcome(entry, Arrival(source, response, entry.context, blob), blob)
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


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
