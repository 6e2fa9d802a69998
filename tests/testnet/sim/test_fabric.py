"""Links of a simulation behave as TCP does: order, back-pressure, and a network that is gone and comes back."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass, field
from random import Random

import pytest

from testnet.faults.loss import Loss
from testnet.faults.partition import Partition
from testnet.model.lab import NodePlan, Outcome
from testnet.model.rule import HOLD, LOSE, PASS, Alter, Delay, Dialing, Event, Passing, Redirect, Reset, Verdict
from testnet.model.where import Where
from testnet.sim import fabric, wired
from testnet.sim.fabric import LinkBehaviour
from testnet.sim.node import NodeSpec
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation

ONE, TWO = "one.nec", "two.nec"
HELLO = "our@hello:hello:sys"
DELAY = 0.25
"""Seconds that each piece takes; a power of two, so that sums are exact."""


@pytest.fixture
def lab(programs: Programs) -> Simulation:
    lab = Simulation(20261125, programs, LinkBehaviour(DELAY, DELAY), watches=True)
    lab.boot(NodePlan(ONE, ("hello", "file_transfer")), NodePlan(TWO, ("hello", "file_transfer")))
    assert greet(lab).kind == "response"
    return lab


def greet(lab: Simulation, timeout: int = 20) -> Outcome:
    body = {"Ask": {"node": TWO, "name": "you", "timeout": timeout}}
    return lab.ask(ONE, HELLO, body, timeout + 5)


@dataclass(frozen=True, slots=True)
class Says:
    """A fault of links that says one thing of what goes from ONE to TWO."""

    verdict: Verdict
    about: type = Passing
    seen: list[Event] = field(default_factory=list)

    def judge(self, event: Event, chance: Random) -> Verdict:
        if event.link != (ONE, TWO) or not isinstance(event, self.about):
            return PASS
        self.seen.append(event)
        return self.verdict

    def words(self) -> str:
        return f"say {self.verdict}"


@dataclass(slots=True)
class DelaysTheFirst:
    """A fault of links that makes the first piece from ONE to TWO late."""

    seconds: float
    _came: bool = field(default=False, init=False)

    def judge(self, event: Event, chance: Random) -> Verdict:
        if self._came or event.link != (ONE, TWO) or not isinstance(event, Passing):
            return PASS
        self._came = True
        return Delay(self.seconds)

    def words(self) -> str:
        return f"delay the first piece by {self.seconds:g} s"


def test_a_message_and_its_answer_take_what_both_ways_take(lab: Simulation) -> None:
    began = lab.now
    greet(lab)
    assert lab.now == began + 2 * DELAY


def test_a_delay_comes_on_top(lab: Simulation) -> None:
    with lab.apply(Says(Delay(1.0))):
        began = lab.now
        greet(lab)
    assert lab.now == began + 2 * DELAY + 1.0


def test_what_is_not_delayed_does_not_overtake_what_is(lab: Simulation) -> None:
    asked = []
    began = lab.now
    with lab.apply(DelaysTheFirst(4.0)):
        for name in ("first", "second"):
            asked.append(lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": name}}, 20))
            lab.rest(1.0)
        lab.wait(lambda: asked[1].outcome is not None, 20.0)
        assert asked[0].outcome is not None
    assert lab.now == began + 4.0 + 2 * DELAY


def test_what_is_lost_arrives_when_it_is_sent_again_after_the_network_is_back(lab: Simulation) -> None:
    sent = lab.now
    with lab.apply(Partition(Where(ONE, TWO))):
        asked = lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 20}}, 25)
        lab.rest(4.0)
        assert asked.outcome is None
    lab.wait(lambda: asked.outcome is not None, 20.0)
    assert asked.outcome is not None
    assert asked.outcome.kind == "response"
    assert lab.now == pytest.approx(sent + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 2 * DELAY)


def test_what_is_said_meanwhile_waits_behind_what_is_sent_again_and_does_not_put_it_off(lab: Simulation) -> None:
    sent = lab.now
    with lab.apply(Partition(Where(ONE, TWO))):
        first = lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "first", "timeout": 20}}, 25)
        lab.rest(2.0)
    with lab.apply(Partition(Where(ONE, TWO))):
        lab.rest(0.5)
    second = lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "second", "timeout": 20}}, 25)
    lab.wait(lambda: first.outcome is not None and second.outcome is not None, 20.0)
    assert lab.now == pytest.approx(sent + 0.2 + 0.4 + 0.8 + 1.6 + 2 * DELAY)


def test_a_dial_that_is_lost_is_sent_again_after_a_second_and_then_two(lab: Simulation) -> None:
    with lab.apply(Partition(Where(ONE, TWO))):
        lab.cut(TWO)
        lab.rest(0.5)
        dials = [float(line.split()[0]) for line in lab.journal if line.endswith(f"{ONE} dials {TWO}")]
        asked = lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 20}}, 25)
        lab.rest(1.0)
    lab.wait(lambda: asked.outcome is not None, 20.0)
    assert lab.now >= dials[-1] + 1.0 + 2.0
    assert asked.outcome is not None
    assert asked.outcome.kind == "response"


def test_what_waits_goes_on_at_once_when_it_may(lab: Simulation) -> None:
    with lab.apply(Says(HOLD)):
        asked = lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 20}}, 25)
        lab.rest(4.0)
        assert asked.outcome is None
    back = lab.now
    lab.wait(lambda: asked.outcome is not None, 20.0)
    assert lab.now == back + 2 * DELAY


def test_a_dial_that_waits_arrives_when_the_network_is_back(lab: Simulation) -> None:
    hold = Says(HOLD, Dialing)
    with lab.apply(hold):
        lab.cut(TWO)
        asked = lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 20}}, 25)
        lab.rest(1.0)
        assert hold.seen
    lab.wait(lambda: asked.outcome is not None, 20.0)
    assert asked.outcome is not None
    assert asked.outcome.kind == "response"


def test_after_something_is_lost_nothing_more_arrives_on_that_connection(lab: Simulation) -> None:
    with lab.apply(Says(LOSE)):
        lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 2}}, 5)
        lab.rest(1.0)
    assert "Failed" in greet(lab, 2).body


def test_a_reset_lets_the_bytes_before_it_arrive_and_ends_the_connection_for_both(lab: Simulation) -> None:
    with lab.apply(Says(Reset(3))):
        lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 2}}, 5)
        lab.rest(DELAY)
        assert [peer.state for node in lab.nodes.values() for peer in node.core.network.peers()] != []
    assert greet(lab).kind == "response"


def test_altered_bytes_are_what_arrives(lab: Simulation) -> None:
    with lab.apply(Says(Alter(b"\0" * 40))):
        lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 2}}, 5)
        lab.rest(2.0)
    assert any("log net: " in line and ONE in line for line in lab.journal), lab.log(TWO)
    assert greet(lab).kind == "response"


def test_a_redirected_dial_reaches_the_other_host(lab: Simulation) -> None:
    lab.boot_node(NodeSpec(TWO, host="elsewhere", key="another", registers=False))
    with lab.apply(Says(Redirect("elsewhere"), Dialing)):
        lab.crash(TWO)
        assert greet(lab, 10).body == {"Failed": {"kind": "Offline"}}
    assert any("the peer does not hold the key of two.nec" in line for line in lab.log(ONE)), lab.log(ONE)


def test_a_node_takes_no_more_bytes_from_its_core_than_the_buffers_hold(lab: Simulation) -> None:
    path = lab.share(ONE, lab.chance("file").randbytes(3 * fabric.BUFFER_BYTES), "large.bin")
    with lab.apply(Says(HOLD)):
        lab.begin(ONE, "our@file_transfer:file_transfer:sys", order(path), 100)
        lab.rest(5.0)
        assert end_of(lab, ONE, TWO).under_way < fabric.BUFFER_BYTES + fabric.SEGMENT_BYTES


def test_what_came_before_the_end_of_a_connection_is_read_before_it(lab: Simulation) -> None:
    two, end = lab.nodes[TWO], end_of(lab, TWO, ONE)
    lab.fabric.hold(two, end.connection, held=True)
    lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 20}}, 25)
    lab.rest(1.0)
    lab.crash(ONE)
    lab.rest(1.0)
    before = len(lab.journal)
    assert end.open
    lab.fabric.hold(two, end.connection, held=False)
    lab.rest(1.0)
    since = lab.journal[before:]
    assert any(f" {TWO} message " in line and f'"source":"{ONE}@hello' in line for line in since), since
    assert not end.open


def test_who_does_not_read_hears_of_the_end_of_a_connection_by_writing(lab: Simulation) -> None:
    end = end_of(lab, TWO, ONE)
    lab.fabric.hold(lab.nodes[TWO], end.connection, held=True)
    lab.crash(ONE)
    lab.rest(1.0)
    assert end.open
    lab.begin(TWO, HELLO, {"Ask": {"node": ONE, "name": "you", "timeout": 20}}, 25)
    lab.start(ONE)
    lab.rest(1.0)
    assert not end.open


def test_a_node_that_ends_without_having_read_all_loses_what_has_not_left_yet(lab: Simulation) -> None:
    two, end = lab.nodes[TWO], end_of(lab, TWO, ONE)
    with lab.apply(Partition(Where(TWO, ONE, both=False))):
        asked = [lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 5}}, 10)]
        lab.rest(1.0)
        assert end.leaving
        lab.fabric.hold(two, end.connection, held=True)
        asked.append(lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "me", "timeout": 5}}, 10))
        lab.rest(1.0)
        lab.crash(TWO)
    lab.wait(lambda: all(each.outcome for each in asked), 20.0)
    assert all("Failed" in each.outcome.body for each in asked if each.outcome)


def test_nothing_remembers_a_node_that_has_ended_on_a_connection_that_was_lost(lab: Simulation) -> None:
    ended = weakref.ref(lab.nodes[TWO])
    with lab.apply(Loss(Where(ONE, TWO))):
        lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 2}}, 5)
        lab.rest(1.0)
        lab.restart(TWO)
    lab.rest(600.0)
    gc.collect()
    assert ended() is None


def test_a_file_larger_than_all_buffers_arrives(lab: Simulation) -> None:
    data = lab.chance("file").randbytes(3 * fabric.BUFFER_BYTES)
    outcome = lab.ask(ONE, "our@file_transfer:file_transfer:sys", order(lab.share(ONE, data, "large.bin")), 100)
    assert "Done" in outcome.body
    assert lab.received(TWO, "large.bin") == data


def test_a_host_that_loses_its_power_says_nothing(lab: Simulation) -> None:
    end = end_of(lab, ONE, TWO)
    lab.cut_power(TWO)
    lab.rest(10.0)
    assert end.open
    assert not lab.running(TWO)


def test_a_host_whose_node_is_killed_says_so(lab: Simulation) -> None:
    end = end_of(lab, ONE, TWO)
    lab.crash(TWO)
    lab.rest(DELAY)
    assert not end.open


def test_what_was_sent_to_a_host_without_power_is_answered_by_a_reset_when_it_is_sent_again(lab: Simulation) -> None:
    end, sent = end_of(lab, ONE, TWO), lab.now
    lab.cut_power(TWO)
    lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 20}}, 25)
    lab.rest(2.0)
    lab.start(TWO)
    lab.wait(lambda: not end.open, 20.0)
    assert lab.now == pytest.approx(sent + 0.2 + 0.4 + 0.8 + 1.6 + 2 * DELAY)


def test_who_says_nothing_to_a_host_that_lost_its_power_meanwhile_hears_of_it_when_it_does(lab: Simulation) -> None:
    end = end_of(lab, ONE, TWO)
    lab.rest(1.0)  # nothing is on its way
    lab.cut_power(TWO)
    lab.start(TWO)
    lab.rest(5.0)
    assert end.open
    began = lab.now
    lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 20}}, 25)
    lab.wait(lambda: not end.open, 20.0)
    assert lab.now == pytest.approx(began + 2 * DELAY)


def test_a_dial_to_a_host_without_power_is_sent_again_until_it_is_there(lab: Simulation) -> None:
    lab.crash(TWO)
    lab.rest(10.0)  # the session with it is over
    lab.cut_power(TWO)
    began = lab.now
    lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 20}}, 25)
    lab.rest(0.5)
    lab.start(TWO)
    lab.wait(lambda: "net: connected to one.nec" in lab.nodes[TWO].log, 20.0)
    assert lab.now == pytest.approx(began + 1.0 + 4 * DELAY)


def test_what_has_not_left_a_host_when_it_loses_its_power_is_lost(lab: Simulation) -> None:
    with lab.apply(Partition(Where(TWO, ONE, both=False))):
        asked = lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "you", "timeout": 5}}, 10)
        lab.rest(1.0)
        lab.cut_power(TWO)
    lab.wait(lambda: asked.outcome is not None, 20.0)
    assert asked.outcome is not None
    assert "Failed" in asked.outcome.body


def test_faults_judge_a_large_segment_in_pieces(lab: Simulation) -> None:
    says = Says(PASS)
    with lab.apply(says):
        path = lab.share(ONE, lab.chance("file").randbytes(fabric.SEGMENT_BYTES), "large.bin")
        lab.ask(ONE, "our@file_transfer:file_transfer:sys", order(path), 100)
    sizes = [len(event.data) for event in says.seen if isinstance(event, Passing)]
    assert max(sizes) == fabric.PIECE_BYTES


def end_of(lab: Simulation, node: str, other: str) -> wired.LinkEnd:
    (end,) = [each for each in lab.nodes[node].ends.values() if each.link.target == other]
    return end


def order(path: str) -> dict[str, object]:
    return {"Send": {"id": "large", "path": path, "name": "large.bin", "to": TWO}}
