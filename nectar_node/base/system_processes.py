"""What the system processes are called that others than themselves name."""

from __future__ import annotations

from kernel.contract.address import ProcessId

NET = ProcessId("net", "distro", "sys")

TERMINAL = ProcessId("terminal", "terminal", "sys")
"""In whose name the node's user sends messages."""

VFS = ProcessId("vfs", "distro", "sys")
