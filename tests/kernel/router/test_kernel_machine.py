"""Random lives of a few processes, from a seed: whatever they do, every request has exactly one outcome (G5).

They send, inherit, await, stall on small inboxes, end, are killed and started again, fail on the network and get forged
or forwarded answers. After every event it is checked that only a guest that waits is resumed; at the end, when all has
run out, that no request of a process that still lives is without its outcome, and that nothing is left behind.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import (
    Answered,
    Begin,
    CloseGuest,
    Continue,
    Event,
    FromPeer,
    Inject,
    Kill,
    Parcel,
    PeerFailed,
    Polled,
    Reply,
    ResumeGuest,
    Start,
    Tick,
    ToSystem,
)
from kernel.contract.guest import Arrival, Effect, End, Failure, Poll, SendAndAwait
from kernel.contract.message import ON_EXIT_NONE, ON_EXIT_RESTART, Envelope, Reason, Request, Response
from kernel.contract.process import Launch
from tests.kernel.rig import CLOCK, OUR, TERMINAL, THEIR, NoProgram, Rig, here, pid, respond, send, there

NAMES = "abcd"
SEEDS = 1500
STEPS = 120
RUNNING, WAITING, SLICED = "running", "waiting", "sliced"


class Life:
    """One random run."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rig = Rig()
        self.states: dict[str, str] = {}
        self.lives: Counter[str] = Counter()
        self.awaited: dict[str, bytes] = {}
        self.sent: dict[bytes, tuple[str, int] | None] = {}
        """Each request that wants an answer, by its body: which life of whom sent it; None: the user."""
        self.outcomes: Counter[object] = Counter()
        self.outside: list[Parcel | Envelope] = []
        """Messages that left for another node or a system process."""
        self.number = 0
        for name in NAMES:
            self.start(name, restarts=name in "cd")

    def tell(self, event: Event) -> None:
        for action in self.rig.tell(event):
            if isinstance(action, Begin):
                name = action.launch.process.process
                self.states[name] = RUNNING
                self.lives[name] += 1
            elif isinstance(action, CloseGuest):
                self.states.pop(action.process.process, None)
            elif isinstance(action, ResumeGuest):
                self.resumed(action)
            elif isinstance(action, Continue):
                assert self.states[action.process.process] == SLICED
                self.states[action.process.process] = RUNNING
            elif isinstance(action, Parcel):
                self.outside.append(action)
            elif isinstance(action, ToSystem):
                self.outside.append(action.envelope)
            elif isinstance(action, Answered):
                self.outcomes[action.token] += 1

    def resumed(self, action: ResumeGuest) -> None:
        name, answer = action.process.process, action.answer
        assert self.states.get(name) == WAITING, f"{name} is resumed while it is {self.states.get(name)}"
        self.states[name] = RUNNING
        if isinstance(answer, Failure) and isinstance(answer.error.message, Request):
            if answer.error.message.expects_response is not None:
                self.outcomes[answer.error.message.body] += 1
        elif isinstance(answer, Arrival) and isinstance(answer.message, Response):
            self.outcomes[answer.context or self.awaited.get(name)] += 1

    # --- what happens -----------------------------------------------------------------------------------------------

    def start(self, name: str, *, restarts: bool) -> None:
        launch = Launch(pid(name), NoProgram(), ON_EXIT_RESTART if restarts else ON_EXIT_NONE, public=True)
        self.tell(Start(launch, (self.rig.kernel.grants.network,)))

    def body(self, sender: str | None) -> bytes:
        """A body of its own for a request that wants an answer."""
        self.number += 1
        body = str(self.number).encode()
        self.sent[body] = None if sender is None else (sender, self.lives[sender])
        return body

    def request(self, name: str) -> Effect:
        expects = self.chance.choice([None, None, 3, 0, 50])
        body = b"news" if expects is None else self.body(name)
        other = here(self.chance.choice(NAMES))
        target = self.chance.choice([other, other, there("x"), here("none"), Address(OUR, CLOCK)])
        return send(target, body, expects=expects, context=body, inherit=self.chance.random() < 0.4)

    def poll(self, name: str) -> None:
        """A guest runs for a while."""
        effects: list[Effect] = []
        for _ in range(self.chance.randint(0, 4)):
            answers = self.chance.random() < 0.4
            effects.append(respond(inherit=self.chance.random() < 0.3) if answers else self.request(name))
        kind = self.chance.choices([Poll.RECEIVE, Poll.PREEMPTED, Poll.CALL, Poll.ENDED], [55, 15, 20, 10])[0]
        self.states[name] = SLICED if kind is Poll.PREEMPTED else WAITING
        if kind is Poll.CALL:
            self.awaited[name] = self.body(name)
            other = here(self.chance.choice([each for each in NAMES if each != name]))
            target = self.chance.choice([other, there("x"), here("none")])
            seconds = self.chance.choice([0, 3, 50])
            effects.append(SendAndAwait(target, Request(False, seconds, self.awaited[name]), None))
        self.tell(Polled(pid(name), kind, effects, End("oops") if kind is Poll.ENDED else None))

    def answer_from_outside(self) -> None:
        """Something that left the node is answered, passed on, or fails."""
        message = self.outside.pop(self.chance.randrange(len(self.outside)))
        envelope = message.envelope if isinstance(message, Parcel) else message
        if isinstance(message, Parcel) and self.chance.random() < 0.4:
            self.tell(PeerFailed(message, self.chance.choice(list(Reason))))
        elif envelope.reply_to is None:
            return
        elif envelope.target.node != THEIR:
            self.tell(Reply(envelope.target.process, envelope.reply_to, Response(False, b"done"), None))
        elif self.chance.random() < 0.7:
            to, id = envelope.reply_to
            self.tell(FromPeer(Envelope(id, envelope.target, to, None, Response(False, b"yes"), None, True), None))
        else:
            target, id = here(self.chance.choice(NAMES)), (1 << 63) + self.chance.getrandbits(32)
            onward = Envelope(id, envelope.target, target, envelope.reply_to, Request(False, None, b"on"), None, True)
            self.tell(FromPeer(onward, None))

    def step(self) -> None:
        running = [name for name, state in self.states.items() if state == RUNNING]
        what = self.chance.random()
        if running and what < 0.7:
            self.poll(self.chance.choice(running))
        elif what < 0.75:
            self.tell(Kill(pid(self.chance.choice(NAMES))))
        elif what < 0.82:
            self.start(self.chance.choice(NAMES), restarts=False)
        elif what < 0.9:
            self.rig.now += self.chance.choice([0, 1, 5])
            self.tell(Tick())
        elif self.outside:
            self.answer_from_outside()
        else:
            body = self.body(None)
            self.tell(Inject(TERMINAL, here(self.chance.choice(NAMES)), Request(False, 3, body), None, body))

    def run_out(self) -> None:
        """Nobody does anything any more but receive, until all timeouts have passed."""
        for _ in range(40):
            self.rig.now += 1000
            self.tell(Tick())
            while running := [name for name, state in self.states.items() if state == RUNNING]:
                self.states[running[0]] = WAITING
                self.tell(Polled(pid(running[0]), Poll.RECEIVE, [], None))

    def check(self) -> None:
        for body, sender in self.sent.items():
            alive = sender is None or (sender[0] in self.states and self.lives[sender[0]] == sender[1])
            assert self.outcomes[body] <= 1, f"request {body!r} of {sender} has {self.outcomes[body]} outcomes"
            assert self.outcomes[body] == 1 or not alive, f"request {body!r} of {sender} has no outcome"
        assert self.rig.kernel.statistics()["outstanding"] == 0
        for process in self.rig.kernel.processes.values():
            assert [*process.owes, *process.outstanding, *process.waiters] == [], process
            assert process.stall is None, process
            assert process.outstanding_bytes == 0, process
            assert process.mailbox.answer_bytes == process.mailbox.error_bytes == 0, process


@pytest.mark.parametrize("start", range(0, SEEDS, 100))
def test_g5_every_request_of_a_random_life_has_exactly_one_outcome(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 2)
    for seed in range(start, start + 100):
        life = Life(seed)
        try:
            for _ in range(STEPS):
                life.step()
            life.run_out()
            life.check()
        except AssertionError as error:
            pytest.fail(f"seed {seed}: {error}")
