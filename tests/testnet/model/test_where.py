"""Which links a fault is about, how that is said to people, and how a schedule says it."""

from __future__ import annotations

import pytest

from nectar_node.base.errors import BadInput
from testnet.model.rule import Link
from testnet.model.where import ANY, EVERYWHERE, Where, read_where, write_where
from tests.testnet.faults.events import A, B, C

EACH = (EVERYWHERE, Where(A), Where(A, B), Where(A, B, both=False), Where(A, both=False), Where(ANY, B, both=False))
LINKS = [Link(A, B), Link(B, A), Link(A, C), Link(C, A), Link(B, C), Link(C, B)]


@pytest.mark.parametrize(
    ("where", "covered"),
    [
        (EVERYWHERE, LINKS),
        (Where(A), LINKS[:4]),
        (Where(A, B), LINKS[:2]),
        (Where(A, B, both=False), LINKS[:1]),
        (Where(A, both=False), [LINKS[0], LINKS[2]]),
        (Where(ANY, B, both=False), [LINKS[0], LINKS[5]]),
    ],
)
def test_a_where_covers_the_links_that_it_names(where: Where, covered: list[Link]) -> None:
    assert [link for link in LINKS if where.covers(link)] == covered


@pytest.mark.parametrize("where", [*EACH, Where(ANY, B), Where(ANY, ANY, both=False)])
def test_what_is_written_is_read_as_the_same(where: Where) -> None:
    assert read_where("stall", write_where(where)) == where


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({}, EVERYWHERE),
        ({"node": A}, Where(A)),
        ({"between": [A, B]}, Where(A, B)),
        ({"source": A}, Where(A, both=False)),
        ({"target": B}, Where(ANY, B, both=False)),
        ({"source": A, "target": B}, Where(A, B, both=False)),
    ],
)
def test_a_schedule_has_four_ways_to_say_where(given: dict[str, object], where: Where) -> None:
    assert read_where("stall", given) == where


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"between": [A]},
            'stall: between must be the names of two nodes, as ["a.nec", "b.nec"], or in a command a.nec,b.nec, '
            "and not ['a.nec'].",
        ),
        (
            {"between": A},
            'stall: between must be the names of two nodes, as ["a.nec", "b.nec"], or in a command a.nec,b.nec, '
            "and not 'a.nec'.",
        ),
        ({"between": [A, A]}, "stall: between names a.nec twice."),
        ({"node": "A"}, "stall: node must be a node's name, such as a.nec, or * for all, and not 'A'."),
        ({"source": 7}, "stall: source must be a node's name, such as a.nec, or * for all, and not 7."),
        (
            {"node": A, "source": B},
            "stall: its links are given by between, by node, or by source and target, not by several of these.",
        ),
        (
            {"between": [A, B], "target": B},
            "stall: its links are given by between, by node, or by source and target, not by several of these.",
        ),
    ],
)
def test_what_names_no_links_is_refused_in_one_sentence(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_where("stall", given)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("where", "apart", "on"),
    [
        (EVERYWHERE, "all nodes from each other", "on all links"),
        (Where(A), "a.nec from all", "on all links of a.nec"),
        (Where(A, B), "a.nec from b.nec", "on the links between a.nec and b.nec"),
        (Where(A, B, both=False), "a.nec to b.nec", "on the links from a.nec to b.nec"),
        (Where(A, both=False), "a.nec to all", "on the links from a.nec to all"),
    ],
)
def test_a_where_in_words(where: Where, apart: str, on: str) -> None:
    assert (where.words(), where.links()) == (apart, on)
