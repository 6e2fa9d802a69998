"""A run is known again by its fingerprint, whether its lines are kept or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kernel.contract.address import Address
from kernel.router.trace import TraceRecord, TraceStep
from testnet.journal.entries import message
from testnet.journal.recording import Recording

A, B = Address.parse("a.nec@echo:echo:sys"), Address.parse("b.nec@echo:echo:sys")
STEP = TraceRecord(1.0, TraceStep.SENT, 7, None, 7, False, True, A, B, False, 4, None, None, b"text")
EVENTS: dict[str, Callable[[Recording], None]] = {
    "a step": lambda it: it.add_step(1.0, "a.nec", STEP),
    "its time": lambda it: it.add_step(1.5, "a.nec", STEP),
    "its node": lambda it: it.add_step(1.0, "b.nec", STEP),
    "its kind": lambda it: it.add_step(1.0, "a.nec", STEP._replace(step=TraceStep.HANDED)),
    "its message": lambda it: it.add_step(1.0, "a.nec", STEP._replace(id=8)),
    "its lineage": lambda it: it.add_step(1.0, "a.nec", STEP._replace(root=8)),
    "its size": lambda it: it.add_step(1.0, "a.nec", STEP._replace(body_bytes=5)),
    "its blob": lambda it: it.add_step(1.0, "a.nec", STEP._replace(blob_bytes=0)),
    "its body": lambda it: it.add_step(1.0, "a.nec", STEP._replace(beginning=b"tent")),
    "words": lambda it: it.add(1.0, "a.nec", "boots"),
    "other words": lambda it: it.add(1.0, "a.nec", "leaves"),
    "bytes": lambda it: it.add_bytes(1.0, "a.nec", b"some", "b.nec"),
    "other bytes": lambda it: it.add_bytes(1.0, "a.nec", b"same", "b.nec"),
    "bytes to another": lambda it: it.add_bytes(1.0, "a.nec", b"some", "c.nec"),
}


def recording(*names: str, kept: bool = False) -> Recording:
    it = Recording(kept)
    for name in names:
        EVENTS[name](it)
    return it


@pytest.mark.parametrize("name", EVENTS)
def test_no_other_event_and_no_other_order_has_the_same_fingerprint(name: str) -> None:
    others = [recording(other).fingerprint for other in EVENTS if other != name]
    assert recording(name).fingerprint not in others
    assert recording(name, "words").fingerprint != recording("words", name).fingerprint or name == "words"
    assert recording(name, name).fingerprint != recording(name).fingerprint


def test_the_fingerprint_is_the_same_with_lines_and_without() -> None:
    with_lines, without = recording(*EVENTS, kept=True), recording(*EVENTS)
    assert with_lines.fingerprint == without.fingerprint
    assert (with_lines.events, without.events) == (len(EVENTS), len(EVENTS))
    assert (len(with_lines.lines), without.lines) == (len(EVENTS), [])


def test_lines_are_in_order_whenever_they_are_read() -> None:
    it = recording("words", "a step", kept=True)
    step = f"1.000000000 a.nec {message(STEP)}"
    assert it.lines == ["1.000000000 a.nec boots", step]
    EVENTS["a step"](it)
    EVENTS["other words"](it)
    assert it.lines == ["1.000000000 a.nec boots", step, step, "1.000000000 a.nec leaves"]
