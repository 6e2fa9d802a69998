"""What a process does wrong: the promise says what happens, and the log says it in one line."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.message import Reason
from tests.conformance import spanning
from tests.conformance.lab import SimLab, SimProbe
from tests.conformance.steps import (
    GET_BLOB,
    blob,
    capability,
    flood,
    message,
    respond,
    send,
    send_many,
    spawn,
    wait_for,
)

BODY = limits.MAX_BODY_BYTES


@spanning
def test_g23_a_body_at_the_limit_arrives(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(wait_for(b, "", respond("short"), expects=50), send(b, size=BODY))
    lab.until(lab.now + 20)
    assert [seen.size for seen in b.seen("request")][1:] == [BODY]
    assert a.lines() == []


def ended_because(probe: SimProbe, words: str) -> bool:
    """A process has ended, and its log says why in one line."""
    (line,) = probe.lines()
    assert line.startswith("ended: ")
    assert words in line, line
    return not probe.running


@pytest.mark.parametrize("how", ["send", "respond"])
def test_g23_a_blob_one_over_the_limit_traps_and_the_log_says_so(lab: SimLab, how: str) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    large = blob(size=limits.MAX_BLOB_BYTES + 1)
    a.tell(send(b, "", blob=large) if how == "send" else respond(blob=large))
    assert ended_because(a, f"{limits.MAX_BLOB_BYTES + 1} exceeds the limit of {limits.MAX_BLOB_BYTES}")
    assert b.seen() == []


@pytest.mark.parametrize("how", ["send", "await", "respond"])
def test_g23_a_body_one_over_the_limit_traps_and_the_log_says_so(lab: SimLab, how: str) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    steps = {
        "send": send(b, size=BODY + 1),
        "await": wait_for(b, size=BODY + 1, expects=5),
        "respond": respond(size=BODY + 1),
    }
    a.tell(steps[how])
    assert ended_because(a, f"{BODY + 1} exceeds the limit of {BODY}")
    assert b.seen() == []


@pytest.mark.parametrize(
    ("carried", "limit"),
    [
        ({"blob": blob(mime="m" * (limits.MAX_MIME_BYTES + 1))}, limits.MAX_MIME_BYTES),
        ({"context": "c" * (limits.MAX_CONTEXT_BYTES + 1)}, limits.MAX_CONTEXT_BYTES),
        ({"metadata": "1" * (limits.MAX_METADATA_BYTES + 1)}, limits.MAX_METADATA_BYTES),
        ({"capabilities": [capability("a:b:c")] * (limits.MAX_CAPABILITIES + 1)}, limits.MAX_CAPABILITIES),
    ],
    ids=["mime", "context", "metadata", "capabilities"],
)
def test_g23_anything_else_over_its_limit_traps_too(lab: SimLab, carried: dict[str, object], limit: int) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(send(b, "", expects=5, **carried))
    assert ended_because(a, f"exceeds the limit of {limit}")
    assert b.seen() == []


def test_g23_too_many_requests_at_once_trap(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(send_many(*(message(b) for _ in range(limits.MAX_REQUESTS + 1))))
    assert ended_because(a, f"exceeds the limit of {limits.MAX_REQUESTS}")
    assert b.seen() == []


@spanning
def test_g2_an_unknown_mime_arrives_as_it_is(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", GET_BLOB, blob=blob("x", mime="no/such; mime=\u2603 \n")))
    assert [seen.mime for seen in b.seen("blob")] == ["no/such; mime=\u2603 \n"]
    assert a.lines() == b.lines() == []


@spanning
def test_g2_what_a_local_process_takes_a_far_one_takes_too(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "mime", blob=blob("x", mime="m" * 5000)), send(b, "metadata", metadata=f'"{"m" * 30_000}"'))
    a.tell(send(b, "afterwards"))
    assert b.bodies() == ["mime", "metadata", "afterwards"]


@spanning
def test_g2_a_response_whose_metadata_is_no_json_comes_back_and_the_log_says_so(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", respond("odd", metadata="nope"), expects=50))
    assert [seen.body for seen in b.seen("returned")] == ["odd"]
    assert f"kernel: response from {b} to {a}: metadata is not JSON" in lab.other.log
    assert a.seen("response") == []


def test_g24_a_flood_that_nobody_takes_is_told_when_the_parent_ends(
    lab: SimLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 10)
    parent, gate = lab.probe("a"), lab.probe("b")
    parent.tell(spawn("child"))
    child = parent.child("child")
    parent.tell(wait_for(gate, "silence", expects=900))
    child.tell(flood(parent, 12))
    lab.kill(parent)
    assert lab.dead() == [Reason.PROCESS_ENDED] * 10 + [Reason.NO_SUCH_PROCESS] * 2
    assert f"kernel: request from {child} to {parent}: process ended" in lab.our.log
    assert child.ask(respond("well")).body == "well"
