"""Who must reach whom when the network has healed."""

from __future__ import annotations

from itertools import permutations

from testnet.runs.play import EVERY_PAIR, to_reach


def names(count: int) -> list[str]:
    return [f"n{number}.nec" for number in range(count)]


def test_in_a_large_network_each_node_reaches_some_and_everybody_whom_a_fault_was_about() -> None:
    assert to_reach(names(EVERY_PAIR), ()) == list(permutations(names(EVERY_PAIR), 2))
    reached = [target for source, target in to_reach(names(100), ()) if source == "n90.nec"]
    assert reached == [f"n{number}.nec" for number in (6, 22, 54, 91, 92, 94, 98)]
    found = to_reach(names(100), {"n7.nec"})
    assert len([pair for pair in found if "n7.nec" in pair]) == 2 * 99
