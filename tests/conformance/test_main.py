"""The table of promises: what it counts, and when it is content."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.conformance.__main__ import PROMISES, Results, numbers_of, read_promises, table, unkept


@pytest.mark.parametrize(
    ("test", "numbers"),
    [
        ("test_g9_a_response", [9]),
        ("test_g10_inherits[one node]", [10]),
        ("test_g4_g5_g11_hold", [4, 5, 11]),
        ("test_get_blob", []),
        ("test_a_g5_inside", []),
        ("test_g9", []),
    ],
)
def test_a_test_carries_the_numbers_that_its_name_begins_with(test: str, numbers: list[int]) -> None:
    assert numbers_of(test) == numbers


def test_every_promise_is_read_with_its_beginning() -> None:
    promises = read_promises(PROMISES.read_text(encoding="utf-8"))
    assert sorted(promises) == list(range(1, 29))
    assert promises[6] == "The context comes back with the outcome."
    assert promises[3].startswith("Sources. The kernel writes")
    assert all(sentence for sentence in promises.values())


def results(*failed: int) -> Results:
    found = Results()
    found.tests.update([1, 2, 2])
    found.passed.update([1, 2])
    found.failures.update({f"test_g{number}_x": [number] for number in failed})
    return found


def test_a_promise_without_a_test_or_with_a_failing_one_is_not_kept() -> None:
    assert unkept([1, 2], results()) == []
    assert unkept([1, 2, 3], results()) == [3]
    assert unkept([1, 2], results(2)) == [2]


def test_tests_that_did_not_run_show_nothing() -> None:
    skipped = Results()
    skipped.tests.update([1])
    assert (skipped.of(1), unkept([1], skipped)) == ("skipped", [1])


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_the_table_fits_the_terminal_and_has_no_colour_when_piped(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    console.print(table({1: "A sentence that is longer than what a narrow terminal has", 2: "b"}, results(2), width))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert all(len(line) <= width for line in lines)
    assert lines[0].split()[::2] == ["promise", "tests"]
    assert [line.split()[-2:] for line in lines[1:]] == [["1", "passed"], ["2", "failed"]]
    assert "\x1b" not in out.getvalue()
