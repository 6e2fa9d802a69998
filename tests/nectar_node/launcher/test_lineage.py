"""Records of a trace become trees."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.launcher import lineage
from nectar_node.launcher.client import ControlError
from nectar_node.launcher.lineage import (
    QUIET_SECONDS,
    STUCK_SECONDS,
    Lineage,
    Lineages,
    RequestTrace,
    StepRecord,
    decode_record_untrusted,
)


def make(step: str, id: str, parent: str | None = None, **more: Any) -> StepRecord:
    value: dict[str, Any] = {
        "at": 1.0,
        "time": "2026-11-24T01:48:16.123+00:00",
        "step": step,
        "id": id,
        "parent": parent,
        "root": "1",
        "inherits": False,
        "expects": False,
        "source": "a.nec@a:p:sys",
        "target": "a.nec@b:p:sys",
        "claim": False,
        "body_bytes": 2,
        "blob_bytes": None,
        "reason": None,
        "beginning": "hi",
        **more,
    }
    return decode_record_untrusted(value)


def shape(found: Lineage) -> list[Any]:
    """Ids as a tree."""

    def of(message: RequestTrace) -> list[Any]:
        return [message.sent.id, *(of(child) for child in message.children)]

    return [of(root) for root in found.roots]


def test_what_was_sent_while_something_was_handled_hangs_below_it_and_the_rest_are_roots_in_order_of_time() -> None:
    lineages = Lineages()
    for record in (make("sent", "1"), make("sent", "2", "1"), make("sent", "3", "2"), make("sent", "4", "1")):
        lineages.add(record, 0.0)
    (found,) = lineages.take_all()
    assert shape(found) == [["1", ["2", ["3"]], ["4"]]]
    lineages = Lineages()
    lineages.add(make("dropped", "7", "6", reason="nobody waits for it"), 0.0)
    (found,) = lineages.take_all()
    assert shape(found) == [["7"]]
    assert found.messages["7"].settled
    lineages = Lineages()
    lineages.add(make("sent", "9", root="9", at=2.0), 0.0)
    lineages.add(make("sent", "1", at=1.0), 0.0)
    assert [each.first.id for each in lineages.take_all()] == ["1", "9"]


def test_a_lineage_is_shown_when_all_of_it_is_settled_and_quiet_and_again_when_more_comes() -> None:
    lineages = Lineages()
    lineages.add(make("sent", "1"), 10.0)
    assert lineages.next_due() == 10.0 + STUCK_SECONDS
    lineages.add(make("handed over", "1"), 11.0)
    assert lineages.next_due() == 11.0 + QUIET_SECONDS
    assert lineages.take_due(11.0) == []
    (found,) = lineages.take_due(11.0 + QUIET_SECONDS)
    assert found.messages["1"].settled
    assert (lineages.next_due(), lineages.take_due(99.0), lineages.take_all()) == (None, [], [])
    lineages = Lineages()
    lineages.add(make("sent", "1", expects=True), 10.0)
    lineages.add(make("handed over", "1", expects=True), 11.0)
    assert lineages.next_due() == 11.0 + STUCK_SECONDS
    lineages.add(make("answered", "1"), 12.0)
    assert lineages.next_due() == 12.0 + QUIET_SECONDS
    lineages = Lineages()
    lineages.add(make("sent", "1"), 0.0)
    assert len(lineages.take_all()) == 1
    lineages.add(make("answered", "1"), 5.0)
    (found,) = lineages.take_due(5.0 + QUIET_SECONDS)
    assert [each.step for each in found.messages["1"].outcomes] == ["answered"]


def test_g10_an_answer_to_a_request_that_was_never_here_is_that_of_what_inherited_from_it() -> None:
    lineages = Lineages()
    lineages.add(make("sent", "1", inherits=True), 0.0)
    lineages.add(make("sent", "2", "1"), 0.0)
    lineages.add(make("answered", "9", "1"), 0.0)
    lineages.add(make("answered", "8", "2"), 0.0)
    (found,) = lineages.take_all()
    assert [each.id for each in found.messages["1"].outcomes] == ["9"]
    assert shape(found) == [["1", ["2", ["8"]]]], "2 does not inherit, so it has no answer"


def test_lineages_and_their_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "MAX_LINEAGES", 3)
    monkeypatch.setattr(lineage, "MAX_MESSAGES", 2)
    lineages = Lineages()
    for root in "12345":
        for id in "abc":
            lineages.add(make("sent", root + id, root=root), 0.0)
    found = lineages.take_all()
    assert len(found) == 3
    assert [(len(each.messages), each.omitted) for each in found] == [(2, 1)] * 3


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.none(), max_size=2)


@given(st.dictionaries(st.sampled_from([*StepRecord.__dataclass_fields__]), JSON) | JSON)
def test_whatever_a_record_is_only_control_error_escapes(value: object) -> None:
    with contextlib.suppress(ControlError):
        decode_record_untrusted(value)
