"""Hypothesis explores the kernel: random lives of two to six processes, compared with the model after every step.

They send, inherit, await, answer, flood small inboxes, end, are killed, start again, ask other nodes and are asked by
them. After each event every process must have been handed exactly what the model says (G5, G9 to G11, G14, G15), blobs
the same objects; apart from the model, order is checked for each pair (G4) and that no request has two outcomes (G5).

The default run is the same each time; `HYPOTHESIS_PROFILE=soak` explores four hundred times as much, at random, and
shrinks what it finds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kernel.contract import limits
from kernel.contract.events import (
    Abandoned,
    Action,
    Answered,
    Begin,
    CloseGuest,
    Continue,
    DeadLetter,
    Event,
    Expect,
    FromPeer,
    Inject,
    Kill,
    Parcel,
    PeerFailed,
    Polled,
    Reply,
    ResumeGuest,
    Settled,
    Start,
    Taken,
    TellGuest,
    Tick,
)
from kernel.contract.guest import Arrival, Effect, End, Failure, Poll, Woken
from kernel.contract.message import (
    ON_EXIT_NONE,
    ON_EXIT_RESTART,
    Envelope,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Reason,
    ReplyTo,
    Request,
    Response,
)
from kernel.contract.process import Launch
from tests.kernel.model import Model
from tests.kernel.model_values import (
    NOBODY,
    PEER,
    SYSTEM,
    Forget,
    Handed,
    Life,
    Message,
    Mode,
    Nap,
    Outgoing,
    Question,
    Respond,
    Send,
    Step,
)
from tests.kernel.rig import CLOCK, TERMINAL, NoProgram, Rig, here, pid, there
from tests.kernel.translation import address, effect_of, name_of, told
from tests.seeds import SOAK

NAMES = "abcdef"
ROOM, ROOM_BYTES = 3, 120
EXAMPLES, STEPS = 25, 80
IN_SOAK = 20_000
chances = st.integers(0, 9)


class Lives(RuleBasedStateMachine):
    """One run: the same events for the kernel and for the model."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.model = Model(ROOM, ROOM_BYTES)
        self.names: str = ""
        self.outside: list[tuple[Outgoing, Parcel | Envelope]] = []
        """What left the node and has not come to an end."""
        self.peers_questions: list[tuple[Question, ReplyTo]] = []
        """Of other nodes, and of ours those that went there."""
        self.reply_tos: dict[Question, ReplyTo] = {}
        self.questions: dict[ReplyTo, Question] = {}
        self.counts: Counter[str] = Counter()
        self.last_seen: dict[tuple[str, int, str, int], int] = {}
        self.lives: Counter[str] = Counter()
        self.outcomes: Counter[bytes] = Counter()
        self.in_step = False
        """Whether kernel and model are being compared, or differ."""

    # --- both at once -----------------------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Let the kernel take what the model has just taken, and compare."""
        self.in_step = True
        actions = self.rig.tell(event)
        model = self.model
        handed: dict[str, list[Handed]] = {}
        woken: list[tuple[str, bool]] = []
        for action in actions:
            if isinstance(action, ResumeGuest) and isinstance(action.answer, Woken | None):
                woken.append((action.process.process, action.answer is not None))
            elif isinstance(action, ResumeGuest):
                assert isinstance(action.answer, (Arrival, Failure))
                handed.setdefault(action.process.process, []).append(told(action.answer))
                self.note(action.process.process, action.answer)
            elif isinstance(action, Begin):
                self.lives[action.launch.process.process] += 1
        assert handed == model.handed, f"handed {handed}, but the model says {model.handed}"
        assert woken == model.woken, f"{woken} are awake, but the model says {model.woken}"
        self.same_blobs(handed)
        self.compare_heard(actions)
        self.compare_actions(actions)
        model.clear()
        self.in_step = False

    def same_blobs(self, handed: dict[str, list[Handed]]) -> None:
        """G11, G12: the blobs are the very same objects."""
        for name, items in handed.items():
            for ours, models in zip(items, self.model.handed[name], strict=True):
                same = ours.blob is None or (models.blob is not None and ours.blob.bytes is models.blob.bytes)
                assert same, f"{name} was handed a copy of a blob"

    def compare_heard(self, actions: list[Action]) -> None:
        """What guests are told, and what they do not want to be told any more."""
        found = [(a.process.process, a.number, told(a.outcome)) for a in actions if isinstance(a, TellGuest)]
        assert found == self.model.told, f"{found} were told, but the model says {self.model.told}"
        self.outcomes.update(b"heard %d" % number for _, number, _ in found)
        abandoned = [
            (a.reply_to.address.process.process, name_of(a.target)) for a in actions if isinstance(a, Abandoned)
        ]
        assert abandoned == self.model.abandoned

    def compare_actions(self, actions: list[Action]) -> None:
        """Everything else that the kernel did."""
        model = self.model
        assert [a.launch.process.process for a in actions if isinstance(a, Begin)] == model.began
        assert [a.process.process for a in actions if isinstance(a, CloseGuest)] == model.ended
        assert sorted(a.process.process for a in actions if isinstance(a, Continue)) == sorted(model.goes_on)
        assert Counter(a.reason for a in actions if isinstance(a, DeadLetter)) == model.dead
        assert sum(isinstance(a, Taken) for a in actions) == model.taken
        users = [(a.token, told(a.answer)) for a in actions if isinstance(a, Answered)]
        assert users == model.answered, f"the user was told {users}, but the model says {model.answered}"
        self.outcomes.update(token for token, _ in users if isinstance(token, bytes))
        self.compare_what_left(actions)

    def compare_what_left(self, actions: list[Action]) -> None:
        left = [each for each in actions if isinstance(each, (Parcel, Envelope))]
        assert len(left) == len(self.model.left), f"{left} left, but the model says {self.model.left}"
        for ours, models in zip(left, self.model.left, strict=True):
            envelope = ours.envelope if isinstance(ours, Parcel) else ours
            assert envelope.message.body == models.body
            assert (envelope.blob and envelope.blob.bytes) is (models.blob and models.blob.bytes)
            assert isinstance(envelope.message, Response) is models.is_response
            self.compare_reply_to(envelope, models)
            self.outside.append((models, ours))

    def compare_reply_to(self, envelope: Envelope, models: Outgoing) -> None:
        """G9, G10: what leaves asks for, or answers, what the model says: each question has one id, ever."""
        ours = ReplyTo(envelope.target, envelope.id) if models.is_response else envelope.reply_to
        self.same_prompt(models.question, ours)
        if models.question is None or ours is None:
            return
        if all(question is not models.question for question, _ in self.peers_questions):
            self.peers_questions.append((models.question, ours))

    def same_prompt(self, models: Question | None, ours: ReplyTo | None) -> None:
        """Each question has one reply-to, and each reply-to is one question's."""
        assert (models is None) == (ours is None), f"the prompt is {ours}, but the model says {models}"
        if models is not None and ours is not None:
            assert self.reply_tos.setdefault(models, ours) == ours, f"{ours} is not the reply-to of {models}"
            assert self.questions.setdefault(ours, models) is models, f"{ours} is the reply-to of another question"

    def note(self, name: str, answer: Arrival | Failure) -> None:
        """G4 and G5, without the model."""
        if isinstance(answer, Arrival) and isinstance(answer.message, Request):
            source, _, number = answer.message.body.decode().partition("#")
            pair = (source, self.lives[source], name, self.lives[name])
            if "@" not in source:
                assert self.last_seen.get(pair, -1) < int(number), f"{source} to {name}: {number} out of order"
                self.last_seen[pair] = int(number)
        elif isinstance(answer, Failure) or answer.context is not None:
            key = answer.context
            if key is not None and not key.startswith(b"news"):
                self.outcomes[key] += 1

    # --- rules ------------------------------------------------------------------------------------------------------

    def some(self, mode: Mode) -> list[str]:
        return sorted(name for name, life in self.model.lives.items() if life.mode is mode)

    def body(self, source: str) -> bytes:
        """A body that nobody else sends: its source, and a number that grows."""
        self.counts[source] += 1
        return f"{source}#{self.counts[source]}".encode()

    @staticmethod
    def blob(chance: int, body: bytes) -> LazyLoadBlob | None:
        """None, a small one, or one that fills an inbox."""
        return LazyLoadBlob(None, (b"blob of " + body) * (1 + 9 * (chance == 0))) if chance < 3 else None

    @initialize(count=st.integers(2, 6), restarting=st.integers(0, 63))
    def begin(self, count: int, restarting: int) -> None:
        self.names = NAMES[:count]
        for index, name in enumerate(self.names):
            self.launch(name, restarts=bool(restarting >> index & 1), words=False)

    def launch(self, name: str, restarts: bool, words: bool) -> None:
        last: tuple[Send, ...] = ()
        on_exit = ON_EXIT_RESTART if restarts else ON_EXIT_NONE
        if words and not restarts:
            target = self.names[0] if name != self.names[0] else self.names[-1]
            body = f"{name}@#last".encode()
            last = (Send(target, body),)
            request = OnExitRequest(address(target), Request(False, None, body), None)
            on_exit = OnExit(OnExitAction.REQUESTS, (request,))
        if any(each.life.name == name for each in self.model.restarts):
            self.kill(name)
        self.model.start(name, restarts, last)
        start = Start(Launch(pid(name), NoProgram(), on_exit, public=True), (self.rig.kernel.grants.network,))
        self.tell(start)
        if name in self.model.expected:
            self.settle(name)

    def settle(self, name: str) -> None:
        self.model.settle(name)
        self.tell(Settled((pid(name),)))

    def polled(self, name: str, steps: list[Step], poll: Poll) -> None:
        effects: list[Effect] = [effect_of(step) for step in steps]
        self.model.polled(name, steps, poll)
        self.tell(Polled(pid(name), poll, effects, End("oops") if poll is Poll.ENDED else None))

    def request(self, data: st.DataObject, name: str, *, awaited: bool = False) -> Send:
        places = [each for each in self.names if not awaited or each != name]
        target = data.draw(st.sampled_from([*places, *places, PEER, SYSTEM, NOBODY]), "target")
        body = self.body(name)
        expects = data.draw(st.sampled_from([3, 0, 50] if awaited else [None, None, 3, 0, 50]), "expects")
        context = None if awaited else body if expects is not None else b"news " + body
        inherit = data.draw(chances, "inherit") < 5
        return Send(target, body, expects, inherit, context, self.blob(data.draw(chances, "blob"), body), awaited)

    @precondition(lambda self: self.some(Mode.RUNNING))
    @rule(data=st.data(), count=st.integers(0, 4), poll=st.sampled_from([Poll.RECEIVE, Poll.RECEIVE, Poll.PREEMPTED]))
    def run_guest(self, data: st.DataObject, count: int, poll: Poll) -> None:
        name = data.draw(st.sampled_from(self.some(Mode.RUNNING)), "who")
        steps: list[Step] = []
        for _ in range(count):
            if data.draw(chances, "answer?") < 4:
                body = b"answer of " + self.body(name)
                own = self.blob(data.draw(chances, "blob"), body)
                steps.append(Respond(body, data.draw(chances, "inherit") < 5, own))
            else:
                steps.append(self.request(data, name))
        self.polled(name, steps, poll)

    @precondition(lambda self: self.some(Mode.RUNNING))
    @rule(data=st.data(), count=st.integers(0, 3), seconds=st.sampled_from([None, None, 0, 2, 40]))
    def hear(self, data: st.DataObject, count: int, seconds: int | None) -> None:
        """One asks, forgets what it has asked, and perhaps sleeps."""
        name = data.draw(st.sampled_from(self.some(Mode.RUNNING)), "who")
        steps: list[Step] = []
        for _ in range(count):
            asked = [each.heard for each in self.model.questions if each.heard is not None]
            if asked and data.draw(chances, "forget?") < 3:
                steps.append(Forget(data.draw(st.sampled_from(asked), "what")))
            else:
                self.counts["heard"] += 1
                send = self.request(data, name)
                expects = data.draw(st.sampled_from([3, 0, 50]), "for how long")
                steps.append(replace(send, expects=expects, inherit=False, context=None, heard=self.counts["heard"]))
        if seconds is not None:
            steps.append(Nap(self.rig.now + seconds))
        self.polled(name, steps, Poll.PREEMPTED if seconds is None else Poll.CALL)

    @precondition(lambda self: self.some(Mode.RUNNING))
    @rule(data=st.data())
    def await_(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.some(Mode.RUNNING)), "who")
        self.polled(name, [self.request(data, name, awaited=True)], Poll.CALL)

    @precondition(lambda self: len(self.some(Mode.RUNNING)) > 1)
    @rule(data=st.data(), counts=st.lists(st.integers(1, 4), min_size=6, max_size=6))
    def crowd(self, data: st.DataObject, counts: list[int]) -> None:
        """Several flood one inbox, which something large may fill."""
        running = self.some(Mode.RUNNING)
        target = data.draw(st.sampled_from(running), "target")
        senders = [name for name in running if name != target]
        elsewhere = data.draw(st.sampled_from([target, *senders]), "and then")
        large = LazyLoadBlob(None, bytes(ROOM_BYTES))
        for number, (name, count) in enumerate(zip(senders, counts, strict=False)):
            body = self.body(name)
            expects, context = (3, body) if count == 2 else (None, None)
            first = Send(target, body, expects, False, context, large if number == 0 and count > 1 else None)
            more = [Send(elsewhere, self.body(name)) for _ in range(count - 1)]
            if self.model.lives[name].mode is Mode.RUNNING:
                self.polled(name, [first, *more], Poll.RECEIVE)

    @precondition(lambda self: self.some(Mode.RUNNING))
    @rule(data=st.data(), count=st.integers(2, 6))
    def flood(self, data: st.DataObject, count: int) -> None:
        name = data.draw(st.sampled_from(self.some(Mode.RUNNING)), "who")
        target = data.draw(st.sampled_from(self.names), "target")
        self.polled(name, [Send(target, self.body(name)) for _ in range(count)], Poll.RECEIVE)

    @precondition(lambda self: self.some(Mode.RUNNING))
    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.some(Mode.RUNNING)), "who")
        target, body = data.draw(st.sampled_from([*self.names, PEER]), "whom"), self.body(name)
        blob = self.blob(data.draw(chances, "blob"), body)
        self.polled(name, [Send(target, body, data.draw(st.sampled_from([50, 3])), False, body, blob)], Poll.RECEIVE)

    def questioned(self) -> list[str]:
        """Who runs and has a prompt."""
        return [name for name in self.some(Mode.RUNNING) if self.model.lives[name].prompt is not None]

    @precondition(lambda self: self.questioned())
    @rule(data=st.data())
    def pass_on(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.questioned()), "who")
        target = data.draw(st.sampled_from([*self.names, PEER]), "whom")
        self.polled(name, [Send(target, self.body(name), None, True, b"news")], Poll.RECEIVE)

    @precondition(lambda self: self.questioned())
    @rule(data=st.data())
    def answer_question(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.questioned()), "who")
        inherit = data.draw(st.booleans(), "inherit")
        self.polled(name, [Respond(b"answer of " + self.body(name), inherit)], Poll.RECEIVE)

    def questioned_by_the_living(self) -> list[str]:
        """Who has a prompt of another process here."""
        lives = self.model.lives
        askers = {name: lives[name].prompt for name in self.questioned()}
        return [
            name
            for name, prompt in askers.items()
            if prompt and isinstance(prompt.asker, Life) and lives.get(prompt.asker.name) not in (None, lives[name])
        ]

    @precondition(lambda self: self.questioned_by_the_living())
    @rule(data=st.data())
    def answer_who_has_ended(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.questioned_by_the_living()), "who")
        prompt = self.model.lives[name].prompt
        assert prompt is not None
        assert isinstance(prompt.asker, Life)
        self.kill(prompt.asker.name)
        if self.model.lives[name].mode is Mode.RUNNING:
            self.polled(name, [Respond(b"answer of " + self.body(name))], Poll.RECEIVE)

    @precondition(lambda self: self.some(Mode.RUNNING))
    @rule()
    def all_receive(self) -> None:
        for name in self.some(Mode.RUNNING):
            if self.model.lives[name].mode is Mode.RUNNING:  # another's turn may have stalled it
                self.polled(name, [], Poll.RECEIVE)

    @precondition(lambda self: self.model.lives)
    @rule(data=st.data(), how=st.sampled_from(["end", "end", "kill"]))
    def somebody_ends(self, data: st.DataObject, how: str) -> None:
        running = self.some(Mode.RUNNING)
        if how == "end" and running:
            self.polled(data.draw(st.sampled_from(running), "who"), [], Poll.ENDED)
        else:
            self.kill(data.draw(st.sampled_from(sorted(self.model.lives)), "whom"))

    def kill(self, name: str) -> None:
        self.model.kill(name)
        self.tell(Kill(pid(name)))

    @rule(data=st.data(), restarts=st.booleans(), words=st.booleans())
    def user_starts(self, data: st.DataObject, restarts: bool, words: bool) -> None:
        gone = [name for name in self.names if name not in self.model.lives]
        self.launch(data.draw(st.sampled_from(gone or list(self.names)), "whom"), restarts, words)

    def gone(self) -> list[str]:
        """Who does not run, will not of itself, and is not expected."""
        restarting = {each.life.name for each in self.model.restarts}
        there = self.model.lives.keys() | self.model.expected.keys() | restarting
        return [name for name in self.names if name not in there]

    @precondition(lambda self: self.gone())
    @rule(data=st.data())
    def somebody_is_about_to_be_started(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.gone()), "who")
        self.model.expect(name)
        self.tell(Expect((pid(name),)))

    @precondition(lambda self: self.model.expected)
    @rule(data=st.data(), starts=st.booleans())
    def who_was_expected_is_started_or_not(self, data: st.DataObject, starts: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.expected)), "who")
        if starts:
            self.launch(name, restarts=False, words=False)
        else:
            self.settle(name)

    @rule(seconds=st.sampled_from([0, 1, 5, 60]))
    def time_passes(self, seconds: int) -> None:
        self.rig.now += seconds
        self.model.tick(self.rig.now)
        self.tell(Tick())

    @rule(data=st.data(), seconds=st.sampled_from([0, 5, 50]))
    def user_asks(self, data: st.DataObject, seconds: int) -> None:
        target = data.draw(st.sampled_from([*self.names, PEER, NOBODY]), "whom")
        body = self.body("user@")
        blob = self.blob(data.draw(chances, "blob"), body)
        self.model.user_asks(target, body, seconds, blob)
        self.tell(Inject(TERMINAL, address(target), Request(False, seconds, body), blob, body))

    @rule(data=st.data(), asks=st.integers(0, 2))
    def peer_sends(self, data: st.DataObject, asks: int) -> None:
        target, body = data.draw(st.sampled_from(self.names), "whom"), self.body("peer@")
        blob = self.blob(data.draw(chances, "blob"), body)
        question, reply_to = None, None
        if asks == 1 or (asks and not self.peers_questions):
            question = Question(PEER, target, body, None, None, None, 0, 0)
            reply_to = ReplyTo(there("x"), 1_000_000 + self.counts["peer@"])
            self.peers_questions.append((question, reply_to))
        elif asks:
            question, reply_to = data.draw(st.sampled_from(self.peers_questions), "whose")
        self.model.peer_sends(Message(PEER, target, body, blob, asks == 1, question))
        request = Request(False, 9 if asks == 1 else None, body)
        envelope = Envelope(self.counts["peer@"], there("x"), here(target), reply_to, request, blob, True)
        self.tell(FromPeer(envelope, object()))

    @precondition(lambda self: self.outside)
    @rule(data=st.data())
    def what_left_comes_to_an_end(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.outside) - 1), "which")
        models, ours = self.outside.pop(index)
        if isinstance(ours, Parcel) and data.draw(chances, "fails?") < 5:
            self.model.peer_failed(models)
            self.tell(PeerFailed(ours, Reason.UNREACHABLE))
        elif models.question is not None and not models.is_response and models.question.asker != PEER:
            if data.draw(chances, "kept?") < 3:
                self.outside.append((models, ours))  # it will be answered twice
            self.answer(data, models, ours)

    @precondition(lambda self: any(isinstance(ours, Parcel) for _, ours in self.outside))
    @rule(data=st.data())
    def what_left_fails_in_the_next_life(self, data: st.DataObject) -> None:
        parcels = [index for index, (_, ours) in enumerate(self.outside) if isinstance(ours, Parcel)]
        models, ours = self.outside.pop(data.draw(st.sampled_from(parcels), "which"))
        assert isinstance(ours, Parcel)
        if isinstance(models.source, Life):
            self.launch(models.source.name, restarts=False, words=False)
            self.polled(models.source.name, [], Poll.RECEIVE)
        self.model.peer_failed(models)
        self.tell(PeerFailed(ours, Reason.UNREACHABLE))

    def answer(self, data: st.DataObject, models: Outgoing, ours: Parcel | Envelope) -> None:
        body = b"answer of " + self.body("outside@")
        blob = self.blob(data.draw(chances, "blob"), body)
        self.model.outside_answers(models, body, blob)
        envelope = ours.envelope if isinstance(ours, Parcel) else ours
        assert envelope.reply_to is not None
        to, id = envelope.reply_to
        if models.target == SYSTEM:
            self.tell(Reply(CLOCK, envelope.reply_to, Response(False, body), blob))
        else:
            self.model.taken += 1
            self.tell(FromPeer(Envelope(id, there("x"), to, None, Response(False, body), blob, True), object()))

    @precondition(lambda self: self.peers_questions)
    @rule(data=st.data())
    def peer_forges_an_answer(self, data: st.DataObject) -> None:
        _, (to, id) = data.draw(st.sampled_from(self.peers_questions), "whose")
        target = next(here(name) for name in NAMES if here(name) != to)
        self.model.forged()
        self.model.taken += 1
        self.tell(FromPeer(Envelope(id, there("x"), target, None, Response(False, b"forged"), None, True), object()))

    # --- after every step -------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        kernel, model = self.rig.kernel, self.model
        assert [key for key, count in self.outcomes.items() if count > 1] == [], "two outcomes of one request"
        figures = kernel.statistics()
        assert {each: figures[each] for each in ("processes", "outstanding", "dropped")} == {
            "processes": len(model.lives),
            "outstanding": len(model.questions),
            "dropped": model.dropped,
        }
        assert kernel.next_deadline() == model.deadline()

    @invariant()
    def every_process_has_the_same_prompt_and_inbox(self) -> None:
        for name, life in self.model.lives.items():
            process = self.rig.kernel.processes[pid(name)]
            assert len(process.mailbox) == len(life.inbox)
            if life.mode is not Mode.STALLED:  # the kernel may be ahead within one poll
                self.same_prompt(life.prompt, process.prompt)
                assert process.blob == life.blob

    def teardown(self) -> None:
        """In the end all time-outs pass: nothing is outstanding any more."""
        if self.in_step:
            return  # it has failed already
        for _ in range(20):
            self.rig.now += 1000
            self.model.tick(self.rig.now)
            self.tell(Tick())
            while running := self.some(Mode.RUNNING):
                self.polled(running[0], [], Poll.RECEIVE)
        assert self.rig.kernel.statistics()["outstanding"] == 0
        assert not self.some(Mode.AWAITING)
        assert not self.some(Mode.SLEEPING)
        for process in self.rig.kernel.processes.values():
            assert ([*process.owes, *process.outstanding], process.outstanding_bytes) == ([], 0), process
            assert process.asks == {}, process
            if process.stall is None:  # two that have flooded each other wait for ever
                assert process.mailbox.answer_bytes == process.mailbox.error_bytes == 0, process


def test_g4_g5_g9_g10_g11_g14_g15_hold_after_every_step_of_random_lives() -> None:
    with patch.multiple(limits, MAX_INBOX_MESSAGES=ROOM, MAX_INBOX_BYTES=ROOM_BYTES):
        run_state_machine_as_test(
            Lives,
            settings=settings(
                max_examples=IN_SOAK if SOAK else EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                derandomize=not SOAK,
                print_blob=False,
                phases=[Phase.generate, Phase.shrink] if SOAK else [Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
