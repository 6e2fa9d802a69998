"""docs/compatibility.md, written from what is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.compatibility.case import GENERATIONS, INTERFACES, Case, Table
from tests.compatibility.measure import TABLES, UNKNOWN, Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"

Verdicts = Mapping[tuple[str, str], Verdict]

_HEAD = """\
# Compatibility

<!-- `make compatibility` writes this page; a test compares it with what is measured. -->

Which requests of packages that others compiled does this node answer as their callers expect? For each interface a
guest (`tests/guests/tester.c`, made a component by `wasm-tools`) sends every request below and provokes every error,
and browsers are played, all on simulated nodes. An answer counts if the callers' own parsers would take it. What is
expected lies as data in `tests/compatibility/tables/`, written from the public sources of the existing nodes and of the
libraries that packages use.

Messages, blobs, capabilities, spawning and the rest of the interface itself are the kernel's:
[Processes](processes.md) says what is promised, for all interfaces alike, and each has all of its functions.

| generation | interfaces |
|---|---|
| A | `nectar:process@0.7.0`, `kinode:process@0.7.0` |
| B | `kinode:process@0.8.0` |
| C | `kinode:process@1.0.0`, `hyperware:process@1.0.0` |

"—" is a request that the generation does not have.
"""


def page(measured: Mapping[str, Verdicts]) -> str:
    """The page; `measured` are the verdicts by interface."""
    parts = [_HEAD, _summary(measured)]
    parts += [_section(table, measured) for table in TABLES]
    return "\n".join(parts)


def _summary(measured: Mapping[str, Verdicts]) -> str:
    rows = ["| asked | A | B | C |", "|---|---|---|---|"]
    for table in TABLES:
        cells = []
        for generation in GENERATIONS:
            all_of = [_cell(table, case, generation, measured)[0] for case in table.cases]
            asked = [each for each in all_of if each != UNKNOWN]
            yes = asked.count("yes")
            cells.append(UNKNOWN if not asked else "all" if yes == len(asked) else f"{yes} of {len(asked)}")
        rows.append(f"| [{table.title}](#{_anchor(table.title)}) | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def _section(table: Table, measured: Mapping[str, Verdicts]) -> str:
    rows = ["| request | A | B | C | why not |", "|---|---|---|---|---|"]
    for case in table.cases:
        cells = [_cell(table, case, generation, measured) for generation in GENERATIONS]
        came = list(dict.fromkeys(why for _, why in cells if why))
        why = case.why or (f"instead: {_code(came[0])}" if came else "")
        rows.append(f"| {_plain(case.name)} | {' | '.join(each for each, _ in cells)} | {why if came else ''} |")
    note = [f"\n{table.note}"] if table.note else []
    return "\n".join([f"## {table.title}", *note, "", *rows, ""])


def _cell(table: Table, case: Case, generation: str, measured: Mapping[str, Verdicts]) -> tuple[str, str]:
    """Whether a generation has what it expects, and what it has instead."""
    found = {
        interface: measured[interface][table.title, case.name]
        for interface, of in INTERFACES.items()
        if of == generation
    }
    came = [verdict for verdict in found.values() if verdict is not None]
    if not came:
        return "yes", ""
    if came[0] == UNKNOWN:
        return UNKNOWN, ""
    return "no" if len(came) == len(found) else "partly", came[0]


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    line = " ".join(text.replace("`", "'").split())
    return f"`{line if len(line) <= 120 else f'{line[:119]}…'}`".replace("|", "\\|")


def _anchor(title: str) -> str:
    """The anchor that a heading has."""
    kept = "".join(each for each in title.lower() if each.isalnum() or each in " -_")
    return "-".join(kept.split())


def without_names(verdicts: Verdicts, names: Sequence[str]) -> dict[tuple[str, str], Verdict]:
    """The verdicts without what is only the test's own."""
    plain = {}
    for place, verdict in verdicts.items():
        for name in names:
            verdict = verdict and verdict.replace(name, "NODE")
        plain[place] = verdict
    return plain
