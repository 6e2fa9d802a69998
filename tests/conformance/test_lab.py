"""The lab itself: what it says of a probe is what the probe saw."""

from __future__ import annotations

import json
from dataclasses import replace

from kernel.contract.guest import Arrival
from tests.conformance import two_nodes
from tests.conformance.lab import Seen, SimLab
from tests.conformance.steps import GET_BLOB, blob, respond, send


def test_what_a_probe_reports_is_what_it_printed(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(send(b, "", GET_BLOB, respond("yes", metadata="1"), expects=20, context="ctx", blob=blob("x", mime="y")))
    for probe in (a, b):
        printed = [replace(seen, at=None) for seen in probe.seen()]
        answer = lab.our.ask(probe.address, b'"Report"', 20)
        assert isinstance(answer, Arrival)
        assert [Seen(**each) for each in json.loads(answer.message.body)] == printed
        assert len(printed) == 2


@two_nodes
def test_messages_between_nodes_take_their_time_and_those_within_one_take_none(lab: SimLab) -> None:
    a, near, far = lab.probe("a"), lab.probe("b"), lab.probe("b", far=True)
    sent = a.tell(send(near, "hello"), send(far, "hello"))
    assert [seen.at for seen in near.seen()] == [sent]
    (arrived,) = (seen.at for seen in far.seen())
    assert arrived is not None
    assert sent < arrived < sent + 2
