"""The page of a journal: one file of HTML that needs nothing else.

Names and texts in a journal come from guests. They reach the page as data alone: escaped so that they cannot end the
element that holds them, with control characters written out; the page's script never makes markup of them, and the
page's policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from nectar_node.base.errors import BadInput
from testnet.journal.journal import RECORDED, Header, Journal
from testnet.report.model import (
    Band,
    Broken,
    DrawnMessage,
    DrawnOperation,
    FailedMessage,
    Picture,
    Remark,
    Segment,
    draw,
)
from testnet.report.story import FailureStory, span_of, tell

SCRIPTS = ("items.js", "layout.js", "drawing.js", "overview.js", "details.js", "filters.js", "failure.js", "page.js")
"""The scripts, in the order of their dependencies."""
_NAMED = 5
"""Nodes that a title names."""
MAX_EVENTS = 100_000
"""The most events on a page; of a longer journal, the last ones, which led to its end."""


def write_report(journal: Journal, path: Path, file: str = "FILE") -> None:
    """Write the page to `path`; `file` is where the journal lies, for the command that replays it.

    Raises BadJournal for events that cannot be read, BadInput where the page cannot be written."""
    text = render(journal, file)
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}. Name another file with -o.") from None


def render(journal: Journal, file: str = "FILE") -> str:
    """Return the page; raises BadJournal."""
    script = "\n".join(_part(name) for name in SCRIPTS)
    parts = {
        "STYLE": _part("page.css"),
        "SCRIPT": script,
        "SCRIPT-HASH": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "DATA": embedded(data(journal, file)),
    }
    first, *rest = _part("page.html").split("{{")
    return first + "".join(parts[name] + text for name, text in (each.split("}}", 1) for each in rest))


def data(journal: Journal, file: str) -> dict[str, Any]:
    """Return the data that the script draws; raises BadJournal."""
    kept = replace(journal, events=journal.events[-MAX_EVENTS:])
    picture = draw(kept)
    return {
        "about": _about(journal, file, len(journal.events) - len(kept.events)),
        "nodes": picture.nodes,
        "story": _story(journal, tell(kept, picture)),
        **_tables(picture),
    }


def embedded(value: object) -> str:
    """Return JSON that is safe within a script element of any document: ASCII without `<`, `>` and `&`."""
    text = json.dumps(shown(value), separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def shown(value: object) -> object:
    """Return the value with all texts printable: control characters, and those that change the direction of writing,
    are escaped."""
    match value:
        case str():
            return value if value.isprintable() else "".join(map(_visible, value))
        case Mapping():
            return {str(shown(key)): shown(each) for key, each in value.items()}
        case Sequence():
            return [shown(each) for each in value]
        case _:
            return value


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _part(name: str) -> str:
    return (files("testnet.report") / "page" / name).read_text(encoding="utf-8")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _about(journal: Journal, file: str, left_out: int) -> dict[str, Any]:
    header, end = journal.header, journal.end
    recorded = header.scenario == RECORDED
    # One node after the other is replayed: here the first, whose recording is in the first of the folders.
    node = f" --node {shlex.quote(header.nodes[0])}" if len(header.nodes) > 1 else ""
    return {
        "scenario": header.scenario,
        "title": f"recordings of {_few(header.nodes)}" if recorded else f"{header.scenario}, seed {header.seed}",
        "seed": str(header.seed),
        "options": [[name, _words(value)] for name, value in header.options.items()],
        "schedule": [*schedule_words(header)],
        "result": end.result,
        "text": end.text,
        "digest": end.digest,
        "seconds": end.seconds,
        "clock": "virtual" if header.level == "simulation" and not recorded else "real",
        "events": end.events,
        "leftOut": left_out,
        "replay": f"nectar replay {shlex.quote(file)}{node}" if recorded else f"nectar sim replay {shlex.quote(file)}",
    }


def _story(journal: Journal, story: FailureStory | None) -> dict[str, Any] | None:
    if story is None:
        return None
    match journal.header.options.get("place"):
        case {"file": str(file), "line": int(line), "source": str(source)}:
            place, code = f"{file}:{line}", source
        case _:
            place, code = "", ""
    return {
        "at": story.at,
        "text": story.text.splitlines(),
        "place": place,
        "source": code,
        "told": [[each.at, each.text, list(each.lines), each.root, each.bad] for each in story.told],
        "opens": story.opens,
        "faults": [span_of(each) for each in story.faults],
        "states": [[each.process, list(each.words)] for each in story.states],
    }


def schedule_words(header: Header) -> tuple[str, ...]:
    """Describe each fault of the schedule; times count from the beginning of the faults."""
    return tuple(_fault_words(each) for each in header.schedule)


def _fault_words(entry: dict[str, Any]) -> str:
    rest = (f"{name} {_words(value)}" for name, value in entry.items() if name not in ("kind", "at", "until"))
    what = ", ".join((_words(entry.get("kind", "fault")), *rest))
    until = entry.get("until")
    return f"{what}: from {_words(entry.get('at'))} s " + ("on" if until is None else f"to {_words(until)} s")


def _words(value: object) -> str:
    match value:
        case str():
            return value
        case list():
            return " and ".join(map(_words, value))
        case _:
            return json.dumps(value)


def _tables(picture: Picture) -> dict[str, Any]:
    return {
        "messages": _table(DrawnMessage, picture.messages),
        "failures": _table(FailedMessage, picture.failures),
        "segments": _table(Segment, picture.segments),
        "remarks": _table(Remark, picture.remarks),
        "bands": _table(Band, picture.bands),
        "violations": _table(Broken, [replace(each, text=_in_a_row(each.text)) for each in picture.violations]),
        "operations": _table(DrawnOperation, picture.operations),
    }


def _in_a_row(text: str) -> str:
    """Return the lines of a text, which a journal has in one line, as one that people read."""
    return re.sub(r"(?:\\n| )+", " ", text)


def _table(kind: type[Any], rows: Sequence[Any]) -> dict[str, Any]:
    """Return the names once and a row of values for each item, which halves the size."""
    names = [each.name for each in fields(kind)]
    return {"names": names, "rows": [[getattr(row, name) for name in names] for row in rows]}
