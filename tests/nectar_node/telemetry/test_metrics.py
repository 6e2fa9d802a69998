"""Labels have a number that nobody can exceed, and sums outlive what they are of."""

from __future__ import annotations

from nectar_node.telemetry.metrics import MAX_PEERS, OTHER, Labels, Totals


def test_strangers_beyond_the_bound_share_one_label() -> None:
    labels = Labels(MAX_PEERS)
    assert [labels.of(f"{number}.nec") for number in range(MAX_PEERS)] == [f"{n}.nec" for n in range(MAX_PEERS)]
    assert {labels.of(f"stranger-{number}.nec") for number in range(10_000)} == {OTHER}
    assert labels.of("3.nec") == "3.nec"


def test_a_sum_does_not_shrink_when_a_part_of_it_ends() -> None:
    totals = Totals()
    assert totals.look([("p", "app", 5.0), ("q", "app", 2.0)]) == [(("app",), 7.0)]
    assert totals.look([("q", "app", 3.0)]) == [(("app",), 8.0)]
    assert totals.look([]) == [(("app",), 8.0)]


def test_a_counter_that_begins_anew_counts_from_zero() -> None:
    totals = Totals()
    totals.look([("p", "app", 5.0)])
    assert totals.look([("p", "app", 1.0)]) == [(("app",), 6.0)]
