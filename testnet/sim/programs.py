"""Compiled guests, for all simulations of one process after another.

An engine forgets a program when no node runs it. Between two seeds none does: to read it from the disk again took half
of a sweep's time, and to compile it again, in a process of its own, three quarters.
"""

from __future__ import annotations

from blake3 import blake3

from kernel.contract.guest import Program
from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache


class Programs:
    """An engine whose runs can be replayed, and all that it has ever loaded."""

    def __init__(self) -> None:
        self._engine = Engine(module_cache(), replayable=True)
        self._kept: dict[bytes, Program] = {}

    def load(self, wasm: bytes) -> Program:
        """See `Engine.load`."""
        key = blake3(wasm).digest()
        program = self._kept.get(key)
        if program is None:
            program = self._kept[key] = self._engine.load(wasm)
        return program
