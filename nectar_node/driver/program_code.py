"""Turns code into a program, or a reason why not: the same on every disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kernel.contract.errors import BadModule
from kernel.contract.guest import Program
from kernel.contract.limits import MAX_MODULE_BYTES
from kernel.contract.message import Buffer
from nectar_node.contract.actions import BadCode
from nectar_node.storage.operations import DiskError, DiskFault, Location, Operation, Outcome, ReadAt

Source = Location | Buffer


class ProgramCompiler(Protocol):
    """What compiles code: `kernel.wasm.engine.Engine`, or something in front of it."""

    def load(self, code: bytes) -> Program:
        """Compile code, as `kernel.wasm.engine.Engine.load` does; raises BadModule."""


def load_program(
    compiler: ProgramCompiler, perform: Callable[[Operation], Outcome], source: Source
) -> Program | BadCode:
    """Return the program whose code is `source`, or lies there; `perform` reads it from the disk."""
    code = perform(ReadAt(source, 0, MAX_MODULE_BYTES + 1)) if isinstance(source, Location) else bytes(source)
    if isinstance(code, DiskError):
        return BadCode("there is no such file" if code.fault is DiskFault.NOT_FOUND else code.text)
    assert isinstance(code, (bytes, bytearray))
    try:
        return compiler.load(bytes(code))
    except BadModule as error:
        return BadCode(str(error))
