"""How messages end: a request with its one outcome (G5), and any other message that reaches nobody as a dead letter
(G16).

An entry that was taken out of the `OutstandingTable` is owed an outcome. It gets that here, with its context (G6) and
the prompt of its time (G9). Owns the counts of both.
"""

from __future__ import annotations

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import Answered, DeadLetter, TellGuest
from kernel.contract.guest import Arrival, Failure, Poll, Woken
from kernel.contract.mailbox import Delivery
from kernel.contract.message import (
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
    size_of,
)
from kernel.contract.process import Outstanding, Process, Waiting
from kernel.router.handover import Handover
from kernel.router.state import Apply, KernelState

# Names of their own, as in `kernel`.
_RECEIVE, _RESPONSE = Waiting.RECEIVE, Waiting.RESPONSE
_new = tuple.__new__


class Outcomes:
    """The one outcome of each request: a response, or the error that stands for it (G5)."""

    def __init__(self, state: KernelState, handover: Handover, apply: Apply) -> None:
        """`apply`: see `Apply`."""
        self._state = state
        self._handover = handover
        self._apply = apply
        self._outstanding = state.outstanding
        self._count = 0
        self._offline = 0
        self._timeout = 0
        """Outcomes that were Timeout."""
        self._dropped = 0
        """Responses that came too late, twice, or for no request (G5)."""

    def statistics(self) -> dict[str, int]:
        """Return counts since the start: requests `answered`, `offline`, `timeout`, responses `dropped`."""
        return {
            "dropped": self._dropped,
            "answered": self._count - self._offline - self._timeout,
            "offline": self._offline,
            "timeout": self._timeout,
        }

    # --- of requests that expect a response -------------------------------------------------------------------------

    def deliver(self, entry: Outstanding, answer: Arrival | Failure, blob: LazyLoadBlob | None) -> None:
        """Deliver the one outcome of a request that has been taken out of the table."""
        owner, state = entry.owner, self._state
        if owner is not None and type(answer) is Arrival:
            awaited = owner.waiting is _RECEIVE or (owner.waiting is _RESPONSE and owner.awaited == entry.id)
            if not awaited and not owner.mailbox.has_room_for_answer(size_of(answer.message, blob)):
                self.dead(self._rebuilt(entry.id, answer, owner.address, None), Reason.INBOX_FULL)
                self.fail(entry, Reason.INBOX_FULL)
                return
        self._count += 1
        if state.tracer is not None:
            self._trace(entry, answer)
        if owner is None:
            state.emit(Answered(entry.token, answer))
            return
        if entry.number is not None:
            self._tell(owner, entry.number, entry.id, answer)
            return
        waiting = owner.waiting
        if waiting is _RECEIVE or (waiting is _RESPONSE and owner.awaited == entry.id):
            self._handover.give(owner, answer, entry.prompt, False, blob)
            return
        delivery = _new(Delivery, (answer, entry.prompt, False, blob, 0))
        if waiting is Waiting.ROOM and owner.stall is not None and owner.stall.envelope.id == entry.id:
            self._unstall(owner, delivery)
        else:
            from_peer = type(answer) is Arrival and answer.source.node != state.our
            owner.mailbox.put(delivery, answer.source.node if from_peer else None)  # type: ignore[union-attr]

    def _unstall(self, owner: Process, delivery: Delivery) -> None:
        """Stop a process from waiting to send a request that has run out of time (G24)."""
        stall = owner.stall
        assert stall is not None
        if stall.poll is Poll.CALL and not stall.rest and owner.awaited == stall.envelope.id:
            self._state.give_up(owner)
            self._handover.give(owner, *delivery[:4])
            return
        owner.mailbox.put(delivery)
        self._go_on(owner)

    def _go_on(self, owner: Process) -> None:
        """Let a process that waited to send a request go on without."""
        stall = owner.stall
        assert stall is not None
        self._state.give_up(owner)
        owner.waiting = Waiting.NOTHING
        self._apply(owner, stall.rest, stall.poll, stall.end)

    def _tell(self, owner: Process, number: int, id: int, answer: Arrival | Failure) -> None:
        """Tell a guest the outcome of a `SendAndHear`, and wake it if it sleeps."""
        state = self._state
        owner.messages += 1
        del owner.asks[number]
        if type(answer) is Arrival:  # of an error the guest keeps the reason alone
            owner.untaken[number] = size = size_of(answer.message, answer.blob) + limits.MESSAGE_MEMORY_BYTES
            owner.account.add(size)
        if state.tracer is not None:
            state.tracer.forget(answer)  # it handles on what it handles
        state.emit(TellGuest(owner.address.process, number, answer))
        if owner.waiting is Waiting.SLEEP:
            self._handover.answer_call(owner, Woken())
            return
        owner.told = True
        if owner.waiting is Waiting.ROOM and owner.stall is not None and owner.stall.envelope.id == id:
            self._go_on(owner)

    def taken(self, owner: Process, number: int) -> None:
        """Note that a guest keeps the outcome that it was told under a number no longer as a message, if it was."""
        size = owner.untaken.pop(number, 0)
        if size:
            owner.account.remove(size)

    def _trace(self, entry: Outstanding, answer: Arrival | Failure) -> None:
        tracer, now = self._state.tracer, self._state.now
        assert tracer is not None
        if isinstance(answer, Failure):
            tracer.failed(entry.id, answer.error.reason, now)
        else:
            assert isinstance(answer.message, Response)
            tracer.answered(entry.id, answer.source, answer.message, answer.blob, now)
        if entry.owner is not None:
            tracer.queued(answer, entry.id, is_request=False)

    def fail(self, entry: Outstanding, reason: Reason) -> None:
        """Fail a request that has been taken out of the table, and tell its owner."""
        error = SendError(kind_of(reason), entry.target, entry.request, entry.blob, reason)
        if error.kind is SendErrorKind.OFFLINE:
            self._offline += 1
        else:
            self._timeout += 1
        self.deliver(entry, Failure(error, entry.context), entry.blob)

    def expire(self, now: float) -> None:
        """Fail the requests whose time is up (G7)."""
        while (entry := self._outstanding.expire(now)) is not None:
            self.fail(entry, Reason.EXPIRED)
            if entry.owner is not None:  # a user's request is the user's to know of
                reply_to = ReplyTo(entry.owner.address, entry.id)
                self.dead(
                    Envelope(entry.id, reply_to.address, entry.target, reply_to, entry.request, entry.blob),
                    Reason.EXPIRED,
                )

    def orphan(self, ended: Process, *, has_heir: bool) -> None:
        """Fail the requests that only a process that has ended could have answered (G14). The one that it was handling
        is a dead letter; `bury` makes one of each that waits in its mailbox. What waits there for its heir, the next
        process of its name, does not fail."""
        orphans = self._outstanding.orphans(ended)
        waiting = _requests_in(ended) if orphans else frozenset()
        for id in orphans:
            entry = self._outstanding.get(id)
            if entry is not None:
                reply_to = entry.prompt if entry.owner is None else ReplyTo(entry.owner.address, id)
                if has_heir and reply_to in waiting:
                    continue
                self._outstanding.resolve(id)
                self.fail(entry, Reason.PROCESS_ENDED)
                if reply_to is not None and reply_to not in waiting:
                    source, target = reply_to.address, entry.target
                    self.dead(Envelope(id, source, target, reply_to, entry.request, entry.blob), Reason.PROCESS_ENDED)

    # --- of everything else -----------------------------------------------------------------------------------------

    def undeliverable(self, envelope: Envelope, reason: Reason) -> None:
        """Handle a local request that reached nobody: a sender that expects a response gets Timeout at once (G14)."""
        request = envelope.message
        if isinstance(request, Request) and request.expects_response is not None:
            entry = self._outstanding.resolve(envelope.id)
            if entry is not None:
                self.fail(entry, reason)
        self.dead(envelope, reason)

    def drop(self, envelope: Envelope) -> None:
        """Drop a response that no request waits for (any more) (G5)."""
        self._dropped += 1
        self.dead(envelope, Reason.NOT_AWAITED)

    def dead(self, envelope: Envelope, reason: Reason) -> None:
        """Keep a message that has reached nobody as a dead letter."""
        state = self._state
        if state.tracer is not None:
            state.tracer.dropped(envelope, reason, state.now)
        state.emit(DeadLetter(state.now, envelope, reason))

    def bury(self, process: Process, delivery: Delivery) -> None:
        """Handle a delivery in the inbox of a process that has ended."""
        answer = delivery.answer
        if self._state.tracer is not None:
            self._state.tracer.forget(answer)
        if isinstance(answer, Arrival):
            self.dead(self._rebuilt(0, answer, process.address, delivery.prompt), Reason.PROCESS_ENDED)

    def disinherit(self, target: Address, delivery: Delivery, reason: Reason) -> None:
        """Handle a request that was to be handed over to the next process of a name, and cannot be."""
        assert isinstance(delivery.answer, Arrival)
        prompt = delivery.prompt
        entry = (
            self._outstanding.get(prompt.id) if prompt is not None and prompt.address.node == self._state.our else None
        )
        if entry is not None and not entry.holders and not entry.untracked:
            self._outstanding.resolve(entry.id)
            self.fail(entry, reason)
        self.dead(self._rebuilt(0, delivery.answer, target, prompt), reason)

    def _rebuilt(self, id: int, arrival: Arrival, target: Address, reply_to: ReplyTo | None) -> Envelope:
        """Return the envelope of a message that was about to be handed over."""
        source, message, _, blob = arrival
        return Envelope(id, source, target, reply_to, message, blob, is_claim(source, self._state.our))


def _requests_in(process: Process) -> frozenset[ReplyTo]:
    """Return where the answers to the requests in a process's mailbox would go."""
    return frozenset(
        delivery.prompt
        for delivery in process.mailbox.deliveries()
        if delivery.prompt is not None
        and isinstance(delivery.answer, Arrival)
        and isinstance(delivery.answer.message, Request)
    )
