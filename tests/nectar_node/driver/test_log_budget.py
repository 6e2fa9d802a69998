"""A log that nobody can fill: what is beyond a source's share is counted, and said in one line."""

from __future__ import annotations

from nectar_node.contract.actions import LogLine
from nectar_node.driver.log_budget import ALL_BYTES, ALL_LINES, BYTES, LINES, MAX_SOURCES, WINDOW_SECONDS, LogBudget

FLOOD, QUIET = "flood:a:sys", "quiet:a:sys"
DEAD = LogLine("kernel", 1, "request from our.nec@a:b:sys to our.nec@c:d:sys: no such process")


def fill(budget: LogBudget, line: LogLine, count: int, now: float = 10.0) -> list[tuple[str, str]]:
    return [written for _ in range(count) for written in budget.admit(line, now)]


def test_a_process_that_prints_endlessly_has_so_many_lines_a_second_and_one_that_counts_the_rest() -> None:
    budget = LogBudget()
    line = LogLine(FLOOD, 0, "x")
    assert fill(budget, line, LINES + 1234) == [(FLOOD, "x")] * LINES
    assert budget.next_deadline() == 10.0 + WINDOW_SECONDS
    assert budget.on_timer(10.0 + WINDOW_SECONDS) == [(FLOOD, f"… 1,234 lines of {FLOOD} left out")]
    assert budget.next_deadline() is None
    assert budget.admit(line, 11.5) == [(FLOOD, "x")]
    budget = LogBudget()
    fill(budget, LogLine(FLOOD, 0, "x"), LINES + 1)
    written = budget.admit(LogLine(QUIET, 0, "next"), 10.0 + WINDOW_SECONDS)
    assert written == [(FLOOD, f"… 1 line of {FLOOD} left out"), (QUIET, "next")]


def test_what_a_process_prints_is_counted_in_lines_and_bytes_and_quoted_each_time() -> None:
    assert fill(LogBudget(), LogLine(QUIET, 0, "tick"), 2) == [(QUIET, "tick")] * 2
    budget = LogBudget()
    assert len(fill(budget, LogLine(FLOOD, 0, "\x1b" * 1000), LINES)) == BYTES // 4000


def test_all_processes_have_a_share_together_in_lines_and_bytes_and_the_node_its_own() -> None:
    budget = LogBudget()
    lines = [fill(budget, LogLine(f"{number}:a:sys", 0, "x"), LINES) for number in range(10)]
    assert sum(map(len, lines)) == ALL_LINES
    assert budget.admit(LogLine("net", 0, "here"), 10.0) == [("net", "here")]
    budget, long = LogBudget(), LogLine("", 0, "x" * 1000)
    sizes = [len(fill(budget, long._replace(source=f"{number}:a:sys"), LINES)) for number in range(10)]
    assert sum(sizes) == ALL_BYTES // 1000
    budget = LogBudget()
    fill(budget, LogLine(FLOOD, 0, "x"), 2 * LINES)
    for source in (QUIET, "net", "kernel"):
        assert budget.admit(LogLine(source, 0, "here"), 10.0) == [(source, "here")]


def test_processes_beyond_those_that_are_counted_one_by_one_are_counted_together() -> None:
    budget = LogBudget()
    for number in range(10 * MAX_SOURCES):
        budget.admit(LogLine(f"{number}:a:sys", 0, "x"), 10.0)
    left = 10 * MAX_SOURCES - MAX_SOURCES - LINES
    assert budget.on_timer(11.0) == [("other processes", f"… {left:,} lines of other processes left out")]


def test_g16_equal_dead_letters_are_one_line_and_a_flood_of_others_hides_nothing() -> None:
    budget = LogBudget()
    assert fill(budget, DEAD, 5000) == [("kernel", DEAD.text)]
    other = DEAD._replace(text="another")
    assert budget.admit(other, 10.0) == [("kernel", "another")]
    assert budget.close() == [("kernel", f"… 4,999 more of: {DEAD.text}")]
    budget = LogBudget()
    for number in range(10 * LINES):
        budget.admit(DEAD._replace(text=f"to {number}"), 10.0)
    assert budget.admit(LogLine("kernel", 0, "here"), 10.0) == [("kernel", "here")]
