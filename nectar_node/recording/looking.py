"""A look into a core that a replay has stopped: processes, mailboxes, sessions, and the guests' memory and stacks.

Everything is returned as plain values, ready for JSON. Tests: tests/nectar_node/recording/test_stops.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernel.contract.address import ProcessId
from kernel.contract.errors import BadAddress
from kernel.contract.guest import Arrival, Guest
from kernel.contract.message import Request
from kernel.contract.process import Process, Waiting
from kernel.wasm.binary.debug_file import SUFFIX
from kernel.wasm.fiber import Fiber
from nectar_node.base.errors import BadInput
from nectar_node.core.core import NodeCore
from nectar_node.core.dead_letters import CrashReport
from nectar_node.recording.guests import TapedGuest
from nectar_node.recording.replay import NodeReplay
from nectar_node.recording.stops import SHOWN_BYTES, StoppingReplay

Row = dict[str, object]
MAX_MEMORY_SHOWN = 1 << 16
"""Bytes of memory that are shown at once."""
MAX_FOUND = 100
"""Places in memory that are named."""
MAX_MAIL_SHOWN = 100


def processes(core: NodeCore) -> list[Row]:
    """Return a row for each process that runs."""
    rows: list[Row] = []
    for process in core.kernel.processes.values():
        used = core.machine.statistics(process.address.process)
        rows.append(
            {
                "process": str(process.address.process),
                "state": _state(process),
                "mail": len(process.mailbox),
                "mail_bytes": process.mailbox.bytes,
                "outstanding": len(process.outstanding),
                "handled": process.messages,
                "memory_bytes": 0 if used is None else used.memory_bytes,
            }
        )
    return rows


def mail(core: NodeCore, process: str) -> list[Row]:
    """Return a row for each message that waits for a process, and for each request whose answer it waits for; raises
    BadInput.
    """
    found = _process(core, process)
    rows: list[Row] = []
    for delivery in list(found.mailbox.deliveries())[:MAX_MAIL_SHOWN]:
        answer, blob = delivery.answer, delivery.blob
        if isinstance(answer, Arrival):
            kind = "request" if isinstance(answer.message, Request) else "response"
            source, body = str(answer.source), answer.message.body
        else:
            kind, source, body = f"error: {answer.error.kind.name.lower()}", "", answer.error.message.body
        rows.append(_message(kind, source, body) | {"blob_bytes": None if blob is None else len(blob.bytes)})
    for id in sorted(found.outstanding)[:MAX_MAIL_SHOWN]:
        entry = core.kernel.outstanding.get(id)
        if entry is not None:
            rows.append(_message(f"sent {id}", str(entry.target), entry.request.body) | {"until": entry.deadline})
    return rows


def sessions(core: NodeCore) -> list[Row]:
    """Return a row for each node that it has a session with."""
    return core.peers()


def crashes(core: NodeCore) -> list[Row]:
    """Return a row for each of the latest processes that have trapped until there, with the functions it was in."""
    rows: list[Row] = []
    for each in core.dead_letters.entries:
        if isinstance(each, CrashReport):
            crash = each.crash
            frames = [frame._asdict() for frame in crash.end.frames]
            rows.append({"process": str(crash.address.process), "reason": crash.end.trap, "frames": frames})
    return rows


def memory(core: NodeCore, process: str, address: int, length: int) -> bytes:
    """Return bytes of a guest's memory; raises BadInput."""
    data = _memory(core, process)
    if not 0 <= address < len(data):
        raise BadInput(f"{process} has {len(data)} bytes of memory: there is no byte {address}.")
    return bytes(data[address : address + min(length, MAX_MEMORY_SHOWN)])


def find_in_memory(core: NodeCore, process: str, wanted: bytes) -> list[int]:
    """Return the addresses in a guest's memory at which those bytes are; raises BadInput."""
    data, places = bytes(_memory(core, process)), list[int]()
    at = data.find(wanted)
    while at >= 0 and len(places) < MAX_FOUND:
        places.append(at)
        at = data.find(wanted, at + 1)
    return places


def stack(replay: StoppingReplay, process: str) -> list[Row]:
    """Return the functions that a guest is in, the innermost first; raises BadInput. The guest does not live on, so a
    second replay goes to the same step.
    """
    guest = _guest(replay.player.core, process)
    player = replay.again().player
    guest = _guest(player.core, process)
    return [frame._asdict() for frame in guest.end_here(_debug_files(player))]


def _debug_files(player: NodeReplay) -> Callable[[str], bytes | None]:
    def read(digest: str) -> bytes | None:
        try:
            return (Path(player.start.code) / f"{digest}{SUFFIX}").read_bytes()
        except OSError:
            return None

    return read


def _state(process: Process) -> str:
    waiting = process.waiting
    return f"{waiting.value} to {process.awaited}" if waiting is Waiting.RESPONSE else waiting.value


def _message(kind: str, other: str, body: bytes) -> Row:
    return {"kind": kind, "other": other, "bytes": len(body), "body": body[:SHOWN_BYTES].decode(errors="replace")}


def _process(core: NodeCore, text: str) -> Process:
    try:
        found = core.kernel.processes.get(ProcessId.parse(text))
    except BadAddress:
        found = None
    if found is None:
        known = ", ".join(sorted(str(each) for each in core.kernel.processes))
        raise BadInput(f"No process {text} runs there: {known or 'none'} do.")
    return found


def _guest(core: NodeCore, text: str) -> Fiber:
    guest: Guest | Any = core.machine.guest(_process(core, text).address.process)
    inner = guest.inner if isinstance(guest, TapedGuest) else guest
    if not isinstance(inner, Fiber) or inner.end is not None:
        raise BadInput(f"{text} has no guest there that could be looked into.")
    return inner


def _memory(core: NodeCore, text: str) -> memoryview:
    guest = _guest(core, text)
    guest.statistics()  # looks whether it has grown
    return guest.memory
