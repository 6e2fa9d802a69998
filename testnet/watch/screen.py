"""A screen of a testnet: what fits of its nodes, links, faults and errors. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from nectar_node.console import output
from nectar_node.launcher.local_network import LocalNetwork
from testnet.watch.figures import LATELY, ErrorFigures, Figures, LinkFigures, NodeFigures
from testnet.watch.snapshot import COUNTS, NodeState, Row

_GAP = 2
"""Characters between two columns."""
_LEAST_CELL = 10
"""Characters to which a column of words is cut at most."""
_STYLES = {
    NodeState.RUNNING: "green",
    NodeState.STARTING: "yellow",
    NodeState.PAUSED: "yellow",
    NodeState.SILENT: "yellow",
    NodeState.DOWN: "red",
}
_NEWS, _FAULT = "yellow", "magenta"
_MANY = 1 << 20
"""The number of rows when height is unlimited."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a section."""

    heading: str
    worth: int = 9
    """The priority: columns of the lowest worth are left out first when space is short, and those of worth 9 never."""
    right: bool = True
    cut: bool = False
    """Whether it shrinks before others do."""


@dataclass(frozen=True, slots=True)
class Section:
    """Some rows, the most important first."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Text]]
    least: int
    """Rows that it should have, if it wants them."""


_NODES = (
    Column("NODE", right=False, cut=True),
    Column("STATE", right=False),
    Column("SINCE", 6),
    Column("PROC", 4),
    Column("PEERS", 5),
    Column("MSG/S", 8),
    Column("ANSWERED", 7),
    Column("OFFLINE"),
    Column("TIMEOUT"),
    Column("PENDING", 3),
    Column("DEAD", 2),
    Column("PID", 1),
    Column("CONNECTED TO", 0, right=False, cut=True),
)
_LINKS = (
    Column("LINK", right=False, cut=True),
    Column("→ B/S"),
    Column("← B/S"),
    Column("TOTAL", 0),
    Column("CONNS", 1),
    Column("RESETS", 2),
    Column("FAULTS", right=False, cut=True),
)
_FAULTS = (Column("FAULT"), Column("WHAT HOLDS", right=False, cut=True), Column("ENDS", right=False))
_ERRORS = (
    Column("LAST", right=False),
    Column("ERROR", right=False),
    Column("TIMES"),
    Column("FROM", right=False, cut=True),
    Column("TO", right=False, cut=True),
)


def screen(figures: Figures, folder: str, width: int, height: int | None) -> Group:
    """Return what fits into `width` columns and `height` lines (None: unlimited)."""
    sections = [
        Section(_NODES, list(map(_node, by_need(figures.nodes, height))), 6),
        Section(_LINKS, list(map(_link, busiest(figures.links, height))), 3),
        Section(_FAULTS, list(map(_fault, figures.picture.links.faults)), 3),
        Section(_ERRORS, list(map(_error, figures.errors)), 2),
    ]
    sections = [each for each in sections if each.rows]
    while len(sections) > 1 and _row_count(sections, height) < sum(
        min(each.least, len(each.rows)) for each in sections
    ):
        sections.pop()
    lines = share(
        _row_count(sections, height), [len(each.rows) for each in sections], [each.least for each in sections]
    )
    parts: list[RenderableType] = [_title(figures, folder)]
    for section, count in zip(sections, lines, strict=True):
        parts += [Text("")] if section is not sections[0] else []
        parts += _table(section, width, count)
    return Group(*parts)


def _row_count(sections: Sequence[Section], height: int | None) -> int:
    """Return the number of lines for rows: the rest are titles, headings, and empty lines."""
    return _MANY if height is None else max(1, height - 2 * len(sections))


def share(space: int, wanted: Sequence[int], least: Sequence[int]) -> list[int]:
    """Return how many of `space` lines each section gets: first the minimum of each, in order, then what they want, in
    turn."""
    given: list[int] = []
    for want, few in zip(wanted, least, strict=True):
        given.append(max(0, min(want, few, space - sum(given))))
    while sum(given) < min(space, sum(wanted)):
        for number, want in enumerate(wanted):
            if given[number] < want and sum(given) < space:
                given[number] += 1
    return given


def by_need(nodes: Sequence[NodeFigures], height: int | None) -> list[NodeFigures]:
    """Return the nodes in their order if all are likely to fit; else those that do not run first, then the busiest."""
    if height is None or len(nodes) <= height // 3:
        return list(nodes)
    return sorted(nodes, key=lambda node: (node.look.state is NodeState.RUNNING, -magnitude(node.per_second)))


def busiest(links: Sequence[LinkFigures], height: int | None) -> list[LinkFigures]:
    """Return the links in their order if all are likely to fit; else those with faults first, then the busiest."""
    if height is None or len(links) <= height // 4:
        return list(links)
    return sorted(links, key=lambda link: (not link.faults, -max(magnitude(link.there), magnitude(link.back))))


def magnitude(rate: float | None) -> int:
    """Return a coarse figure of a rate, so that links with about the same traffic keep their order on the screen."""
    return int(rate or 0.0).bit_length()


def _title(figures: Figures, folder: str) -> Text:
    states = [node.look.state for node in figures.nodes]
    count = ", ".join(f"{states.count(state)} {state}" for state in NodeState if state in states) or "no nodes"
    up = LocalNetwork(Path(folder)).command("testnet up")
    said = {
        "none": "no links between the nodes, so no faults",
        "silent": "the links do not answer",
        "ended": f"the links have ended: `{up}` starts them again",
        "running": _count(len(figures.picture.links.faults), "no fault holds", "1 fault holds", "{} faults hold"),
    }
    down = all(state is NodeState.DOWN for state in states)
    links = f"`{up}` starts it" if down else said.get(figures.picture.links.state, "")
    title = Text(f"{folder}: {count}; {links}", "bold", no_wrap=True, overflow="ellipsis")
    return title.append(f"  (+n: in the last {LATELY:.0f} s)", "not bold dim")


def _count(number: int, none: str, one: str, many: str) -> str:
    return (none, one)[number] if number < 2 else many.format(number)


def _node(node: NodeFigures) -> list[Text]:
    look = node.look
    style = _STYLES[look.state]
    outcomes = [_counted(look.counts.get(key), node.lately.get(key, 0)) for key in COUNTS[1:]]
    for cell, key in zip(outcomes[1:], COUNTS[2:], strict=True):
        cell.stylize(_NEWS if node.lately.get(key) else "")
    answered, offline, timeout, dead = outcomes
    return [
        Text(look.name),
        Text(look.state.value, style),
        Text(f"{'>' if node.since_at_least else ''}{output.duration(node.since)}"),
        _whole(look.processes),
        _whole(len(look.peers) if look.state is NodeState.RUNNING else None),
        Text("-" if node.per_second is None else short(node.per_second)),
        answered,
        offline,
        timeout,
        _whole(look.outstanding),
        dead,
        _whole(look.pid),
        Text(output.one_line(", ".join(look.peers))),
    ]


def _link(link: LinkFigures) -> list[Text]:
    resets = _counted(link.resets, link.resets_lately)
    resets.stylize(_NEWS if link.resets_lately else "")
    return [
        Text(" ⇄ ".join(map(output.one_line, link.ends))),
        _rate(link.there),
        _rate(link.back),
        Text(output.size(link.bytes)),
        Text(short(link.connections)),
        resets,
        Text(output.one_line(", ".join(link.faults)), _FAULT),
    ]


def _fault(row: Row) -> list[Text]:
    left = row.get("left")
    ends = f"in {output.duration(left)}" if isinstance(left, int | float) else "when removed"
    return [Text(str(row.get("number"))), Text(output.one_line(str(row.get("words"))), _FAULT), Text(ends)]


def _error(error: ErrorFigures) -> list[Text]:
    letter = error.last
    return [
        Text(output.moment(letter.time)),
        Text(output.one_line(letter.reason)),
        Text(short(error.count)),
        Text(output.one_line(letter.source)),
        Text(output.one_line(letter.target)),
    ]


def _counted(total: int | None, lately: int) -> Text:
    if total is None:
        return Text("-")
    return Text(f"{short(total)} +{short(lately)}" if lately else short(total))


def _whole(number: int | None) -> Text:
    return Text("-" if number is None else str(number))


def _rate(value: float | None) -> Text:
    return Text("-" if value is None else output.size(value) if value >= 1 else "0")


def short(number: float) -> str:
    """Return a count or a rate in at most five characters: 7, 950, 12.3k, 4.1M."""
    if abs(number) < 999.5:
        return f"{number:.0f}"
    steps = min(3, int(math.log10(abs(number) * 1.0005) / 3))
    number /= 1000**steps
    unit = " kMG"[steps]
    return f"{number:.0f}{unit}" if number >= 99.95 else f"{number:.1f}{unit}"


def _table(section: Section, width: int, lines: int) -> list[RenderableType]:
    """Return headings and `lines` lines, the last of which tells how many rows are hidden."""
    hidden = len(section.rows) - lines
    rows = section.rows[: lines - 1] if hidden > 0 else section.rows
    shown = fitting(section.columns, rows, width)
    columns = [section.columns[number] for number in shown]
    cells = [[row[number] for number in shown] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column, least in zip(columns, widths(columns, cells, width), strict=True):
        justify: JustifyMethod = "right" if column.right else "left"
        table.add_column(column.heading, justify=justify, no_wrap=True, overflow="ellipsis", width=least)
    for row in cells:
        table.add_row(*row)
    return [table, Text(f"and {hidden + 1} more", "dim")] if hidden > 0 else [table]


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[Text]], space: int) -> list[int]:
    """Return the numbers of the columns that are shown."""
    shown = list(range(len(columns)))
    needs = [_need(column, [row[number] for row in rows]) for number, column in enumerate(columns)]
    needs = [min(need, _LEAST_CELL) if column.cut else need for need, column in zip(needs, columns, strict=True)]
    while sum(needs[number] + _GAP for number in shown) - _GAP > space:
        least = min(shown, key=lambda number: columns[number].worth)
        if columns[least].worth == 9:
            break
        shown.remove(least)
    return shown


def widths(columns: Sequence[Column], rows: Sequence[Sequence[Text]], space: int) -> list[int]:
    """Return the widths of the columns: what they need, less what the shrinking ones can give, the widest first."""
    found = [_need(column, [row[number] for row in rows]) for number, column in enumerate(columns)]
    over = sum(found) + _GAP * (len(found) - 1) - space
    giving = [number for number, column in enumerate(columns) if column.cut]
    while over > 0 and giving and found[most := max(giving, key=found.__getitem__)] > _LEAST_CELL:
        found[most] -= 1
        over -= 1
    return found


def _need(column: Column, cells: Sequence[Text]) -> int:
    return max(cell_len(column.heading), *(cell_len(cell.plain) for cell in cells), 0)
