"""The node's state as rows of JSON: the answers to `ps`, `peers`, `df`, `errors`, `trace`, `net diagnose` and `start`.

Changes nothing. The core's times run from an arbitrary point; `lead` is the number of seconds to add to get Unix time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice

from kernel.contract.address import ProcessId
from kernel.contract.events import DeadLetter, Trapped
from kernel.contract.guest import Failure
from kernel.contract.message import Request, is_claim
from kernel.contract.process import Launch, Process
from nectar_node.contract.actions import DiskUsed
from nectar_node.contract.traces import TraceRecord
from nectar_node.core.core import NodeCore
from nectar_node.core.dead_letters import CrashReport
from nectar_node.packages.manifest import Package, capability_text, requested_capabilities
from nectar_node.storage.ledger import NO_QUOTA, package_of_state
from nectar_node.system.state import Saved
from net.contract.events import (
    AttemptFailed,
    Dialed,
    DialStatus,
    NameFound,
    NameMissing,
    Pinged,
    Pinging,
    ProbeStep,
    Proven,
)
from net.names.identity import fingerprint

MAX_ERROR_ROWS = 1000
"""Dead letters in one answer."""
MAX_HOLDERS = 10
"""Holders of the most memory, in one answer."""
BEGINNING_BYTES = 200
"""Bytes of a dead letter's body, in its row."""

Row = dict[str, object]


def process_rows(core: NodeCore, now: float) -> Iterator[Row]:
    """Yield a row for each guest process, including those that wait for a restart; others may come and go meanwhile."""
    for process in list(core.kernel.processes.values()):
        yield _running(core, process, now)
    for launch, at in core.kernel.lifecycle.waiting():
        yield _waiting(core, launch, at - now)


def process_row(core: NodeCore, process: ProcessId, now: float) -> Row | None:
    """Return the row of one process; None: there is none of that id."""
    running = core.kernel.processes.get(process)
    if running is not None:
        return _running(core, running, now)
    waiting = (each for each in core.kernel.lifecycle.waiting() if each[0].process == process)
    return next((_waiting(core, launch, at - now) for launch, at in waiting), None)


def _identity(core: NodeCore, launch: Launch) -> Row:
    process, parent = launch.process, launch.parent
    held = core.kernel.grants.of(process)
    return {
        "address": f"{core.our}@{process}",
        "parent": str(parent) if parent is not None else None,
        "restarts": core.kernel.lifecycle.restarts(process),
        "capabilities": [capability_text(each, core.our) for each in held],
    }


def _running(core: NodeCore, process: Process, now: float) -> Row:
    id, launch = process.address.process, process.launch
    used = core.machine.statistics(id)
    return {
        **_identity(core, launch),
        "state": process.waiting.value,
        "inbox": len(process.mailbox),
        "inbox_bytes": process.mailbox.bytes,
        "outstanding": len(process.outstanding),
        "messages": process.messages,
        "memory_bytes": used.memory_bytes if used else None,
        "blob_bytes_loaded": used.blob_bytes_loaded if used else None,
        "cpu_seconds": used.cpu_seconds if used else None,
        "running_seconds": round(now - process.started_at, 3),
        "public": launch.public,
        "page": core.page_of(id),
        "on_exit": process.on_exit.action.name.lower(),
    }


def _waiting(core: NodeCore, launch: Launch, seconds: float) -> Row:
    return {**_identity(core, launch), "state": f"starts again in {max(0.0, seconds):.0f} s"}


def started_rows(core: NodeCore, asked: Package, allowed: Package) -> list[Row]:
    """Return, for each process of a package, what it asked for and which of that it holds, or was allowed if it has
    ended.

    A process that has trapped has the reason in its row.
    """
    rows: list[Row] = []
    for entry, given in zip(asked.entries, allowed.entries, strict=True):
        wanted, ended = requested_capabilities(entry, core.our), entry.process not in core.kernel.processes
        held = requested_capabilities(given, core.our) if ended else core.kernel.grants.of(entry.process)
        rows.append(
            {
                "address": f"{core.our}@{entry.process}",
                "asked": [capability_text(each, core.our) for each in wanted],
                "granted": [capability_text(each, core.our) for each in wanted if each in held],
                "absent": [
                    capability_text(each, core.our) for each in wanted if core.kernel.lacks(each.issuer.process)
                ],
                "grants": [f"{holder} {params}" for holder, params in entry.grants],
                "ended": ended,
                "trap": core.traps.get(entry.process) if ended else None,
                "public": entry.public,
                "on_exit": entry.on_exit.action.name.lower(),
            }
        )
    return rows


def disk_rows(used: DiskUsed) -> Row:
    """Return what each package has on the disk and may have, in bytes; `quota_bytes` is None where there is no
    bound.
    """
    return {
        "packages": [
            {
                "package": row.package,
                "bytes": row.used.bytes,
                "files": row.used.files,
                "quota_bytes": None if row.quota.bytes == NO_QUOTA else row.quota.bytes,
                "quota_files": row.quota.files,
                "drive_bytes": row.used.bytes - row.states.bytes,
                "drive_files": row.used.files - row.states.files,
                "state_bytes": row.states.bytes,
                "states": row.states.files,
            }
            for row in used.packages
        ],
        "free": used.free,
        "total": used.total,
        "floor": used.floor,
    }


def state_row(core: NodeCore, key: str) -> Row:
    """Return a row for a saved state. `status` says whether its process runs, is gone, or did not come back at the last
    boot.
    """
    runs = core.runs(key)
    returns = not runs and key in map(str, core.not_running)
    return {
        "process": key,
        "package": package_of_state(key),
        "bytes": core.states[key],
        "status": "runs" if runs else "does not run" if returns else "gone",
    }


def peer_rows(core: NodeCore, lead: float) -> list[Row]:
    """Return the nodes that this one has a session with, or had lately, with Unix times as texts. `place`: see
    `router_rows`.
    """
    rows, places = zip(core.peers(), core.network.peers(), strict=True), core.network.routers()
    return [
        {
            **row,
            "memory_bytes": core.memory.of("peer", peer.name),
            "place": places[peer.name].value if peer.name in places else None,
            "since": None if peer.since is None else wall_time(peer.since + lead),
            "last_error_time": None if peer.error is None else wall_time(peer.error.at + lead),
        }
        for row, peer in rows
    ]


def memory_row(core: NodeCore) -> Row:
    """Return the node's memory budget, how much of it is used, and who holds the most."""
    memory = core.memory
    holders = [holding._asdict() for holding in memory.holdings()[:MAX_HOLDERS]]
    return {"budget_bytes": memory.capacity, "used_bytes": memory.used, "holders": holders}


def router_rows(core: NodeCore) -> list[Row]:
    """Return the routers of this node; the node is reachable through those with a reservation (`held`)."""
    return [{"name": name, "place": place.value} for name, place in core.network.routers().items()]


def probe_row(step: ProbeStep) -> Row:
    """Return the row of a step of a probe, except the last one."""
    return _PROBE_ROWS[type(step)](step)


def _found_row(step: NameFound) -> Row:
    record = step.record
    return {
        "step": "record",
        "from": "registrar" if step.fresh else "here",
        "sequence": record.sequence,
        "endpoints": [f"{each.host}:{each.port}" for each in record.endpoints],
        "routers": list(record.routers),
        "fingerprint": fingerprint(record.public_key),
    }


def _proven_row(step: Proven) -> Row:
    return {
        "step": "proven",
        "version": step.version,
        "fingerprint": fingerprint(step.public_key),
        "host": step.host,
        "dialed": step.dialed,
    }


def _dial_row(name: str, step: DialStatus | Dialed | AttemptFailed) -> Row:
    return {"step": name, "host": step.host, "port": step.port, "router": step.router}


def _failed_row(step: AttemptFailed) -> Row:
    return {**_dial_row("failed", step), "stage": step.stage.value, "reason": step.reason.value, "text": step.text}


_PROBE_ROWS: dict[type, Callable[..., Row]] = {
    NameFound: _found_row,
    NameMissing: lambda step: {"step": "no record", "reason": step.reason.value},
    DialStatus: lambda step: _dial_row("dialing", step),
    Dialed: lambda step: _dial_row("dialed", step),
    Proven: _proven_row,
    AttemptFailed: _failed_row,
    Pinging: lambda step: {"step": "pinging", "host": step.host},
    Pinged: lambda step: {"step": "pong", "seconds": step.seconds},
}


def error_rows(core: NodeCore, after: int, lead: float, since: float | None = None) -> Row:
    """Return the dead letters and crashes after number `after`, the number of the last one, and how many are lost
    (G16). `since` is the core's time at which its recording begins; None: there is none.
    """
    dead = core.dead_letters
    first = dead.count - len(dead.entries)
    """Number of the oldest letter that is remembered; letters are counted from 0."""
    begin = min(max(after, first), dead.count)
    letters = list(islice(dead.entries, begin - first, begin - first + MAX_ERROR_ROWS))
    rows = [_crash(each, lead) if isinstance(each, CrashReport) else _error(each, lead) for each in letters]
    if since is not None:
        for row, each in zip(rows, letters, strict=True):
            row["replay_until"] = _recorded_at(each, since)
    return {
        "errors": rows,
        "lost": max(0, begin - max(0, after)),
        "next": begin + len(letters),
    }


def _recorded_at(each: DeadLetter | CrashReport, since: float) -> str:
    """Return the event at which a replay is to stop (`nectar_node.recording.stops.ReplayEvent`): before a crash, and
    where a message that failed was sent.
    """
    if isinstance(each, CrashReport):
        return f"{each.crash.time - since:.6f}"
    kind = "request" if isinstance(each.envelope.message, Request) else "response to"
    return f"{kind} {each.envelope.id}"


def _error(letter: DeadLetter, lead: float) -> Row:
    envelope = letter.envelope
    return {
        "time": wall_time(letter.time + lead),
        "source": str(envelope.source),
        "claim": envelope.claimed,
        "target": str(envelope.target),
        "kind": "request" if isinstance(envelope.message, Request) else "response",
        "reason": letter.reason.value,
        "beginning": envelope.message.body[:BEGINNING_BYTES].decode(errors="replace"),
    }


def _crash(report: CrashReport, lead: float) -> Row:
    """Return a crash as a row: like that of a message which reached nobody, and more."""
    crash, saved = report
    kind, source, claim, body = _handled(crash)
    return {
        "time": wall_time(crash.time + lead),
        "source": source,
        "claim": claim,
        "target": str(crash.address),
        "kind": "crash",
        "reason": crash.end.trap,
        "beginning": body[:BEGINNING_BYTES].decode(errors="replace"),
        "handled": kind,
        "said": list(crash.end.said),
        "frames": [
            {"function": each.function, "file": each.file or None, "line": each.line or None}
            for each in crash.end.frames
        ],
        "lineage": [
            {"source": str(each.source), "target": str(each.target), "beginning": each.body.decode(errors="replace")}
            for each in crash.lineage
        ],
        "ran": round(crash.time - crash.started, 3),
        "restarts": crash.restarts,
        "again": crash.again,
        "state": None if saved is None else _saved(saved, crash.time, lead),
    }


def _handled(crash: Trapped) -> tuple[str | None, str, bool, bytes]:
    """Return what a process was handling: its kind, its source, whether that is a claim, and its body."""
    handled = crash.handled
    if handled is None:
        return None, str(crash.address), False, b""
    if isinstance(handled, Failure):
        error = handled.error
        return error.kind.name.lower(), str(error.target), False, error.message.body
    kind = "request" if isinstance(handled.message, Request) else "response"
    return kind, str(handled.source), is_claim(handled.source, crash.address.node), handled.message.body


def _saved(saved: Saved, now: float, lead: float) -> Row:
    at = None if saved.at is None else wall_time(saved.at + lead)
    return {"bytes": saved.bytes, "time": at, "age": None if saved.at is None else round(now - saved.at, 3)}


def trace_row(record: TraceRecord, lead: float) -> Row:
    """Return one step of one message as a row. Ids are texts: not every reader of JSON has numbers of 64 bits."""
    return {
        "time": wall_time(record.at + lead),
        "at": record.at,
        "step": record.step.value,
        "id": str(record.id),
        "parent": None if record.parent is None else str(record.parent),
        "root": str(record.root),
        "inherits": record.inherits,
        "expects": record.expects,
        "source": str(record.source),
        "target": str(record.target),
        "claim": record.claimed,
        "body_bytes": record.body_bytes,
        "blob_bytes": record.blob_bytes,
        "reason": record.reason,
        "beginning": record.beginning.decode(errors="replace"),
    }


def wall_time(seconds: float) -> str:
    """Return a Unix time as ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
