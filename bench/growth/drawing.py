"""Curves as SVG: two panels, time and memory, with logarithmic axes. Pure.

A picture has a ground of its own, so that it can be read on light and on dark pages, and follows what the reader's
system prefers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from bench.growth.curves import Growth, Point, Subject, exponent

WIDTH, HEIGHT = 1000, 330
_LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 62, 44, 234, 230
_PANEL = WIDTH / 2
_LINE_HEIGHT = 15
_STYLE = """
svg { font: 12px system-ui, sans-serif; }
.ground { fill: #ffffff; } text { fill: #24292f; } .quiet { fill: #57606a; } .grid { stroke: #d0d7de; }
.c0 { color: #0550ae; } .c1 { color: #bc4c00; } .c2 { color: #1a7f37; }
@media (prefers-color-scheme: dark) {
.ground { fill: #1e2129; } text { fill: #e6edf3; } .quiet { fill: #a5afba; } .grid { stroke: #3d444d; }
.c0 { color: #79c0ff; } .c1 { color: #ffa657; } .c2 { color: #7ee787; }
}
.name { fill: currentColor; } .curve, .linear { fill: none; stroke: currentColor; }
.curve { stroke-width: 2; } .linear { stroke-dasharray: 2 4; }
"""
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def svg(subject: Subject, growth: Growth) -> str:
    """Return the picture of all costs of a subject, each with its exponent at its end and, where it
    rises, a dotted line that would be linear growth up to its last point."""
    panels = ((subject.seconds, "seconds of processor time", 0.0), (subject.mebibytes, "MiB of memory", _PANEL))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(subject.title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
    ]
    for names, unit, x in panels:
        curves = {name: points for name in names if (points := growth.curve(name))}
        if curves:
            lines += [f'<g transform="translate({x:g} 0)">', *_panel(subject, curves, unit), "</g>"]
    return "\n".join([*lines, "</svg>", ""])


class _Axis:
    """A logarithmic axis over whole decades."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)) + 1e-9)
        self._high = max(self._low + 1, math.ceil(math.log10(max(values)) - 1e-9))
        self._begin, self._scale = begin, (end - begin) / (self._high - self._low)

    @property
    def decades(self) -> list[float]:
        """Return the values that have a line."""
        return [10.0**power for power in range(self._low, self._high + 1)]

    def at(self, value: float) -> float:
        """Return where a value lies."""
        return self._begin + (math.log10(value) - self._low) * self._scale


def _panel(subject: Subject, curves: dict[str, list[Point]], unit: str) -> Iterator[str]:
    right, bottom = _LEFT + _PLOT_WIDTH, _TOP + _PLOT_HEIGHT
    sizes = _Axis([size for points in curves.values() for size, _ in points], _LEFT, right)
    costs = _Axis([cost for points in curves.values() for _, cost in points], bottom, _TOP)
    yield f'<text x="{_LEFT}" y="24" font-weight="600">{escape(unit)}</text>'
    every = 1 if len(sizes.decades) <= 6 else 2
    for value in sizes.decades:
        yield f'<path class="grid" d="M{sizes.at(value):.1f} {_TOP}V{bottom}"/>'
    for value in sizes.decades[::-every]:
        yield _text(sizes.at(value), bottom + 18, _short(value), "quiet", "middle")
    for value in costs.decades:
        yield f'<path class="grid" d="M{_LEFT} {costs.at(value):.1f}H{right}"/>'
        yield _text(_LEFT - 8, costs.at(value) + 4, f"{value:g}" if value < 1e4 else _short(value), "quiet", "end")
    yield _text(_LEFT + _PLOT_WIDTH / 2, bottom + 38, subject.unit, "quiet", "middle")
    for number, points in enumerate(curves.values()):
        places = [(sizes.at(size), costs.at(cost)) for size, cost in points]
        if (exponent(points) or 0) > 0.5:  # beside a flat curve it would say nothing
            yield f'<path class="linear c{number}" d="{_path(_linear(points, sizes, costs))}"/>'
        yield f'<path class="curve c{number}" d="{_path(places)}"/>'
        yield from (f'<circle class="curve c{number}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in places)
    heights = _apart([costs.at(points[-1][1]) for points in curves.values()])
    for number, ((name, points), height) in enumerate(zip(curves.items(), heights, strict=True)):
        power = exponent(points)
        label = name if power is None else f"{name}: n^{power:.2f}"
        yield _text(sizes.at(points[-1][0]) + 8, height + 4, label, f"name c{number}", "start")


def _linear(points: Sequence[Point], sizes: _Axis, costs: _Axis) -> list[Point]:
    """Return a line of slope one that ends in the last point, and begins where the picture does."""
    size, cost = points[-1]
    first = max(points[0][0], size * costs.decades[0] / cost)
    return [(sizes.at(first), costs.at(cost * first / size)), (sizes.at(size), costs.at(cost))]


def _apart(heights: Sequence[float]) -> list[float]:
    """Return these heights, moved down as far as one line of text needs below another."""
    placed = list(heights)
    before = -math.inf
    for number in sorted(range(len(heights)), key=heights.__getitem__):
        before = placed[number] = max(heights[number], before + _LINE_HEIGHT)
    return placed


def _path(places: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(value: float) -> str:
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{value / size:g} {prefix}"
    return f"{value:g}"
