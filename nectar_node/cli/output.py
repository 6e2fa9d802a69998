"""How results and errors look: tables and sentences for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_CONTROL = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


_NO_END = 10_000
"""Characters: a line of what is no terminal ends where it ends."""


def console(stream: TextIO | None = None, *, wrapped: bool = False) -> Console:
    """A console on `stream` (default: standard output) that prints texts as they are, without markup or colours of its
    own; `wrapped`: on a terminal it breaks long lines between words."""
    file = stream or sys.stdout
    width = _NO_END if wrapped and not file.isatty() else None
    return Console(file=file, highlight=False, markup=False, soft_wrap=not wrapped, width=width)


def width() -> int | None:
    """Characters in a line of the terminal; None: standard output is none."""
    return console().width if sys.stdout.isatty() else None


def say(sentence: str) -> None:
    """Print one line for people on standard output."""
    print(printable(sentence), flush=True)


def complain(sentence: str) -> None:
    """Print one line on standard error."""
    print(printable(sentence), file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """Print `value` as one JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def printable(text: str) -> str:
    """`text` without the control characters with which a log or a peer could take over a terminal."""
    return text.translate(_CONTROL).encode(errors="replace").decode()


def one_line(text: str) -> str:
    """The same, with its line ends and tabs as spaces."""
    return printable(text).translate({ord("\n"): " ", ord("\t"): " "})


def sentence(text: str) -> str:
    """`text`, as a process put it, with a capital letter (names of nodes keep their small one) and a full stop."""
    first, space, rest = text.rstrip(". ").partition(" ")
    return f"{first if '.' in first else first[:1].upper() + first[1:]}{space}{rest}."


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], unbroken: Container[str] = ()) -> None:
    """Print `rows` under the headings `columns`; as tab-separated lines where standard output is no terminal.

    Cells are broken where they do not fit, those of the columns `unbroken` last.
    """
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print("\t".join(one_line(cell) for cell in row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in unbroken)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console().print(table)


def size(count: float) -> str:
    """A number of bytes for people: 1536 is `1.5 KiB`."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """A number of seconds for people: `0.4 s`, `42 s`, `3:05`, `2:03:05`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


_SHORT_STATES = {
    "waiting for a message": "idle",
    "awaiting a response": "awaiting",
    "waiting for the kernel": "calling",
    "waiting for room in another inbox": "blocked",
}


def short_state(state: object) -> str:
    """A process's state in one word, for tables."""
    return _SHORT_STATES.get(str(state), str(state))


def endpoint(value: object) -> str:
    """A [host, port] pair of an answer as `host:port`; `-` for none."""
    match value:
        case [str(host), int(port)]:
            return f"{host}:{port}"
        case _:
            return "-"


def cell(row: Mapping[str, object], key: str) -> str:
    """The value of `key` in an answer's row, as text; `-` where it is missing or null."""
    value = row.get(key)
    if value is None:
        return "-"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
