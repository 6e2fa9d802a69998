"""The section of docs/performance.md on growth, its pictures, and the measurements that both are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from bench.growth.curves import LINEAR, Growth, Subject, exponent
from bench.growth.drawing import svg
from bench.growth.subjects import SUBJECTS
from bench.markdown import PAGE, replaced

MARKS = "<!-- growth: begin -->", "<!-- growth: end -->"
DOCS = PAGE.parent
MEASURED = Path("images", "growth.json")
"""The measurements, below docs."""


def load(docs: Path = DOCS) -> dict[str, Growth]:
    """Return what has been measured so far, by subject."""
    file = docs / MEASURED
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Growth]) if file.exists() else {}


def write(measured: Mapping[str, Growth], docs: Path = DOCS) -> None:
    """Write the measurements, the pictures, and the section of the page."""
    (docs / MEASURED).write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    for name, growth in measured.items():
        (docs / picture(name)).write_text(svg(SUBJECTS[name], growth))
    page = docs / PAGE.name
    page.write_text(replaced(page.read_text(), section(measured), MARKS))


def picture(name: str) -> Path:
    """Return where the picture of a subject lies, below docs."""
    return Path("images", f"growth-{name}.svg")


def section(measured: Mapping[str, Growth]) -> str:
    """Return the section: for each subject a picture, and a row for each of its costs."""
    return "\n\n".join(
        "\n".join(_subject(name, subject, measured[name])) for name, subject in SUBJECTS.items() if name in measured
    )


def _subject(name: str, subject: Subject, growth: Growth) -> Iterator[str]:
    yield f"### {subject.title}"
    yield ""
    powers = "; ".join(
        f"{cost} n^{power:.2f}"
        for cost in (*subject.seconds, *subject.mebibytes)
        if (power := exponent(growth.curve(cost))) is not None
    )
    yield f"![{subject.title}, time and memory: {powers}]({picture(name)})"
    yield ""
    yield f"Taken on {growth.taken}: {growth.machine}."
    yield ""
    sizes = [f"{min(growth.costs):,}", f"{max(growth.costs):,}"]
    yield f"| cost | {sizes[0]} {subject.unit} | {sizes[1]} {subject.unit} | exponent |"
    yield "|---|---|---|---|"
    for names, unit in ((subject.seconds, "s"), (subject.mebibytes, "MiB")):
        for cost in names:
            first, last = (_amount(growth.costs[edge(growth.costs)].get(cost), unit) for edge in (min, max))
            yield f"| {cost} | {first} | {last} | {_power(exponent(growth.curve(cost)))} |"
    if growth.left_out:
        yield ""
        yield "Left out: " + "; ".join(f"{size:,}, since {why}" for size, why in sorted(growth.left_out.items())) + "."


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "not taken"
    return f"{value:.3g} {unit}" if value > 0 else "too little"


def _power(power: float | None) -> str:
    if power is None:
        return ""
    return f"{power:.2f}" if power <= LINEAR else f"**{power:.2f}**"
