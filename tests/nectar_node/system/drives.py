"""A vfs over a disk in memory, for tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from kernel.contract.address import ProcessId
from kernel.contract.guest import Generation
from kernel.contract.message import LazyLoadBlob, ReplyTo
from nectar_node.contract.generations import GenerationOf
from nectar_node.system.vfs import Vfs
from testnet.sim.disk.disk import SimDisk
from tests.nectar_node.system.driven import APP, OUR, Driven

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value."""


class Drives(Driven[Vfs]):
    """The drives of all packages."""

    def __init__(self, generation: GenerationOf = lambda _: Generation.EARLY) -> None:
        self.awaited: dict[ReplyTo, float] = {}
        """Until when, where the kernel knows."""
        disk = SimDisk(lambda: 1.0, capacity=1 << 28)
        super().__init__(lambda holds: Vfs(OUR, "drives", holds, self.awaited.get, generation=generation), disk)

    def ask(
        self, path: str, action: object, blob: bytes | None = None, source: ProcessId = APP, mime: str | None = None
    ) -> Any:
        """One request, done; its answer's JSON, and its blob if it has one."""
        carried = LazyLoadBlob(mime, blob) if blob is not None else None
        return self.ask_json({"path": path, "action": action}, carried, source)
