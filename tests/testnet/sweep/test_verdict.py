"""Failures are alike when their texts differ in particulars only."""

from __future__ import annotations

import pytest

from testnet.sweep.verdict import kind_of_text

NODES = ("a.nec", "b.nec", "sub.a.nec")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("G5: request 12 of a.nec@x:y:z never ended", "G5: request 7 of b.nec was answered, and failed again"),
        ("a.nec was told that file0.bin is there; it is not", "b.nec was told that file11.bin is there; it is not"),
        ("sub.a.nec lost 1.5 s", "a.nec lost 20 s"),
        (
            "60 s after the last fault the network has not healed: a.nec does not reach b.nec. Outstanding: nothing.",
            "60 s after the last fault the network has not healed: b.nec does not reach a.nec, sub.a.nec does not.",
        ),
        ("KeyError in x.py, line 5: 'a'", "KeyError in x.py, line 6: 'b'"),
    ],
)
def test_these_are_alike(one: str, other: str) -> None:
    assert kind_of_text(one, NODES) == kind_of_text(other, NODES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("G5: request 12", "G4: request 12"),
        ("a.nec was told that it is there; it is not", "a.nec was not told"),
        ("KeyError in x.py, line 5: 'a'", "KeyError in y.py, line 5: 'a'"),
        ("KeyError in x.py, line 5: 'a'", "ValueError in x.py, line 5: 'a'"),
    ],
)
def test_these_are_not(one: str, other: str) -> None:
    assert kind_of_text(one, NODES) != kind_of_text(other, NODES)
