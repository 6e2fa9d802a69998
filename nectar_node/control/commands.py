"""The commands that a running node takes over its control socket (`nectar_node.control.server`).

A command that takes its time may send any number of lines {"event": {…}} before its answer.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import SendErrorKind, is_claim
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.contract.actions import DiskUsed, Kept, Printed
from nectar_node.contract.traces import Traced
from nectar_node.control import status
from nectar_node.control.backups import OwnBackups, warnings
from nectar_node.control.blob_files import blob_untrusted, put_down
from nectar_node.control.clients import Client, Feed, Waiter
from nectar_node.control.clock import wall_clock_offset
from nectar_node.control.keeping import Keeping
from nectar_node.control.packages import Packages
from nectar_node.control.processes import Processes
from nectar_node.control.releases import Releases
from nectar_node.control.requests import (
    Fields,
    address_untrusted,
    line_untrusted,
    message_untrusted,
    node_untrusted,
    timeout_untrusted,
)
from nectar_node.control.server import error, line_of, request_untrusted
from nectar_node.control.snapshots import SnapshotMaker, Snapshots
from nectar_node.control.transfers import Transfers
from nectar_node.control.uploads import FileUploads
from nectar_node.control.watching import Watching
from nectar_node.control.web import Web
from nectar_node.core.core import NodeCore
from nectar_node.packages.manifest import Package
from nectar_node.system.terminal import FAILED, OFFLINE, TIMED_OUT
from net.contract.events import Probed, ProbeEnded

MAX_LINE_BYTES = 128 << 20
"""Bytes of one request: the largest blob in base64, and space for the rest."""
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


class DiskUnknown(NodeError):
    """The operating system does not tell how much is in the node's folder."""


class NotKept(NodeError):
    """What a command has changed is not on the disk."""


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
        asked: Callable[[Package], object] = lambda package: None,
    ) -> None:
        """`folder` is the node's; `status` returns what the driver adds to the status; `turn` lets the node run after
        it was told something; `ready` is set when the node has started its packages; `note` logs a failure of our own
        code; `snapshots` makes snapshots, if the node can; `asked` is told of a package that somebody is asked about.
        """
        self._note = note
        self.stop = trio.Event()
        """Set when a client asks the node to shut down."""
        self._core = core
        self._folder = folder
        self._status = status
        self._turn = turn
        self._ready = ready
        self.uploads = FileUploads(core, folder / "uploads", turn)
        self._transfers = Transfers(core, self.uploads, turn)
        packages = Packages(core, folder, self.uploads, turn, self._kept, asked)
        processes = Processes(core, turn, self._kept)
        self._commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "status": self._on_status,
            "peers": self._on_peers,
            "df": self._on_df,
            "errors": self._on_errors,
            "message": self._on_message,
            "trace": self._on_trace,
            "run": self._on_run,
            "diagnose": self._on_diagnose,
            "shutdown": self._on_shutdown,
            **processes.commands,
            **packages.commands,
            **Releases(core, folder, packages, turn, self._kept).commands,
            **self.uploads.commands,
            **self._transfers.commands,
            **Watching(self._on_status, processes.on_ps).commands,
            **OwnBackups(core, folder, turn).commands,
            **Snapshots(snapshots).commands,
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
            self._transfers.forget(client)
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
            "peers": status.peer_rows(self._core, wall_clock_offset()),
            "memory": status.memory_row(self._core),
            "routers": status.router_rows(self._core),
            **self._core.kernel.statistics(),
            "dead_letters": self._core.dead_letters.count,
            "failures": self._core.failures,
            "blob_bytes_loaded": self._core.machine.blob_bytes_loaded(),
            "warnings": warnings(self._core, trio.current_time()),
            **self._status(),
        }

    async def _on_peers(self, _: Client, __: Fields) -> dict[str, object]:
        return {
            "peers": status.peer_rows(self._core, wall_clock_offset()),
            "memory": status.memory_row(self._core),
            "failures": self._core.network.failures,
        }

    async def _on_errors(self, _: Client, fields: Fields) -> dict[str, object]:
        recording = self._status().get("recording")
        since = recording["since"] if isinstance(recording, dict) and recording["problem"] is None else None
        return status.error_rows(self._core, fields.after, wall_clock_offset(), since) | {"recording": recording}

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
        feed = Feed(wall_clock_offset())
        client.feeds[feed] = self._core.untrace
        self._core.trace(address, feed)
        feed.put({"following": self._core.our if address is None else str(address)})
        self._turn()
        await feed.pour(client)
        return {}

    async def _on_run(self, client: Client, fields: Fields) -> dict[str, object]:
        line, timeout = line_untrusted(fields.line), timeout_untrusted(fields)
        feed = Feed(wall_clock_offset())
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
        feed = Feed(wall_clock_offset())
        client.feeds[feed] = self._core.stop_probe
        self._core.probe(name, feed, trio.current_time())
        self._turn()
        ended: ProbeEnded = await feed.pour(client)
        del client.feeds[feed]
        return {"outcome": ended.outcome.value, "reason": None if ended.reason is None else ended.reason.value}

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


def disk_used(action: DiskUsed) -> None:
    """Pass on the disk use that a client asked for."""
    assert isinstance(action.token, Waiter)
    action.token.set(action)


def kept(action: Kept) -> None:
    """Pass on whether what a client has changed is on the disk."""
    assert isinstance(action.token, Waiter)
    action.token.set(action.problem)
