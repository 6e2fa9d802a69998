"""Compiled guests, kept for all simulations of one process.

An engine forgets a program when no node runs it, as between two seeds. Reading it from the disk again took half of a
sweep's time; compiling it again, in a process of its own, took three quarters.
"""

from __future__ import annotations

from collections.abc import Callable

from blake3 import blake3

from kernel.contract.guest import Program
from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache


class Programs:
    """A deterministic engine, and all programs that it has ever loaded."""

    def __init__(self) -> None:
        self._engine = Engine(module_cache(), replayable=True)
        self._kept: dict[bytes, Program] = {}

    def load(self, wasm: bytes, tell: Callable[[str], None] | None = None) -> Program:
        """Return the program of `wasm`, compiled at most once; `tell` is told how far that is."""
        key = blake3(wasm).digest()
        program = self._kept.get(key)
        if program is None:
            program = self._kept[key] = self._engine.load(wasm, tell)
        return program
