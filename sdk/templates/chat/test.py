"""What __NAME__ promises, in a network that fails: `nectar build`, then `pytest`."""

from pathlib import Path

from testnet.faults import Partition
from testnet.model.where import Where

PACKAGE = Path(__file__).parent.parent
NAME = "our@__NAME__:__NAME__:local"
ONE, TWO = "one.nec", "two.nec"


def test_a_line_is_heard(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    assert sim.ask(ONE, NAME, {"Say": {"to": TWO, "text": "Hi"}}).body == "Heard"
    assert sim.ask(TWO, NAME, "Lines").body == {"Lines": [{"node": ONE, "text": "Hi"}]}


def test_lines_that_are_said_while_the_network_is_cut_are_heard_later_once_and_in_order(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    with sim.apply(Partition(Where(ONE, TWO))):
        said = [sim.begin(ONE, NAME, {"Say": {"to": TWO, "text": text}}, timeout=60) for text in "abc"]
        sim.rest(2)
        assert all(each.outcome is None for each in said)
    sim.wait(lambda: all(each.outcome is not None for each in said))
    assert [each.outcome.body for each in said] == ["Heard"] * 3
    assert [line["text"] for line in sim.ask(TWO, NAME, "Lines").body["Lines"]] == ["a", "b", "c"]


def test_a_line_to_a_node_that_has_left_is_missed(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    sim.leave(TWO)
    assert sim.ask(ONE, NAME, {"Say": {"to": TWO, "text": "Hi"}}, timeout=60).body == {"Missed": "Offline"}
