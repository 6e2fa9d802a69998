"""What __NAME__ promises, in a network that fails: `nectar build`, then `pytest`."""

from pathlib import Path

from testnet.faults import Partition
from testnet.model.where import Where

PACKAGE = Path(__file__).parent.parent
NAME = "our@__NAME__:__NAME__:local"
ONE, TWO = "one.nec", "two.nec"


def boot(sim):
    sim.boot(ONE, TWO, packages=[PACKAGE])
    assert sim.ask(ONE, NAME, {"Lead": {"replica": TWO}}).body == "Ok"
    assert sim.ask(TWO, NAME, {"Follow": {"primary": ONE}}).body == "Ok"


def test_what_is_put_is_on_both_nodes_after_a_crash(sim):
    boot(sim)
    put = sim.ask(ONE, NAME, {"Put": {"key": "a", "value": "x"}}, timeout=40)
    assert put.body == {"Put": {"version": 1, "replicated": True}}
    for node in (ONE, TWO):
        sim.crash(node)
        sim.start(node)
        assert sim.ask(node, NAME, {"Get": {"key": "a"}}).body == {"Value": {"value": "x", "version": 1}}


def test_what_is_put_while_the_network_is_cut_reaches_the_replica_later(sim):
    boot(sim)
    with sim.apply(Partition(Where(ONE, TWO))):
        put = sim.ask(ONE, NAME, {"Put": {"key": "a", "value": "x"}}, timeout=60)
        assert put.body == {"Put": {"version": 1, "replicated": False}}
    sim.rest(30)
    assert sim.ask(TWO, NAME, {"Get": {"key": "a"}}).body == {"Value": {"value": "x", "version": 1}}
