from __future__ import annotations

import pytest

from kernel.wasm.canonical.remembered import LARGEST, Remembered


def lengths(asked: list[str], most: int) -> Remembered[str, int]:
    def length(text: str) -> int:
        asked.append(text)
        if not text:
            raise ValueError("no name")
        return len(text)

    return Remembered(length, lambda text, _: len(text), most)


def test_a_result_is_computed_once() -> None:
    asked = list[str]()
    remembered = lengths(asked, 2)
    assert (remembered["ann"], remembered["ann"], asked) == (3, 3, ["ann"])


def test_the_oldest_result_makes_room_for_another_one() -> None:
    asked = list[str]()
    remembered = lengths(asked, 2)
    for name in ("ann", "bob", "carl", "bob", "ann"):
        assert remembered[name] == len(name)
    assert asked == ["ann", "bob", "carl", "ann"]
    assert set(remembered) == {"carl", "ann"}


def test_what_is_computed_from_a_large_name_is_not_kept() -> None:
    remembered = lengths([], 2)
    assert remembered["x" * (LARGEST + 1)] == LARGEST + 1
    assert remembered["x" * LARGEST] == LARGEST
    assert [len(name) for name in remembered] == [LARGEST]


def test_an_error_is_passed_on_and_not_kept() -> None:
    asked = list[str]()
    remembered = lengths(asked, 2)
    for _ in range(2):
        with pytest.raises(ValueError, match="no name"):
            remembered[""]
    assert (asked, dict(remembered)) == (["", ""], {})
