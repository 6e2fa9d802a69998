"""What all guests of a program share: its compiled code, linked but for what is each guest's own."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.wasm.component_instances import Linked
    from kernel.wasm.ticker import Ticker


class Running(threading.local):
    """The guest that the current thread polls, or has polled last."""

    guest: Any = None
    """A `fiber.Fiber`; None: the last one has been dropped."""


@dataclass(frozen=True, slots=True)
class Code:
    """What all guests of a program share; the addresses are valid for as long as `keep` lives."""

    engine: int
    linker: int
    """Defines what guests import, but for what the adapter exports."""
    adapter: int
    """The adapter, linked, to be instantiated in each guest's store."""
    module: int
    interface: bytes
    """The module name under which the adapter's exports are imported."""
    uses_wasi: bool
    files: int
    """The module of the file writer, for programs that use WASI."""
    ticker: Ticker | None
    """The clock that ends slices; None: slices are counted in fuel."""
    running: Running
    keep: tuple[object, ...]
    blocks: int = 0
    """Of the basic blocks of `module` those that it notes; 0: it notes none."""
    component: Linked | None = None
    """How it is made of several core modules; None: `module` is all."""
