"""`python -m tests.conformance`: run every test that carries a promise's number, and print the promises as a table.

Arguments go to pytest; without any, the whole tests folder is collected, and what carries no number is left out.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
PROMISES = ROOT / "docs" / "processes.md"

_PROMISE = re.compile(r"^- \*\*G(\d+)\*\* (.*?)(?=^- |^#|\Z)", re.MULTILINE | re.DOTALL)
_NUMBERS = re.compile(r"test_((?:g\d+_)+)")
_SAYS_ENOUGH = 30
"""Characters of a promise's beginning."""
_STYLES = {"passed": "green", "failed": "bold red", "none": "bold red", "skipped": "yellow"}


def read_promises(text: str) -> dict[int, str]:
    """Each promise's number with its beginning; the list of what does not hold yet is left out."""
    promised = text.partition("\n## Not yet")[0]
    return {int(number): _beginning(rest) for number, rest in _PROMISE.findall(promised)}


def _beginning(text: str) -> str:
    """The first sentence, and those behind it while that says too little (`Sources.`)."""
    plain = " ".join(text.replace("`", "").replace("*", "").split())
    first, *more = re.split(r"(?<=[^.]\.) (?=[A-Z(])", plain)
    while more and len(first) < _SAYS_ENOUGH:
        first = f"{first} {more.pop(0)}"
    return first


def numbers_of(test: str) -> list[int]:
    """The promises that a test's name carries: `test_g9_…`, or several as in `test_g4_g5_…`."""
    match = _NUMBERS.match(test)
    return [int(number) for number in re.findall(r"\d+", match.group(1))] if match else []


@dataclass(eq=False)
class Results:
    """Collects, as a pytest plugin, what became of the tests of each promise."""

    collected: int = 0
    """Tests that carry a number; some carry several."""
    tests: Counter[int] = field(default_factory=Counter)
    passed: Counter[int] = field(default_factory=Counter)
    failures: dict[str, list[int]] = field(default_factory=dict)
    """Tests that failed, or could not be set up."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what carries no number."""
        kept = [item for item in items if numbers_of(item.name)]
        config.hook.pytest_deselected(items=[item for item in items if not numbers_of(item.name)])
        items[:] = kept
        self.collected = len(kept)
        for item in kept:
            self.tests.update(numbers_of(item.name))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what became of one phase of a test."""
        numbers = numbers_of(report.nodeid.rpartition("::")[2])
        if report.failed:
            self.failures[report.nodeid] = numbers
        elif report.when == "call" and report.passed:
            self.passed.update(numbers)

    def of(self, promise: int) -> str:
        """passed, failed, skipped (its tests did not run), or none."""
        if any(promise in numbers for numbers in self.failures.values()):
            return "failed"
        if not self.tests[promise]:
            return "none"
        return "passed" if self.passed[promise] else "skipped"


def table(promises: dict[int, str], results: Results, width: int) -> Table:
    """One row for each promise; a narrow terminal gets the sentence cut short."""
    rows = Table(box=None, pad_edge=False, width=width, header_style="bold")
    rows.add_column("promise", no_wrap=True)
    rows.add_column("sentence", no_wrap=True, overflow="ellipsis", ratio=1)
    rows.add_column("tests", justify="right", no_wrap=True)
    rows.add_column("result", no_wrap=True)
    for number, sentence in sorted(promises.items()):
        result = results.of(number)
        style = _STYLES[result]
        rows.add_row(f"G{number}", sentence, str(results.tests[number]), f"[{style}]{result}[/{style}]")
    return rows


def unkept(promises: Iterable[int], results: Results) -> list[int]:
    """Promises with no test that passes, or with one that fails."""
    return [number for number in sorted(promises) if results.of(number) != "passed"]


def main(arguments: Sequence[str]) -> int:
    """The command line; 1 if a promise has no test, or one that fails."""
    results = Results()
    wanted = list(arguments) or [str(ROOT / "tests")]
    status = pytest.main(["--rootdir", str(ROOT), "-q", "--no-header", *wanted], plugins=[results])
    promises = read_promises(PROMISES.read_text(encoding="utf-8"))
    console = Console(highlight=False)
    console.print()
    console.print(table(promises, results, console.width))
    missing = unkept(promises, results)
    console.print()
    if missing:
        console.print("Not shown: " + ", ".join(f"G{number}" for number in missing) + ".")
    else:
        console.print(f"All {len(promises)} promises are shown by {results.collected} tests.")
    return 1 if missing or status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
