"""How results and errors look: tables and sentences for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_CONTROL = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


_GAP = 2
"""Characters between two columns of a table."""
_LEAST_CELL = 24
"""Characters to which a longer word may be broken."""
_NO_END = 10_000
"""Width in characters if the output is not a terminal: lines are never broken."""


def console(stream: TextIO | None = None, *, wrapped: bool = False) -> Console:
    """Return a console on `stream` (default: standard output) that prints texts as they are, without markup or colours.

    With `wrapped`, it breaks long lines between words on a terminal.
    """
    from rich.console import Console  # takes longer to load than many a command to run

    file = stream or sys.stdout
    width = _NO_END if wrapped and not file.isatty() else None
    return Console(file=file, highlight=False, markup=False, soft_wrap=not wrapped, width=width)


def say(sentence: str) -> None:
    """Print one line for people on standard output."""
    print(printable(sentence), flush=True)


def complain(sentence: str) -> None:
    """Print one line on standard error."""
    print(printable(sentence), file=sys.stderr, flush=True)


def warn(sentence: str) -> None:
    """Print one line on standard error, in red on a terminal."""
    line = printable(sentence)
    print(f"\x1b[31m{line}\x1b[0m" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """Print `value` as one JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def tell(value: object, sentence: str, *, as_json: bool) -> None:
    """Print a result: `value` as JSON for programs, or the sentence for people."""
    if as_json:
        print_json(value)
    else:
        say(sentence)


def printable(text: str) -> str:
    """Return `text` without the control characters with which a log or a peer could take over a terminal."""
    return text.translate(_CONTROL).encode(errors="replace").decode()


def one_line(text: str) -> str:
    """Return `text` made printable, with its line ends and tabs as spaces."""
    return printable(text).translate({ord("\n"): " ", ord("\t"): " "})


def sentence(text: str, name: str = "") -> str:
    """Return `text`, from a process, with a capital letter and a full stop. Names of nodes and files keep their small
    letter, also a `name` that does not look like one.
    """
    first, space, rest = text.rstrip(". ").partition(" ")
    is_name = any(mark in first for mark in "./:") or (name != "" and text.startswith(f"{name} "))
    return f"{first if is_name else first[:1].upper() + first[1:]}{space}{rest}."


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    unbroken: Container[str] = (),
    optional: Sequence[str] = (),
    roomy: Sequence[str] = (),
    red: Container[str] = (),
) -> None:
    """Print `rows` under the headings `columns`; as tab-separated lines if standard output is not a terminal.

    On a narrow terminal the columns `optional` are left out, the first of them first, and then cells are broken; those
    of the columns `unbroken` last. The columns `roomy` are kept wide enough for a few words, rather than optional ones
    kept. Cells that are one of `red` are in red.
    """
    lines = [columns, *([one_line(cell) for cell in row] for row in rows)]
    if not sys.stdout.isatty():
        for line in lines:
            print("\t".join(line))
        return
    from rich.table import Table
    from rich.text import Text

    widths = layout(lines, console().width, unbroken, optional, roomy)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in widths.items():
        table.add_column(column, overflow="fold", width=width)
    shown = [columns.index(column) for column in widths]
    for line in lines[1:]:
        table.add_row(*(Text(line[number], "red" if line[number] in red else "") for number in shown))
    console().print(table)


def layout(
    lines: Sequence[Sequence[str]],
    room: int,
    unbroken: Container[str],
    optional: Sequence[str],
    roomy: Sequence[str] = (),
) -> dict[str, int]:
    """Return the columns that fit into `room` characters, and their widths; `lines` begin with the headings.

    `print_table` describes the order in which columns shrink.
    """
    from rich.cells import cell_len

    cells = {line[0]: line for line in zip(*lines, strict=True)}
    full = {column: max(map(cell_len, line)) for column, line in cells.items()}
    least = {column: full[column] if column in unbroken else _least(line) for column, line in cells.items()}
    wanted = least | {column: max(least[column], min(_LEAST_CELL, full[column])) for column in roomy}
    for column in optional:
        if _total(wanted) > room:
            del least[column], wanted[column]
    free = max(0, room - _total(least))
    for column in least:
        more = min(free, full[column] - least[column])
        least[column] += more
        free -= more
    return least


def _least(cells: Sequence[str]) -> int:
    """Return the width of a column whose cells may be broken, between words if they are not too long."""
    from rich.cells import cell_len

    return max(min(_LEAST_CELL, cell_len(word)) for cell in cells for word in cell.split() or [""])


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def size(count: float) -> str:
    """Return a number of bytes for people: 1536 is `1.5 KiB`."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a number of seconds for people: `0.4 s`, `42 s`, `3:05`, `2:03:05`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def short_time(seconds: float) -> str:
    """Return a short time for people: `85 µs`, `1.2 ms`, `3.10 s`."""
    if seconds < 0.001:
        return f"{max(0.0, seconds) * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def moment(value: str) -> str:
    """Return a time in an answer as local time: the time of day if it is today, else the day too; `-` if it is none."""
    try:
        when = datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        return "-"
    today = when.date() == datetime.now(when.tzinfo).date()
    return when.strftime("%H:%M:%S" if today else "%b %d %H:%M")


_SHORT_STATES = {
    "waiting for a message": "idle",
    "awaiting a response": "awaiting",
    "waiting for the kernel": "calling",
    "waiting for room in another inbox": "blocked",
}


def short_state(state: object) -> str:
    """Return a process's state in one word, for tables."""
    return _SHORT_STATES.get(str(state), str(state))


def endpoint(value: object) -> str:
    """Return a [host, port] pair of an answer as `host:port`; `-` for none."""
    match value:
        case [str(host), int(port)]:
            return f"{host}:{port}"
        case _:
            return "-"


def cell(row: Mapping[str, object], key: str) -> str:
    """Return the value of `key` in an answer's row, as text; `-` if it is missing or null."""
    value = row.get(key)
    if value is None:
        return "-"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
