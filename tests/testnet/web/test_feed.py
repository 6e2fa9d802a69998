"""What is sent of a snapshot, and that it is bounded."""

from __future__ import annotations

import json

from testnet.web.feed import MAX_ERRORS, MAX_FAULTS, MAX_LINKS, MAX_NODES, MAX_TEXT, PageFeed, bounded, event
from tests.testnet.web.samples import fault, link, node, sample


def test_the_largest_snapshot_is_bounded_and_says_what_it_leaves_out() -> None:
    long = "x" * 100_000
    many = sample(
        [node(f"{number:05}.nec", peers=[long]) for number in range(MAX_NODES + 1)],
        [link(f"{number:05}.nec", long) for number in range(MAX_LINKS + 2)],
        [fault("loss", number) for number in range(MAX_FAULTS + 3)],
        [{"source": long, "target": long, "reason": long} for _ in range(MAX_ERRORS + 4)],
    )
    sent = bounded(many)
    assert sent["left_out"] == {"nodes": 1, "links": 2, "faults": 3, "errors": 4}
    assert len(event("look", sent)) < 4 << 20
    assert len(sent["errors"][0]["source"]) == MAX_TEXT + 1


def test_links_with_faults_and_with_traffic_are_those_that_stay() -> None:
    idle = [link(f"a{number:04}.nec", "z.nec") for number in range(MAX_LINKS)]
    sent = bounded(sample(links=[*idle, link("busy.nec", "z.nec", 5.0), link("cut.nec", "z.nec", 0.0, ("loss",))]))
    ends = [each["ends"][0] for each in sent["links"]]
    assert ends == sorted(ends)
    assert {"busy.nec", "cut.nec"} <= set(ends)


def test_a_link_that_has_carried_nothing_is_there_once_it_has_a_fault() -> None:
    faults = [fault("partition", between=["b.nec", "a.nec"]), fault("latency", source="a.nec", target="*")]
    (only,) = bounded(sample(faults=faults))["links"]
    assert only["ends"] == ["a.nec", "b.nec"]
    assert only["faults"] == ["partition", "latency"]


def test_a_node_has_the_faults_that_are_done_to_it_and_not_those_of_its_links() -> None:
    faults = [fault("pause", node="a.nec"), fault("latency", node="a.nec"), fault("disk_full", node="b.nec")]
    first, second = bounded(sample([node("a.nec"), node("b.nec")], faults=faults))["nodes"]
    assert (first["faults"], second["faults"]) == (["pause"], ["disk_full"])


def test_an_event_is_one_line_of_data_whatever_guests_are_called() -> None:
    sent = bounded(sample(errors=[{"source": "a\nevent: x\r\ndata: y\u2028", "target": "\x1b[2J"}]))
    data = event("look", sent)
    assert data.count(b"\n") == 3
    assert b"\r" not in data
    assert json.loads(data.split(b"data: ", 1)[1]) == sent


def test_who_is_slow_gets_the_newest_of_each_event_and_no_other() -> None:
    feed = PageFeed()
    for number in range(1000):
        feed.tell("look", number)
    feed.tell("chaos", "calm")
    version, data = feed.news(0)
    assert data == event("look", 999) + event("chaos", "calm")
    assert feed.news(version) == (version, b"")
    feed.tell("chaos", "calm")
    feed.tell("look", 1000)
    assert feed.news(version)[1] == event("look", 1000)
