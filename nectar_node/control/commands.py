"""The commands that a running node takes over its control socket (`nectar_node.control.server`).

A command that takes its time may send any number of lines {"event": {…}} before its answer.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import SendErrorKind, is_claim
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.contract.actions import DiskUsed, Kept, Printed
from nectar_node.contract.traces import Traced
from nectar_node.control import status
from nectar_node.control.backups import known_remotes, remote_row, warnings
from nectar_node.control.blob_files import blob_untrusted, put_down
from nectar_node.control.clients import Client, Feed, Waiter
from nectar_node.control.keeping import Keeping
from nectar_node.control.package_rows import unsigned_packages
from nectar_node.control.packages import Packages
from nectar_node.control.releases import Releases
from nectar_node.control.requests import (
    Fields,
    address_untrusted,
    killed_untrusted,
    line_untrusted,
    message_untrusted,
    node_untrusted,
    process_untrusted,
    shared_file_untrusted,
    timeout_untrusted,
)
from nectar_node.control.server import error, line_of, request_untrusted
from nectar_node.control.snapshots import LiveSnapshot, SnapshotMaker
from nectar_node.control.transfers import Transfers
from nectar_node.control.uploads import FileUploads
from nectar_node.control.watching import Watching
from nectar_node.control.web import Web
from nectar_node.core.core import NodeCore
from nectar_node.storage.operations import Location
from nectar_node.system.terminal import FAILED, OFFLINE, TIMED_OUT
from nectar_node.system.vfs import MAX_MOUNTS
from net.contract.events import Probed, ProbeEnded

MAX_LINE_BYTES = 128 << 20
"""Bytes of one request: the largest blob in base64, and space for the rest."""
ROWS_AT_ONCE = 256
"""Processes that `ps` describes before it lets messages flow again."""
_AFTER_START = frozenset(
    {
        *("run", "packages", "review", "start", "kill", "states", "remove_state"),
        *("installed", "installed_one", "find_release", "review_install", "install", "review_roll_back", "roll_back"),
        *("uninstall", "publish", "proof"),
    }
)
"""Commands about packages and their processes: a node that boots answers them once it has started its packages.

A message is not among them: it waits for its process in the kernel, within its timeout.
"""
_FAILURES = {FAILED: "failed", OFFLINE: "offline", TIMED_OUT: "timeout"}
"""Error kinds by the metadata of a script's answer that explains why there is no better one."""


class Control:
    """The commands of one node."""

    def __init__(
        self,
        core: NodeCore,
        folder: Path,
        status: Callable[[], dict[str, object]],
        turn: Callable[[], None],
        ready: trio.Event,
        note: Callable[[str, Exception], None],
        snapshots: SnapshotMaker | None = None,
    ) -> None:
        """`folder` is the node's; `status` returns what the driver adds to the status; `turn` lets the node run after
        it was told something; `ready` is set when the node has started its packages; `note` logs a failure of our own
        code; `snapshots` makes snapshots, if the node can.
        """
        self._note = note
        self.stop = trio.Event()
        """Set when a client asks the node to shut down."""
        self._core = core
        self._folder = folder
        self._status = status
        self._turn = turn
        self._ready = ready
        self._shares = 0
        self._snapshots = snapshots
        self.uploads = FileUploads(core, folder / "uploads", turn)
        packages = Packages(core, folder, self.uploads, turn, self._kept)
        self._commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "status": self._on_status,
            "ps": self._on_ps,
            "peers": self._on_peers,
            "df": self._on_df,
            "states": self._on_states,
            "remove_state": self._on_remove_state,
            "backups": self._on_backups,
            "back_up": self._on_back_up,
            "errors": self._on_errors,
            "message": self._on_message,
            "trace": self._on_trace,
            "run": self._on_run,
            "diagnose": self._on_diagnose,
            "share": self._on_share,
            "unshare": self._on_unshare,
            "kill": self._on_kill,
            "snapshot": self._on_snapshot,
            "snapshot_scanned": self._on_snapshot_scanned,
            "snapshot_store_read": self._on_snapshot_store_read,
            "snapshot_state": self._on_snapshot_state,
            "shutdown": self._on_shutdown,
            **packages.commands,
            **Releases(core, folder, packages, turn, self._kept).commands,
            **self.uploads.commands,
            **Transfers(core, self.uploads, turn).commands,
            **Watching(self._on_status, self._on_ps).commands,
            **Keeping(core, self._kept, self._remove_owner).commands,
            **Web(core, status).commands,
        }

    def connected(self, send: Callable[[bytes], Awaitable[None]]) -> Client:
        """Return the state of a new connection; `send` writes a line to its client."""
        return Client(send)

    async def answer_untrusted(self, client: Client, line: bytes) -> dict[str, object]:
        """Return the answer to one line, whatever it contains."""
        try:
            request = request_untrusted(line, Fields)
            command = self._commands.get(request.command)
            if command is None:
                raise BadInput(f"There is no command {request.command[:64]!r}.")
            if request.command in _AFTER_START:
                await self._ready.wait()
            return {"ok": await command(client, request)}
        except NodeError as refusal:
            return error(refusal)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise  # the client went away
        except Exception as failure:
            self._note("a command", failure)
            return error(NodeError("The node could not do that: its log says why."))

    def forget(self, client: Client) -> None:
        """Take back what a client that has gone away had."""
        try:
            for path in list(client.shares):
                self._take_back(client, path)
            for feed, end in client.feeds.items():
                end(feed)
            if client.snapshot is not None:
                client.snapshot.end()
        except Exception as failure:
            self._note("a client's end", failure)
        if client.feeds:
            client.feeds.clear()
            self._turn()

    # --- what the node shows ----------------------------------------------------------------------------------------

    async def _on_status(self, _: Client, __: Fields) -> dict[str, object]:
        return {
            "name": self._core.our,
            "pid": os.getpid(),
            "peers": status.peer_rows(self._core, _lead()),
            "memory": status.memory_row(self._core),
            "routers": status.router_rows(self._core),
            **self._core.kernel.statistics(),
            "dead_letters": self._core.dead_letters.count,
            "failures": self._core.failures,
            "blob_bytes_loaded": self._core.machine.blob_bytes_loaded(),
            "warnings": warnings(self._core, trio.current_time()),
            **self._status(),
        }

    async def _on_ps(self, _: Client, fields: Fields) -> dict[str, object]:
        if fields.address is None:
            absent = [{"process": str(each), "why": why} for each, why in self._core.not_running.items()]
            rows, memory = await self._all_processes(), status.memory_row(self._core)
            told = warnings(self._core, trio.current_time())
            unsigned = unsigned_packages(self._core)
            return {
                "processes": rows,
                "memory": memory,
                "not_running": absent,
                "warnings": told,
                "unsigned": unsigned,
            }
        process = process_untrusted(fields.address, self._core.our)
        row = status.process_row(self._core, process, trio.current_time())
        if row is None:
            raise _nobody(process, self._core)
        return {"process": row}

    async def _all_processes(self) -> list[dict[str, object]]:
        rows = []
        for count, row in enumerate(status.process_rows(self._core, trio.current_time()), 1):
            rows.append(row)
            if not count % ROWS_AT_ONCE:
                await trio.lowlevel.checkpoint()
        return sorted(rows, key=lambda row: str(row["address"]))

    async def _on_peers(self, _: Client, __: Fields) -> dict[str, object]:
        return {
            "peers": status.peer_rows(self._core, _lead()),
            "memory": status.memory_row(self._core),
            "failures": self._core.network.failures,
        }

    async def _on_errors(self, _: Client, fields: Fields) -> dict[str, object]:
        recording = self._status().get("recording")
        since = recording["since"] if isinstance(recording, dict) and recording["problem"] is None else None
        return status.error_rows(self._core, fields.after, _lead(), since) | {"recording": recording}

    async def _on_df(self, _: Client, __: Fields) -> dict[str, object]:
        waiter = Waiter()
        self._core.ask_disk_use(waiter)
        self._turn()
        used: DiskUsed = await waiter.wait()
        if used.problem is not None:
            raise DiskUnknown(f"What is on the disk cannot be counted: {used.problem}.")
        return status.disk_rows(used) | {
            "keeps_bytes": sum(each.bytes for each in self._core.keeper.objects.owners.values())
        }

    async def _on_backups(self, _: Client, fields: Fields) -> dict[str, object]:
        """Read the settings of backups again; answer what there is to say of each remote. The one that is named is
        tried again at once if it has failed.
        """
        remotes = await trio.to_thread.run_sync(known_remotes, self._folder, _lead())
        self._core.set_remotes(remotes, trio.current_time(), fields.name)
        self._turn()
        return {"remotes": [remote_row(each) for each in self._core.backups.status(trio.current_time())]}

    async def _on_back_up(self, client: Client, fields: Fields) -> dict[str, object]:
        """Begin a copy in the remote of that name; answer as `backups` does."""
        answer = await self._on_backups(client, Fields())
        if not self._core.backups.order(fields.name, trio.current_time()):
            raise BadInput(f"There is no remote {fields.name[:64]!r}: `nectar backup list` shows them.")
        self._turn()
        return answer | {"remotes": [remote_row(each) for each in self._core.backups.status(trio.current_time())]}

    async def _on_states(self, _: Client, __: Fields) -> dict[str, object]:
        rows = []
        for count, key in enumerate(sorted(self._core.states), 1):
            if key in self._core.states:  # it may be gone by now
                rows.append(status.state_row(self._core, key))
            if not count % ROWS_AT_ONCE:
                await trio.lowlevel.checkpoint()
        return {"states": rows}

    async def _on_remove_state(self, _: Client, fields: Fields) -> dict[str, object]:
        """Remove what a process has saved that does not run."""
        core, key = self._core, fields.address or ""
        if key not in core.states:
            key = str(process_untrusted(fields.address, core.our))
        if key not in core.states:
            raise NoSuchState(f"{key} has saved no state on {core.our}.")
        if core.runs(key):
            raise StillRuns(f"{key} runs on {core.our}, and may save its state again: end it first.")
        length, waiter = core.states[key], Waiter()
        core.remove_state(key, waiter, trio.current_time())
        self._turn()
        problem: str | None = await waiter.wait()
        if problem is not None:
            raise NotKept(f"The state of {key} is still there: {problem}.")
        return {"process": key, "bytes": length}

    # --- messages ---------------------------------------------------------------------------------------------------

    async def _on_message(self, client: Client, fields: Fields) -> dict[str, object]:
        target, message, blob = message_untrusted(fields)
        if fields.blob_file:
            blob = await blob_untrusted(fields.blob_file)
        waiter = Waiter()
        self._core.inject(target, message, blob, waiter, trio.current_time())
        self._turn()
        if fields.tells:
            await client.send(line_of({"event": {"sent": True}}))
        if message.expects_response is None:
            return {"outcome": "sent"}
        return self._outcome(await put_down(await waiter.wait(), fields.answer_file))

    def _outcome(self, answer: Arrival | Failure) -> dict[str, object]:
        if isinstance(answer, Failure):
            kind = "offline" if answer.error.kind is SendErrorKind.OFFLINE else "timeout"
            return {"outcome": kind, "reason": answer.error.reason.value}
        blob = answer.blob
        return {
            "outcome": "response",
            "source": str(answer.source),
            "claim": is_claim(answer.source, self._core.our),
            "body": answer.message.body.decode(errors="replace"),
            "blob": base64.b64encode(blob.bytes).decode() if blob is not None else None,
        }

    async def _on_trace(self, client: Client, fields: Fields) -> dict[str, object]:
        """Send events until the client goes away; without an address, about all messages."""
        address = None if fields.address is None else address_untrusted(fields.address, self._core.our)
        feed = Feed(_lead())
        client.feeds[feed] = self._core.untrace
        self._core.trace(address, feed)
        feed.put({"following": self._core.our if address is None else str(address)})
        self._turn()
        await feed.pour(client)
        return {}

    async def _on_run(self, client: Client, fields: Fields) -> dict[str, object]:
        line, timeout = line_untrusted(fields.line), timeout_untrusted(fields)
        feed = Feed(_lead())
        client.feeds[feed] = lambda feed: self._core.stop_script(feed, trio.current_time())
        self._core.run_script(line, timeout, feed, trio.current_time())
        self._turn()
        answer: Arrival | Failure = await feed.pour(client)
        del client.feeds[feed]
        failure = _FAILURES.get(answer.message.metadata or "") if isinstance(answer, Arrival) else None
        return {**self._outcome(answer), "failed": failure is not None, "failure": failure}

    async def _on_diagnose(self, client: Client, fields: Fields) -> dict[str, object]:
        """Send each step of reaching another node, and answer how it ended."""
        name = node_untrusted(fields.name, self._core.our)
        feed = Feed(_lead())
        client.feeds[feed] = self._core.stop_probe
        self._core.probe(name, feed, trio.current_time())
        self._turn()
        ended: ProbeEnded = await feed.pour(client)
        del client.feeds[feed]
        return {"outcome": ended.outcome.value, "reason": None if ended.reason is None else ended.reason.value}

    # --- files ------------------------------------------------------------------------------------------------------

    async def _on_share(self, client: Client, fields: Fields) -> dict[str, object]:
        path, real = shared_file_untrusted(fields.file)
        if self._core.vfs.mounts >= MAX_MOUNTS:
            raise BadInput(f"{MAX_MOUNTS} files are shared already.")
        self._shares += 1
        mount = f"/file_transfer:sys/outgoing/{self._shares}/{path.name}"
        self._core.vfs.mount(mount, Location(str(real.parent), (real.name,)))
        client.shares.add(mount)
        return {"path": mount}

    async def _on_unshare(self, client: Client, fields: Fields) -> dict[str, object]:
        if fields.path not in client.shares:
            raise BadInput("This connection has shared nothing at that path.")
        self._take_back(client, fields.path)
        return {}

    def _take_back(self, client: Client, path: str) -> None:
        client.shares.discard(path)
        self._core.vfs.unmount(path)

    # --- snapshots --------------------------------------------------------------------------------------------------

    async def _on_snapshot(self, client: Client, _: Fields) -> dict[str, object]:
        """Begin a snapshot, which lasts as long as the connection (`nectar_node.control.snapshots`)."""
        if self._snapshots is None or client.snapshot is not None:
            raise BadInput("There is no snapshot for this connection.")
        client.snapshot = await self._snapshots.begin()
        return {"folder": client.snapshot.folder}

    def _snapshot(self, client: Client) -> LiveSnapshot:
        if client.snapshot is None:
            raise BadInput("This connection has no snapshot.")
        return client.snapshot

    async def _on_snapshot_scanned(self, client: Client, _: Fields) -> dict[str, object]:
        self._snapshot(client).scanned()
        return await self._on_snapshot_state(client, _)

    async def _on_snapshot_store_read(self, client: Client, _: Fields) -> dict[str, object]:
        await self._snapshot(client).store_read()
        return await self._on_snapshot_state(client, _)

    async def _on_snapshot_state(self, client: Client, fields: Fields) -> dict[str, object]:
        """Answer whether the snapshot is still whole."""
        return {"void": self._snapshot(client).void(fields.progress)}

    # --- processes --------------------------------------------------------------------------------------------------

    async def _on_kill(self, _: Client, fields: Fields) -> dict[str, object]:
        """End all processes of a package, with their children, or a process, with its children if `tree` is true."""
        core, now = self._core, trio.current_time()
        target, with_tree = killed_untrusted(fields.address, core.our), fields.tree
        former = tuple(each for each in core.not_running if target in (each, each.package_id))
        if former:
            core.forget_former(former, now)
        if isinstance(target, PackageId):
            if not (ended := core.kill_tree(target, now) + len(former)):
                raise NoSuchProcess(f"No process of {target} runs on {core.our}.")
            await self._ended()
            return {"package": str(target), "ended": ended, "children": 0}
        if core.kernel.is_system(target):
            raise PartOfNode(f"{target} is a part of the node: it ends with the node.")
        family = core.tree(target)
        if former and not family:
            await self._kept()
            return {"address": f"{core.our}@{target}", "ended": 1, "children": 0}
        if not family or (not with_tree and target not in family):
            raise _nobody(target, core)
        if with_tree:
            core.kill_tree(target, now)
        else:
            core.kill(target, now)
        await self._ended()
        ended = len(family) if with_tree else 1
        return {"address": f"{core.our}@{target}", "ended": ended, "children": len(family) - ended}

    async def _ended(self) -> None:
        """Return when all processes that were killed are gone."""
        self._turn()
        while self._core.kernel.lifecycle.ending:
            await trio.lowlevel.checkpoint()
        await self._kept()

    async def _kept(self) -> None:
        """Return when all that has changed is on the disk; raises NotKept."""
        waiter = Waiter()
        self._core.ask_kept(waiter, trio.current_time())
        self._turn()
        problem: str | None = await waiter.wait()
        if problem is not None:
            raise NotKept(f"It is done, but the next boot may not know of it: {problem}.")

    async def _remove_owner(self, owner: str) -> str | None:
        """Remove another node's backup, and return why that failed, if it did."""
        waiter = Waiter()
        self._core.refuse_owner(owner, waiter, trio.current_time())
        self._turn()
        problem: str | None = await waiter.wait()
        return problem

    async def _on_shutdown(self, _: Client, __: Fields) -> dict[str, object]:
        self.stop.set()
        return {}


# --- events for clients ---------------------------------------------------------------------------------------------


def traced(action: Traced) -> None:
    """Send a record to the client that traces."""
    feed = action.token
    assert isinstance(feed, Feed)
    feed.put({"record": status.trace_row(action.record, feed.lead)})


def printed(action: Printed) -> None:
    """Send a script's output to the client that runs it."""
    feed = action.token
    assert isinstance(feed, Feed)
    feed.put({"printed": {"verbosity": action.verbosity, "text": action.text}})


def probed(action: Probed) -> None:
    """Send a step of a probe to the client that watches it."""
    feed = action.token
    assert isinstance(feed, Feed)
    if isinstance(action.step, ProbeEnded):
        feed.set(action.step)
    else:
        feed.put(status.probe_row(action.step))


# --- errors and sentences -------------------------------------------------------------------------------------------


class DiskUnknown(NodeError):
    """The operating system does not tell how much is in the node's folder."""


def disk_used(action: DiskUsed) -> None:
    """Pass on the disk use that a client asked for."""
    assert isinstance(action.token, Waiter)
    action.token.set(action)


def kept(action: Kept) -> None:
    """Pass on whether what a client has changed is on the disk."""
    assert isinstance(action.token, Waiter)
    action.token.set(action.problem)


class NotKept(NodeError):
    """What a command has changed is not on the disk."""


class NoSuchState(NodeError):
    """No process of that name has saved anything."""


class StillRuns(NodeError):
    """The process must have ended before."""


class NoSuchProcess(NodeError):
    """Nothing of that name runs here. The command line says how to see what does."""


class PartOfNode(NodeError):
    """A system process was named where a guest's process is expected."""


def _nobody(process: ProcessId, core: NodeCore) -> NodeError:
    if core.kernel.is_system(process):
        return PartOfNode(f"{process} is a part of the node, not a process of a guest.")
    return NoSuchProcess(f"No process {process} runs on {core.our}.")


def _lead() -> float:
    return time.time() - trio.current_time()
