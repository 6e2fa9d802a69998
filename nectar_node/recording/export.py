"""What may leave the machine of a recording: that something happened and when, and none of its content.

An export cannot be replayed, since a replay needs what must not leave: the node's key, its random numbers, and the
bytes that sessions carried. Of log lines it has the node's own, in which are names and reasons; what processes print is
counted alone, since nobody knows what is in it.

Pure. Tests: tests/nectar_node/driver/recordings/test_export.py.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from nectar_node.recording.errors import BadRecording
from nectar_node.recording.replay import plain_list, time_of
from nectar_node.recording.segments import SegmentHeader, TapeEntry
from nectar_node.recording.taped_core import METHODS, NUMBER, PENDED, RAN, RECEIVED, StepKind
from nectar_node.recording.values import plain_untrusted

OWN_SOURCES = ("kernel", "net")
"""Whose log lines are exported."""
_NAMES = {"job": "disk job", "load": "code to compile"}

Row = dict[str, object]


def exported(header: SegmentHeader, entries: Iterable[TapeEntry], gap: tuple[int, int] | None = None) -> Iterator[Row]:
    """Yield rows for JSON: one for the recording, then one for each step; raises BadRecording. `gap`: the first and the
    last segment that are missing within, which steps are not counted over.
    """
    yield {
        "recording": header.node,
        "boot": header.boot,
        "release": header.version,
        "began": header.began,
        "first_segment": header.segment,
        "missing_segments": gap,
        "replayable": False,
    }
    first: float | None = None
    for entry in entries:
        try:
            now = time_of(entry)
            first = now if first is None else first
            row: Row = {"step": entry.number, "kind": StepKind(entry.kind).name.lower()}
            if now is not None and first is not None:
                row["seconds"] = round(now - first, 6)
            yield row | _facts(entry)
        except (struct.error, ValueError, IndexError, TypeError) as error:
            raise BadRecording(f"The recording is damaged: step {entry.number}: {error}.") from error


def _facts(entry: TapeEntry) -> Row:
    kind, body = entry.kind, entry.body
    if kind == StepKind.RECEIVE:
        return {"connection": RECEIVED.unpack_from(body)[0], "bytes": len(body) - RECEIVED.size}
    if kind == StepKind.PENDING:
        connection, _, buffers, size, _ = PENDED.unpack(body)
        return {"connection": connection, "buffers": buffers, "bytes": size}
    if kind == StepKind.CALL:
        return {"method": METHODS[plain_list(body, 3)[0]][1]}
    if kind == StepKind.DID:
        return _done(body)
    if kind == StepKind.GUEST:
        number, what, given, _ = plain_list(body, 4)
        method = given[1] if what == "drive" and isinstance(given, list) and len(given) > 1 else what
        return {"guest": number, "asks": str(method)}
    if kind == StepKind.RUN:
        return {"polls": RAN.unpack(body)[1]}
    if kind in (StepKind.RAN, StepKind.LEND):
        return {"number": NUMBER.unpack(body)[0]}
    return {"bytes": len(body)}


def _done(body: bytes) -> Row:
    if body[:1] == b"\0":
        return {"actions": {"Writable": 1}}
    counted, lines = Counter[str](), list[str]()
    for action in plain_untrusted(body)[1:]:
        name = _name(action)
        counted[name] += 1
        if name == "LogLine" and action[2] in OWN_SOURCES:
            lines.append(f"{action[2]}: {action[4]}")
    return {"actions": dict(counted)} | ({"log": lines} if lines else {})


def _name(action: Any) -> str:
    if not isinstance(action, list):
        return "Writable"
    kind = str(action[0])
    return str(action[1]).rpartition(":")[2] if kind in ("n", "c") else _NAMES.get(kind, kind)
