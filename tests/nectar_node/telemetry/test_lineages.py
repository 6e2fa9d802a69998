"""A lineage over three nodes is one trace: a sends to b, b to c, and the answers come back; in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kernel.router.sampled_trace import bound_of
from kernel.wasm.engine import Engine
from nectar_node.telemetry.spans import CONSUMER, INTERNAL, PRODUCER, Span, Spans
from net.base.frames import LINEAGES_VERSION, PAIRS_VERSION
from tests.conformance.lab import OUR, THEIR, THIRD, SimLab, SimProbe
from tests.conformance.steps import Step, respond, send, wait_for

Told = list[tuple[str, Span]]


@contextmanager
def three(
    engine: Engine, folder: Path, versions: tuple[int, ...] = (LINEAGES_VERSION,) * 3, share: float = 1.0
) -> Iterator[tuple[SimLab, list[SimProbe]]]:
    """Three nodes that tell lineages if they speak that version, each with a probe, whose spans are followed."""
    lab = SimLab(engine, folder, 3, versions=versions)
    try:
        probes = [lab.probe(f"p{number}", on=number) for number in range(3)]
        for node in lab.nodes:
            node.core.trace(None, "spans", share)
        yield lab, probes
    finally:
        lab.close()


def spans_of(lab: SimLab, share: float = 1.0) -> Told:
    """All spans, each with its node."""
    told = []
    for node in lab.nodes:
        spans = Spans(node.name, bound_of(share))
        records = [each.record for each in node.traced if each.token == "spans"]
        told += [(node.name, span) for record in records for span in spans.add(record)]
        told += [(node.name, span) for span in spans.close()]
    return told


def chain(told: Told, *ends: Span) -> list[tuple[str, str]]:
    """The nodes and kinds of spans from the last one up to the root."""
    by_id = {span.id: (name, span) for name, span in told}
    assert len(by_id) == len(told), "two spans have one id"
    way, at = [], ends[-1]
    while True:
        name, span = by_id[at.id]
        way.append((name, span.kind))
        if at.parent is None:
            return way
        at = by_id[at.id._replace(span=at.parent)][1]


def there_and_back(probes: list[SimProbe]) -> list[Step]:
    """What the first probe does: it asks the second, which asks the third, which tells the first and answers."""
    a, b, c = probes
    return [wait_for(b, "", wait_for(c, "", send(a, "done"), respond("c"), expects=20), respond("b"), expects=30)]


@pytest.fixture
def lab(tmp_path: Path, replayable: Engine) -> Iterator[tuple[SimLab, list[SimProbe]]]:
    with three(replayable, tmp_path) as made:
        yield made


def test_all_spans_of_a_lineage_over_three_nodes_and_back_are_one_tree(lab: tuple[SimLab, list[SimProbe]]) -> None:
    nodes, probes = lab
    probes[0].tell(*there_and_back(probes))
    told = spans_of(nodes)
    assert {span.id.trace for _, span in told} == {told[0][1].id.trace}
    (last,) = [span for name, span in told if name == OUR and span.kind == CONSUMER]
    assert chain(told, last) == [
        (OUR, CONSUMER),
        (THIRD, PRODUCER),
        (THIRD, CONSUMER),
        (THEIR, PRODUCER),
        (THEIR, CONSUMER),
        (OUR, PRODUCER),
        (OUR, INTERNAL),
    ]
    assert len(told) == 7
    assert not [span for _, span in told if span.error]


def test_the_first_message_to_a_node_has_its_lineage_as_have_those_after_it(
    lab: tuple[SimLab, list[SimProbe]],
) -> None:
    nodes, probes = lab
    for _ in range(3):
        probes[0].tell(*there_and_back(probes))
    traces = [span.id.trace for _, span in spans_of(nodes)]
    assert sorted(traces.count(trace) for trace in set(traces)) == [7, 7, 7]


def test_what_waits_for_a_node_that_comes_back_has_its_lineage(lab: tuple[SimLab, list[SimProbe]]) -> None:
    nodes, (a, b, c) = lab
    nodes.cut(nodes.nodes[2])
    a.tell(send(b, "", send(c, "hello")))
    nodes.rest(20)
    told = spans_of(nodes)
    (came,) = [span for name, span in told if name == THIRD]
    assert chain(told, came)[1:3] == [(THEIR, PRODUCER), (THEIR, CONSUMER)]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_node_of_version_2_gets_and_says_what_it_always_did(tmp_path: Path, replayable: Engine, number: int) -> None:
    versions = [LINEAGES_VERSION] * 3
    versions[number] = PAIRS_VERSION
    with three(replayable, tmp_path, tuple(versions)) as (nodes, probes):
        probes[0].tell(*there_and_back(probes))
        assert probes[0].bodies("response") == ["b"]
        told = spans_of(nodes)
        assert len(told) == 7
        assert len({span.id.trace for _, span in told}) > 1, "it was told a lineage"
        assert not [line for node in nodes.nodes for line in node.log if "cannot be read" in str(line)]


def test_a_share_is_of_whole_lineages_on_all_nodes(tmp_path: Path, replayable: Engine) -> None:
    with three(replayable, tmp_path, share=0.5) as (nodes, probes):
        for _ in range(24):
            probes[0].tell(*there_and_back(probes))
        traces = [span.id.trace for _, span in spans_of(nodes, 0.5)]
        assert {traces.count(trace) for trace in set(traces)} == {7}
        assert 4 <= len(set(traces)) <= 20
