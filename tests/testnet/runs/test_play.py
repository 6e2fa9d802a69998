"""Who must reach whom when the network has healed."""

from __future__ import annotations

from itertools import permutations

from testnet.runs.play import EVERY_PAIR, to_reach


def names(count: int) -> list[str]:
    return [f"n{number}.nec" for number in range(count)]


def test_in_a_small_network_everybody_reaches_everybody() -> None:
    assert to_reach(names(EVERY_PAIR), ()) == list(permutations(names(EVERY_PAIR), 2))


def test_in_a_large_network_each_node_reaches_those_1_2_4_and_so_on_places_after_it() -> None:
    reached = [target for source, target in to_reach(names(100), ()) if source == "n90.nec"]
    assert reached == [f"n{number}.nec" for number in (6, 22, 54, 91, 92, 94, 98)]


def test_whom_a_fault_was_about_reaches_and_is_reached_by_everybody_in_a_large_network_too() -> None:
    found = to_reach(names(100), {"n7.nec"})
    assert len([pair for pair in found if "n7.nec" in pair]) == 2 * 99
