"""The ids of the system processes that other modules name."""

from __future__ import annotations

from kernel.contract.address import ProcessId

BACKUPS = ProcessId("backups", "distro", "sys")
"""Keeps the encrypted backups of other nodes."""
HOMEPAGE = ProcessId("homepage", "homepage", "sys")
"""The package on which others put their icons, which a user may leave out; it is served at the root of its origin."""
HTTP_CLIENT, HTTP_CLIENT_LATE = ProcessId("http_client", "distro", "sys"), ProcessId("http-client", "distro", "sys")
HTTP_SERVER, HTTP_SERVER_LATE = ProcessId("http_server", "distro", "sys"), ProcessId("http-server", "distro", "sys")
"""Each is one process under the names of two generations of packages."""

NET = ProcessId("net", "distro", "sys")

KV = ProcessId("kv", "distro", "sys")

PACKAGES = ProcessId("packages", "distro", "sys")
"""Serves the releases of packages that are here to other nodes, and fetches those that the node's user wants."""

RPC = ProcessId("rpc", "distro", "sys")
"""The name under which programs on the node's machine send messages by HTTP; no process has it."""

SQLITE = ProcessId("sqlite", "distro", "sys")

TERMINAL = ProcessId("terminal", "terminal", "sys")
"""The process in whose name the node's user sends messages."""

VFS = ProcessId("vfs", "distro", "sys")
