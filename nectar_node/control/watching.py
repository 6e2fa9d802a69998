"""The commands that tell what goes on until their client leaves: figures once a second, and lines of the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from heapq import nlargest

import trio

from nectar_node.base.log import RECENT
from nectar_node.control.clients import Client
from nectar_node.control.requests import Fields
from nectar_node.control.server import line_of

WATCH_SECONDS = 1.0
"""Seconds between two samples."""
REST = 20
"""A sample of many processes takes a while: the pause after it is at least as many times as long."""
MAX_WATCHED = 500
"""Processes in one sample, and peers: of more processes, those that have used the most processor time."""
LOG_SECONDS = 0.2
"""Seconds between two looks at the log."""

Command = Callable[[Client, Fields], Awaitable[dict[str, object]]]


class Watching:
    """Those commands of one node."""

    def __init__(self, status: Command, processes: Command) -> None:
        """`status` and `processes` are the commands of these figures."""
        self._status = status
        self._processes = processes
        self.commands: dict[str, Command] = {"watch": self._on_watch, "logs": self._on_logs}

    async def _on_watch(self, client: Client, fields: Fields) -> dict[str, object]:
        """Send what `status` and `ps` answer, once a second."""
        while True:
            began = trio.current_time()
            status, told = await self._status(client, fields), await self._processes(client, Fields())
            rows, peers = told["processes"], status["peers"]
            assert isinstance(rows, list)
            assert isinstance(peers, list)
            busiest = nlargest(MAX_WATCHED, rows, key=_cpu) if len(rows) > MAX_WATCHED else rows
            counts = {"process_count": len(rows), "peer_count": len(peers)}
            bounded = {"processes": busiest, "peers": peers[:MAX_WATCHED]}
            sample = {**status, **told, **bounded, **counts, "at": began}
            took = trio.current_time() - began
            await client.send(line_of({"event": sample}))
            await trio.sleep(max(WATCH_SECONDS, took * REST))

    async def _on_logs(self, client: Client, fields: Fields) -> dict[str, object]:
        """Send the latest lines of the log, and then each new one."""
        after = fields.after
        while True:
            lines, lost = RECENT.after(after)
            if lines:
                after = lines[-1].number
                rows = [{"number": n, "time": time, "source": source, "text": text} for n, time, source, text in lines]
                await client.send(line_of({"event": {"lines": rows, "lost": lost}}))
            await trio.sleep(LOG_SECONDS)


def _cpu(row: dict[str, object]) -> float:
    used = row.get("cpu_seconds")
    return used if isinstance(used, float) else 0.0
