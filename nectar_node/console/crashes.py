"""A crash as lines for people: where a process was, what it was handling, what it had saved. Pure.

A crash is a row of the node's answer to `errors`; parts of unknown shape are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from kernel.contract.message import marked
from nectar_node.console import output

Row = Mapping[str, object]


def crash_lines(row: Row) -> list[str]:
    """Return what is known of a crash beside its time, its process and the sentence that says why."""
    said = [output.printable(line) for line in _texts(row, "said")]
    frames = _rows(row, "frames")
    with_lines = any(frame.get("file") for frame in frames)
    shown = [f"  at {_frame(frame)}" for frame in frames] if with_lines or not said else []
    return [*said, *shown, *map(output.one_line, (*_handling(row), _life(row), _state(row)))]


def _frame(frame: Row) -> str:
    function, file, line = frame.get("function"), frame.get("file"), frame.get("line")
    if not file:
        return output.one_line(str(function))
    return output.one_line(f"{function} ({file}:{line})" if line else f"{function} ({file})")


def _handling(row: Row) -> Iterator[str]:
    kind, source = row.get("handled"), marked(row.get("source"), claim=bool(row.get("claim")))
    beginning = row.get("beginning")
    match kind:
        case "request":
            yield f"It was handling a request from {source}: {beginning}"
        case "response":
            yield f"It had got a response from {source}: {beginning}"
        case "offline" | "timeout":
            yield f"It had been told {str(kind).capitalize()} of its message to {source}: {beginning}"
        case _:
            yield "It had not got a message yet."
    for each in _rows(row, "lineage"):
        body = f": {each['beginning']}" if each.get("beginning") else ""
        yield f"  which is for a request from {each.get('source')} to {each.get('target')}{body}"


def _life(row: Row) -> str:
    ran, restarts, again = row.get("ran"), row.get("restarts"), row.get("again")
    parts = [f"It had run for {output.duration(ran)}" if isinstance(ran, int | float) else "It ended"]
    if isinstance(restarts, int) and restarts:
        parts.append(f"after {restarts} {'restart' if restarts == 1 else 'restarts'}")
    then = f"it starts again after {again:g} s" if isinstance(again, int | float) else "it does not start again"
    return f"{' '.join(parts)}; {then}."


def _state(row: Row) -> str:
    state = row.get("state")
    if not isinstance(state, Mapping):
        return "It has saved nothing."
    size, age = state.get("bytes"), state.get("age")
    has = f"It has saved {size} bytes"
    if not isinstance(age, int | float):
        return f"{has}, before the node was booted."
    return f"{has}, {output.duration(age)} before, at {_clock(state.get('time'))}."


def _clock(value: object) -> str:
    try:
        return datetime.fromisoformat(str(value)).astimezone().strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "-"


def _texts(row: Row, key: str) -> list[str]:
    found = row.get(key)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _rows(row: Row, key: str) -> list[Row]:
    found = row.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
