"""The promises on messages as an executable model: what every process must be handed, and when.

Written from docs/processes.md and not from the kernel, with lists where that has tables: one life of a process, one
question, one message are plain objects that know each other. tests/kernel/test_state_machines.py does the same to this
and to the real kernel and compares after every step.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

from kernel.contract.guest import Poll
from kernel.contract.message import LazyLoadBlob, Reason
from tests.kernel.model_values import (
    PEER,
    SYSTEM,
    USER,
    Delivery,
    Forget,
    Freed,
    Handed,
    Life,
    Message,
    Mode,
    Nap,
    Outgoing,
    Question,
    Respond,
    Restart,
    Send,
    Step,
)


class Model:
    """All processes of a node, and what must come of each event."""

    def __init__(self, room: int, room_bytes: int) -> None:
        """`room`, `room_bytes`: an inbox with so many requests, or so many bytes of them, takes no more."""
        self.room = room
        self.room_bytes = room_bytes
        self.now = 0.0
        self.lives: dict[str, Life] = {}
        self.expected: dict[str, list[Life | Message]] = {}
        """Who is about to be started, and who waits for that, in order; a message is a peer's or the user's."""
        self.restarts: list[Restart] = []
        self.questions: list[Question] = []
        self.dropped = 0
        self._back_off: dict[str, float] = {}
        self._numbers = 0
        self._moves: deque[Life | Message | Freed] = deque()
        """Who may move on now, one after the other (G24): who waited for a life that has ended, and who waits for one
        whose inbox has room again."""
        self._moving = False
        self.clear()

    def clear(self) -> None:
        """Forget what came of the last event."""
        self.handed: dict[str, list[Handed]] = {}
        self.left: list[Outgoing] = []
        self.dead: Counter[Reason] = Counter()
        self.began: list[str] = []
        self.ended: list[str] = []
        self.goes_on: list[str] = []
        self.taken = 0
        """Messages of peers that found their place."""
        self.answered: list[tuple[bytes, Handed]] = []
        """The user's requests, by body, with their outcomes."""
        self.told: list[tuple[str, int, Handed]] = []
        """Who was told which outcome, by the number of what it had asked."""
        self.woken: list[tuple[str, bool]] = []
        """Who slept, and whether it was woken before its time."""
        self.abandoned: list[tuple[str, str]] = []
        """Who does not want the answer of whom any more."""

    # --- what happens -----------------------------------------------------------------------------------------------

    def start(self, name: str, restarts: bool, last_words: tuple[Send, ...] = ()) -> None:
        """The user starts a process, in place of the one that runs."""
        self.kill(name)
        self._begin(Life(name, restarts, last_words, self.now))

    def kill(self, name: str) -> None:
        """The user ends a process: no on-exit (G22)."""
        self.restarts = [each for each in self.restarts if each.life.name != name]
        self._back_off.pop(name, None)
        if name in self.lives:
            self._remove(self.lives[name])

    def expect(self, name: str) -> None:
        """A process that is not there is about to be started."""
        self.expected[name] = []

    def settle(self, name: str) -> None:
        """It has been, or will not be."""
        for waiter in self.expected.pop(name, []):
            if isinstance(waiter, Life):
                self._moves.append(waiter)
                self._move_on()
            elif waiter.source == PEER:
                self.peer_sends(waiter)
            elif waiter.question is None or waiter.question.open:
                self._place(waiter)

    def polled(self, name: str, steps: list[Step], poll: Poll) -> None:
        """A guest ran: it did these, and then stopped for that reason."""
        life = self.lives[name]
        life.steps.extend(steps)
        life.poll = poll
        self._go(life)

    def tick(self, now: float) -> None:
        """Time passes."""
        self.now = now
        while due := [each for each in self.questions if each.deadline <= now]:
            first = min(due, key=lambda each: (each.deadline, each.number))
            self._fail(first, Reason.EXPIRED)
            self.dead[Reason.EXPIRED] += isinstance(first.asker, Life)
        while due_again := [each for each in self.restarts if each.at <= now]:
            again = min(due_again, key=lambda each: each.at)
            self.restarts.remove(again)
            self._begin(Life(again.life.name, again.life.restarts, again.life.last_words, now))
        while due_sleepers := [each for each in self._sleepers() if each.wakes[0] <= now]:
            self._wake(min(due_sleepers, key=lambda each: each.wakes), early=False)

    def deadline(self) -> float | None:
        """When the next tick is due."""
        times = [each.deadline for each in self.questions] + [each.at for each in self.restarts]
        times += [each.wakes[0] for each in self._sleepers()]
        return min(times, default=None)

    def user_asks(self, target: str, body: bytes, seconds: int, blob: LazyLoadBlob | None) -> None:
        """The user's requests need no room and no capability."""
        question = self._ask(USER, target, body, None, blob, None, seconds)
        message = Message(USER, target, body, blob, True, question)
        if target == PEER:
            self._owed_outside(question)
            self.left.append(Outgoing(USER, target, body, blob, question, False, True))
        else:
            self._place(message)

    def _place(self, message: Message) -> None:
        target, question = message.target, message.question
        assert question is not None
        if target in self.lives:
            question.owers.append(self.lives[target])
            self._put_request(self.lives[target], message)
        elif target in self.expected:
            self.expected[target].append(message)
        else:
            self._undeliverable(message, Reason.NO_SUCH_PROCESS)

    def peer_sends(self, message: Message) -> None:
        """Another node's request; its question is the peer's own, one of ours that it was handed, or none."""
        life = self.lives.get(message.target)
        if life is None and message.target in self.expected:
            self.expected[message.target].append(message)
        elif life is None:
            self.taken += 1
            self.dead[Reason.NO_SUCH_PROCESS] += 1
        elif self._has_room(life) and not life.waiters:
            self.taken += 1
            self._put_request(life, message)
        else:
            life.waiters.append(message, from_peer=True)

    def outside_answers(self, out: Outgoing, body: bytes, blob: LazyLoadBlob | None) -> None:
        """Another node or a system process answers what left."""
        question = out.question
        assert question is not None
        if question.open:
            self._close(question)
            self._outcome(question, "response", out.target, body, blob)
        else:
            self.dropped += 1
            self.dead[Reason.NOT_AWAITED] += 1

    def forged(self) -> None:
        """A response that nobody waits for comes from another node."""
        self.dropped += 1
        self.dead[Reason.NOT_AWAITED] += 1

    def peer_failed(self, out: Outgoing) -> None:
        """What left for another node is certain not to arrive: it comes back as Offline (G13 to G15)."""
        question = out.question
        self.dead[Reason.UNREACHABLE] += 1
        if out.expects:
            assert question is not None
            if question.open:
                self._fail(question, Reason.UNREACHABLE)
            return
        if isinstance(out.source, Life) and self.lives.get(out.source.name) is out.source:
            prompt = question if out.is_response else out.prompt
            handed = Handed("offline", out.target, out.body, out.context, out.blob)
            self._put(out.source, Delivery(handed, prompt))

    # --- lives ------------------------------------------------------------------------------------------------------

    def _begin(self, life: Life) -> None:
        self.lives[life.name] = life
        self.began.append(life.name)

    def _end(self, life: Life) -> None:
        self._remove(life)
        if life.restarts:
            wait = self._back_off.get(life.name, 1.0)
            if self.now - life.began >= 5 * wait:
                wait = 1.0
            self._back_off[life.name] = min(2 * wait, 600.0)
            self.restarts.append(Restart(self.now + wait, life))
            return
        self._back_off.pop(life.name, None)
        for last in life.last_words:
            self._route(life, Message(life.name, last.target, last.body, last.blob, False, None), None)

    def _remove(self, life: Life) -> None:
        del self.lives[life.name]
        self.ended.append(life.name)
        if life.stalled is not None:
            self.dead[Reason.PROCESS_ENDED] += 1
            self._wait_no_longer(life)
        for question in [each for each in self.questions if each.asker is life]:
            self._close(question)
        waiting = [each.prompt for each in life.inbox if each.handed.kind == "request"]
        for question in [each for each in self.questions if life in each.owers]:
            question.owers.remove(life)
            if not question.owers and question.open:
                self._fail(question, Reason.PROCESS_ENDED)
                self.dead[Reason.PROCESS_ENDED] += question not in waiting
        self.dead[Reason.PROCESS_ENDED] += sum(each.handed.kind in ("request", "response") for each in life.inbox)
        life.inbox.all()
        self._moves.extend(life.waiters.all())
        self._move_on()

    # --- polls ------------------------------------------------------------------------------------------------------

    def _go(self, life: Life) -> None:
        life.mode = Mode.RUNNING
        while life.steps:
            if not self._do(life, life.steps.popleft()):
                life.mode = Mode.STALLED
                return
        if life.poll is Poll.RECEIVE:
            life.mode = Mode.RECEIVING
            if life.inbox:
                self._hand(life, life.inbox.pop())
                self._moves.append(Freed(life))
                self._move_on()
        elif life.poll is Poll.PREEMPTED:
            self.goes_on.append(life.name)
        elif life.poll is Poll.ENDED:
            self._end(life)

    def _do(self, life: Life, step: Step) -> bool:
        if isinstance(step, Send):
            return self._send(life, step)
        if isinstance(step, Respond):
            self._respond(life, step)
        elif isinstance(step, Forget):
            self._forget(life, step.number)
        else:
            self._sleep(life, step)
        return True

    def _sleep(self, life: Life, nap: Nap) -> None:
        self._numbers += 1
        life.wakes = nap.until, self._numbers
        if life.was_told:
            self._wake(life, early=True)
        else:
            life.mode = Mode.SLEEPING

    def _sleepers(self) -> list[Life]:
        return [each for each in self.lives.values() if each.mode is Mode.SLEEPING]

    def _wake(self, life: Life, *, early: bool) -> None:
        life.mode = Mode.RUNNING
        if early:
            life.was_told = False
        self.woken.append((life.name, early))

    def _forget(self, life: Life, number: int) -> None:
        for question in [each for each in self.questions if each.asker is life and each.heard == number]:
            self._close(question)
            self.abandoned.append((life.name, question.target))

    def _send(self, life: Life, step: Send) -> bool:
        blob = life.blob if step.inherit and step.blob is None else step.blob
        question = life.prompt if step.inherit else None
        if step.expects is not None:
            question = self._ask(life, step.target, step.body, step.context, blob, life.prompt, step.expects)
            question.heard = step.heard
        if step.awaited:
            life.awaited, life.mode = question, Mode.AWAITING
        message = Message(life.name, step.target, step.body, blob, step.expects is not None, question, step.awaited)
        return self._route(life, message, step.context)

    def _respond(self, life: Life, step: Respond) -> None:
        question = life.prompt
        if question is None:
            return
        blob = life.blob if step.inherit and step.blob is None else step.blob
        if question.asker == PEER:
            self.left.append(Outgoing(life, PEER, step.body, blob, question, True, prompt=question))
        elif question.open:
            self._close(question)
            self._outcome(question, "response", life.name, step.body, blob)
        elif question.asker == USER or _name(question) in self.lives:
            self.dropped += 1
            self.dead[Reason.NOT_AWAITED] += 1
        else:
            self.dead[Reason.PROCESS_ENDED] += 1
            handed = Handed("timeout", _name(question), step.body, None, blob)
            self._put(life, Delivery(handed, question))

    # --- requests ---------------------------------------------------------------------------------------------------

    def _ask(
        self,
        asker: Life | str,
        target: str,
        body: bytes,
        context: bytes | None,
        blob: LazyLoadBlob | None,
        prompt: Question | None,
        seconds: int,
    ) -> Question:
        self._numbers += 1
        question = Question(asker, target, body, context, blob, prompt, self.now + seconds, self._numbers)
        self.questions.append(question)
        return question

    def _route(self, life: Life, message: Message, context: bytes | None, *, admitted: bool = False) -> bool:
        target = message.target
        if target in (PEER, SYSTEM):
            self._owed_outside(message.question)
            self.left.append(
                Outgoing(
                    life,
                    target,
                    message.body,
                    message.blob,
                    message.question,
                    False,
                    message.expects,
                    context,
                    life.prompt,
                )
            )
        elif target not in self.lives:
            return self._route_to_nobody(life, message, context)
        else:
            return self._route_to(life, self.lives[target], message, context, admitted)
        return True

    def _route_to_nobody(self, life: Life, message: Message, context: bytes | None) -> bool:
        if message.target in self.expected and self.lives.get(life.name) is life:
            life.stalled = message, context
            self.expected[message.target].append(life)
            return False
        self._undeliverable(message, Reason.NO_SUCH_PROCESS)
        return True

    def _route_to(self, life: Life, receiver: Life, message: Message, context: bytes | None, admitted: bool) -> bool:
        if self._has_room(receiver) and (admitted or not receiver.waiters):
            self._owed_by(message.question, receiver, life)
            self._put_request(receiver, message)
        elif receiver is life or self.lives.get(life.name) is not life:
            self._undeliverable(message, Reason.INBOX_FULL)
        else:
            life.stalled = message, context
            receiver.waiters.append(life)
            return False
        return True

    def _owed_by(self, question: Question | None, receiver: Life, sender: Life) -> None:
        if question is None or not question.open or question.asker == PEER:
            return
        if question.asker is not sender and sender in question.owers:
            question.owers.remove(sender)
        if receiver not in question.owers and not question.went_outside:
            question.owers.append(receiver)

    def _owed_outside(self, question: Question | None) -> None:
        if question is not None:
            question.went_outside = True
            question.owers.clear()

    def _undeliverable(self, message: Message, reason: Reason) -> None:
        if message.expects:
            assert message.question is not None
            if message.question.open:
                self._fail(message.question, reason)
        self.dead[reason] += 1

    # --- room (G24) -------------------------------------------------------------------------------------------------

    def _has_room(self, life: Life) -> bool:
        waiting = [each.handed for each in life.inbox if each.handed.kind == "request"]
        weight = sum(len(each.body) + 1 + (len(each.blob.bytes) if each.blob is not None else 0) for each in waiting)
        return len(waiting) < self.room and weight < self.room_bytes

    def _move_on(self) -> None:
        """Whoever can; those to whom that gives a turn come after those who have one already. (No promise says so, but
        one order it must be.)"""
        if self._moving:
            return
        self._moving = True
        while self._moves:
            move = self._moves.popleft()
            if isinstance(move, Freed):
                self._admit(move.life)
            elif isinstance(move, Life):
                self._try_again(move, admitted=False)
            else:
                self.taken += 1
                self.dead[Reason.PROCESS_ENDED] += 1
        self._moving = False

    def _admit(self, life: Life) -> None:
        while life.waiters and self._has_room(life):
            waiter = life.waiters.pop()
            if isinstance(waiter, Message):
                self.taken += 1
                self._put_request(life, waiter)
            else:
                self._try_again(waiter, admitted=True)

    def _try_again(self, life: Life, *, admitted: bool) -> None:
        if life.stalled is None:
            return
        (message, context), life.stalled = life.stalled, None
        if message.expects and message.awaited:
            life.mode = Mode.AWAITING
        else:
            life.mode = Mode.RUNNING
        if not self._route(life, message, context, admitted=admitted):
            life.mode = Mode.STALLED
        elif self.lives.get(life.name) is life and not message.awaited:
            self._go(life)

    def _unstall(self, life: Life, delivery: Delivery) -> None:
        assert life.stalled is not None
        message = life.stalled[0]
        self._wait_no_longer(life)
        if message.awaited:
            self._hand(life, delivery)
        else:
            life.inbox.append(delivery)
            self._go(life)

    def _wait_no_longer(self, life: Life) -> None:
        assert life.stalled is not None
        name, life.stalled = life.stalled[0].target, None
        target = self.lives.get(name)
        if target is not None and life in target.waiters:
            target.waiters.remove(life)
        elif life in self.expected.get(name, []):
            self.expected[name].remove(life)

    # --- deliveries -------------------------------------------------------------------------------------------------

    def _put_request(self, life: Life, message: Message) -> None:
        handed = Handed("request", message.source, message.body, None, message.blob)
        self._put(life, Delivery(handed, message.question, news=message.question is None))

    def _put(self, life: Life, delivery: Delivery) -> None:
        if life.mode is Mode.RECEIVING:
            self._hand(life, delivery)
        else:
            handed = delivery.handed
            life.inbox.append(delivery, from_peer=handed.kind in ("request", "response") and handed.other == PEER)

    def _hand(self, life: Life, delivery: Delivery) -> None:
        if not delivery.news:
            life.prompt = delivery.prompt
        life.blob = delivery.handed.blob
        life.mode = Mode.RUNNING
        life.awaited = None
        self.handed.setdefault(life.name, []).append(delivery.handed)

    # --- outcomes ---------------------------------------------------------------------------------------------------

    def _close(self, question: Question) -> None:
        assert question.open
        question.open = False
        self.questions.remove(question)

    def _fail(self, question: Question, reason: Reason) -> None:
        self._close(question)
        kind = "offline" if reason is Reason.UNREACHABLE else "timeout"
        self._outcome(question, kind, question.target, question.body, question.blob)

    def _outcome(self, question: Question, kind: str, other: str, body: bytes, blob: LazyLoadBlob | None) -> None:
        handed = Handed(kind, other, body, question.context, blob)
        asker = question.asker
        if not isinstance(asker, Life):
            self.answered.append((question.body, replace(handed, context=None)))
            return
        if question.heard is not None:
            self._tell(asker, question, question.heard, handed)
            return
        delivery = Delivery(handed, question.prompt)
        if asker.mode is Mode.AWAITING and asker.awaited is question:
            self._hand(asker, delivery)
        elif (
            asker.mode is Mode.STALLED
            and asker.stalled is not None
            and asker.stalled[0].question is question
            and asker.stalled[0].expects
        ):
            self._unstall(asker, delivery)
        else:
            self._put(asker, delivery)

    def _tell(self, asker: Life, question: Question, number: int, handed: Handed) -> None:
        self.told.append((asker.name, number, handed))
        if asker.mode is Mode.SLEEPING:
            self._wake(asker, early=True)
            return
        asker.was_told = True
        if asker.stalled is not None and asker.stalled[0].question is question:
            self._wait_no_longer(asker)
            self._go(asker)


def _name(question: Question) -> str:
    return question.asker.name if isinstance(question.asker, Life) else question.asker
