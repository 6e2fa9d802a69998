"""The ids of the system processes that other modules name."""

from __future__ import annotations

from kernel.contract.address import ProcessId

BACKUPS = ProcessId("backups", "distro", "sys")
"""Keeps the encrypted backups of other nodes."""
HTTP_SERVER, HTTP_SERVER_LATE = ProcessId("http_server", "distro", "sys"), ProcessId("http-server", "distro", "sys")
"""One process under the names of two generations of packages."""

NET = ProcessId("net", "distro", "sys")

KV = ProcessId("kv", "distro", "sys")

RPC = ProcessId("rpc", "distro", "sys")
"""No process, but the beginning of a path at which the node takes requests by HTTP: nothing else has that name."""

SQLITE = ProcessId("sqlite", "distro", "sys")

TERMINAL = ProcessId("terminal", "terminal", "sys")
"""The process in whose name the node's user sends messages."""

VFS = ProcessId("vfs", "distro", "sys")
