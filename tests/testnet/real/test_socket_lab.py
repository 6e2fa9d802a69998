"""One body, three levels: what a lab of real nodes does, and that it ends as in a simulation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from testnet.faults.crash import Crash
from testnet.faults.impostor import Impostor
from testnet.faults.latency import Latency
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.refusal import Refusal
from testnet.faults.unsynced import Unsynced
from testnet.model.lab import Lab, Level, NodePlan, OutOfTime
from testnet.model.rule import NotAtThisLevel
from testnet.model.where import Where
from testnet.real.nodes import namespaces
from testnet.real.socket_lab import SocketLab, open_socket_lab
from testnet.scenarios.timing import told
from testnet.sim.simulation import Simulation

A, B = "a.nec", "b.nec"
PLANS = (NodePlan(A, ("hello", "file_transfer", "counter")), NodePlan(B, ("hello", "file_transfer")))
LIMIT = 60.0
"""Seconds after which something is taken never to come; no test waits for it to pass."""


@contextmanager
def open_lab(level: Level, folder: Path) -> Iterator[Lab]:
    if level is Level.SIMULATION:
        yield Simulation(1, Engine(None, replayable=True))
        return
    if level is Level.NAMESPACES and (why := namespaces.unavailable()) is not None:
        pytest.skip(why)
    with open_socket_lab(folder, 1, level) as lab:
        yield lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketLab]:
    """PLANS on loopback; whoever breaks something mends it."""
    with open_socket_lab(tmp_path_factory.mktemp("lab") / "testnet", 1) as lab:
        lab.boot(*PLANS)
        yield lab


@pytest.fixture(
    scope="module",
    params=[pytest.param(each, marks=pytest.mark.long if each is Level.NAMESPACES else ()) for each in Level],
)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The same at each level. Partitions, crashes and impostors among hosts are in `tests/levels/test_levels.py`."""
    if request.param is Level.LOOPBACK:
        yield request.getfixturevalue("lab")
        return
    with open_lab(request.param, tmp_path_factory.mktemp("shared") / "testnet") as lab:
        assert lab.level is request.param
        lab.boot(*PLANS)
        yield lab


def greet(lab: Lab, source: str, target: str, timeout: int = 30) -> str:
    """How the hello package of one node says that its request to that of the other has ended."""
    body = {"Ask": {"node": target, "name": "x", "timeout": timeout}}
    outcome = lab.ask(source, "our@hello:hello:sys", body, timeout + 5)
    assert outcome.kind == "response", outcome
    return str(outcome.body["Failed"]["kind"]) if "Failed" in outcome.body else next(iter(outcome.body))


def wait_until_healed(lab: Lab) -> None:
    """Until a.nec reaches b.nec again."""
    limit = lab.now + LIMIT
    while greet(lab, A, B) != "Answered":
        assert lab.now < limit
        lab.rest(0.5)


def a_partition_that_ends(lab: Lab, where: Where) -> list[str]:
    """The body: a hello, a partition, a hello."""
    outcomes = [greet(lab, A, B)]
    with lab.apply(Partition(where)):
        outcomes.append(greet(lab, A, B, timeout=2))
    wait_until_healed(lab)
    return [*outcomes, greet(lab, B, A)]


@pytest.mark.parametrize("where", [Where(A, B), Where(B)], ids=["a link", "a node"])
def test_a_hello_and_a_partition_that_ends_end_the_same_at_every_level(shared: Lab, where: Where) -> None:
    assert a_partition_that_ends(shared, where) == ["Answered", "Timeout", "Answered"]


def test_a_crash_and_a_refusal_end_the_same_at_every_level(shared: Lab) -> None:
    with shared.apply(Crash(B)):
        assert (shared.running(B), shared.ready(B)) == (False, False)
        assert greet(shared, A, B, timeout=20) == "Offline"
    shared.wait(lambda: shared.ready(B), LIMIT, "the boot of b.nec")
    with shared.apply(Refusal(Where(A, B))):
        shared.cut(A)
        assert greet(shared, A, B, timeout=20) == "Offline"
    wait_until_healed(shared)


def test_an_impostor_is_not_believed_at_any_level(shared: Lab) -> None:
    for name in (A, B):  # and they have never met
        shared.crash(name)
        shared.start(name)
    shared.wait(lambda: shared.ready(A) and shared.ready(B), LIMIT, "the boots")
    with shared.apply(Impostor(B)):
        asked = shared.ask(A, f"{B}@hello:hello:sys", {"Greet": "x"}, 30)
        assert asked == ("offline", None, "bad key")
        assert told(shared, f"impostor.{B}", "our@hello:hello:sys", {"Greet": "x"}, "Greeting")
    wait_until_healed(shared)


def test_a_paused_node_is_there_and_answers_when_it_goes_on(lab: SocketLab) -> None:
    with lab.apply(Pause(B)):
        assert (lab.running(B), lab.ready(B)) == (True, False)
        asked = lab.begin(B, "our@hello:hello:sys", {"Greet": "x"}, 60)
        lab.rest(0.2)
        assert asked.outcome is None
    lab.wait(lambda: asked.outcome is not None, LIMIT)
    assert asked.outcome == ("response", {"Greeting": "Hello, x, from b.nec"}, "")


def test_a_request_to_a_node_that_dies_ends_too(lab: SocketLab) -> None:
    with lab.apply(Partition()):
        asked = lab.begin(A, f"{B}@hello:hello:sys", {"Greet": "x"}, 100)
        lab.crash(A)
        lab.wait(lambda: asked.outcome is not None, LIMIT)
        assert asked.outcome == ("timeout", None, "the node has ended")
        assert lab.ask(A, "our@hello:hello:sys", {"Greet": "x"}, 1).reason == "the node has ended"
    lab.start(A)
    lab.wait(lambda: lab.ready(A), LIMIT)


def test_requests_that_are_begun_one_after_the_other_reach_the_node_in_this_order(lab: SocketLab) -> None:
    begun = [lab.begin(A, "our@counter:counter:sys", {"Add": 1}, 30) for _ in range(20)]
    lab.wait(lambda: all(each.outcome is not None for each in begun), LIMIT)
    assert [each.outcome.body for each in begun if each.outcome] == [{"Count": n} for n in range(1, 21)]


def test_a_node_leaves_and_comes_back_with_its_packages(lab: SocketLab) -> None:
    boots = _boots_of_b(lab)
    lab.leave(B)
    assert not lab.running(B)
    lab.start(B)
    lab.wait(lambda: lab.ready(B), LIMIT)
    assert greet(lab, A, B) == "Answered"
    assert _boots_of_b(lab) == boots + 1


def _boots_of_b(lab: SocketLab) -> int:
    return sum(line.endswith(f"{B} boots") for line in lab.journal)


def test_what_is_to_happen_later_happens_in_the_midst_of_waiting_in_order_of_time(lab: SocketLab) -> None:
    happened: list[str] = []
    lab.at(0.06, lambda: happened.append("second"))
    lab.at(0.03, lambda: happened.append("first"))
    lab.at(60.0, lambda: happened.append("never"))
    lab.wait(lambda: len(happened) == 2, LIMIT)
    assert happened == ["first", "second"]


def test_what_does_not_come_is_said_in_a_sentence(lab: SocketLab) -> None:
    with pytest.raises(OutOfTime, match=r"^the tram did not come within 0\.05 s$"):
        lab.wait(lambda: False, 0.05, "the tram")


def test_a_file_that_is_shared_is_sent_and_received(lab: SocketLab) -> None:
    path = lab.share(A, b"content", "file.bin")
    assert lab.received(B, "file.bin") is None
    with lab.apply(Latency(0.01)):
        order = {"Send": {"id": "1", "path": path, "name": "file.bin", "to": B}}
        outcome = lab.ask(A, "our@file_transfer:file_transfer:sys", order, 60)
    assert "Done" in outcome.body
    assert lab.received(B, "file.bin") == b"content"
    assert "net: connected to b.nec" in lab.log(A)


def test_what_real_nodes_cannot_suffer_says_so_and_does_not_hold(lab: SocketLab) -> None:
    with pytest.raises(NotAtThisLevel, match="in a simulation only"):
        lab.inject(Unsynced(A))
    assert lab.running(A)
    assert not any('"unsynced"' in line for line in lab.journal)
