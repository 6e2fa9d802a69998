"""Turns code into a program, or a reason why not, and keeps it for the next boot (G26): the same on every disk."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from kernel.contract.errors import BadModule
from kernel.contract.guest import Program
from kernel.contract.limits import MAX_MODULE_BYTES
from kernel.contract.message import Buffer
from kernel.wasm.binary.debug_file import MAX_BYTES as MAX_DEBUG_BYTES
from kernel.wasm.binary.debug_file import SUFFIX as DEBUG_SUFFIX
from nectar_node.contract.actions import BadCode
from nectar_node.storage.operations import DiskError, DiskFault, Location, Operation, Outcome, ReadAt, Replace, Stat

Source = Location | Buffer
LARGE_BYTES = 4 << 20
"""Code that takes several times so many bytes while it is loaded; a program with an interpreter in it has 20 MiB."""


class ProgramCompiler(Protocol):
    """What compiles code: `kernel.wasm.engine.Engine`, or something in front of it."""

    def load(self, code: bytes, tell: Callable[[str], None] | None = None) -> Program:
        """Compile code, as `kernel.wasm.engine.Engine.load` does; raises BadModule."""


def load_program(
    compiler: ProgramCompiler,
    perform: Callable[[Operation], Outcome],
    kept: str,
    source: Source,
    tell: Callable[[str], None] | None = None,
    give_back: Callable[[], object] | None = None,
) -> Program | BadCode:
    """Return the program whose code is `source`, or lies there; `perform` uses the disk. `tell` is told what is
    compiled and how far that is, if it takes long. `give_back` is called when the bytes of large code are free again.

    The code is kept in the folder `kept`, in a file named by its SHA-256, unless it comes from there; so is its debug
    file, if it lies beside it.
    """
    program, size = _load(compiler, perform, kept, source, tell)
    if give_back is not None and size >= LARGE_BYTES:
        give_back()
    return program


def _load(
    compiler: ProgramCompiler,
    perform: Callable[[Operation], Outcome],
    kept: str,
    source: Source,
    tell: Callable[[str], None] | None,
) -> tuple[Program | BadCode, int]:
    """Return the program, and how many bytes its code has."""
    code = perform(ReadAt(source, 0, MAX_MODULE_BYTES + 1)) if isinstance(source, Location) else bytes(source)
    if isinstance(code, DiskError):
        return BadCode("there is no such file" if code.fault is DiskFault.NOT_FOUND else code.text), 0
    assert isinstance(code, (bytes, bytearray))
    comes_from = source.parts[0] if isinstance(source, Location) and source.root == kept else None
    if comes_from is not None and hashlib.sha256(code).hexdigest() != comes_from:
        return BadCode("its code on the disk is damaged"), len(code)
    try:
        if tell is None:
            program = compiler.load(bytes(code))
        else:
            program = compiler.load(bytes(code), partial(_tell_of, tell, source))
    except BadModule as error:
        return BadCode(str(error)), len(code)
    if comes_from is None:
        outcome = _keep(perform, Location(kept, (program.digest,)), code)
        if isinstance(outcome, DiskError):
            return BadCode(f"its code cannot be kept for the next boot: {outcome.text}"), len(code)
        if isinstance(source, Location):
            _keep_debug_file(perform, source, Location(kept, (program.digest,)))
    return program, len(code)


def compile_ahead(compiler: ProgramCompiler, perform: Callable[[Operation], Outcome], source: Location) -> int:
    """Have large code compiled that may be started soon, for a compiler that keeps what it has compiled; return how
    many bytes the code has, 0 if there is none.

    Whoever starts it learns what is wrong with it: this tells nobody.
    """
    code = perform(ReadAt(source, 0, MAX_MODULE_BYTES + 1))
    if not isinstance(code, (bytes, bytearray)):
        return 0
    if LARGE_BYTES <= len(code) <= MAX_MODULE_BYTES:
        with suppress(BadModule):
            compiler.load(bytes(code))
    return len(code)


def kept_debug_file(perform: Callable[[Operation], Outcome], kept: str, digest: str) -> bytes | None:
    """Return the debug file of the program with this SHA-256, in hex, that is kept in a folder; None: there is none."""
    data = perform(ReadAt(_debug_file(Location(kept, (digest,))), 0, MAX_DEBUG_BYTES + 1))
    return bytes(data) if isinstance(data, (bytes, bytearray)) else None


def _keep_debug_file(perform: Callable[[Operation], Outcome], source: Location, kept: Location) -> None:
    """Keep the debug file of a program, if there is one. A disk without room for it does not keep the program from
    running."""
    data = perform(ReadAt(_debug_file(source), 0, MAX_DEBUG_BYTES + 1))
    if isinstance(data, (bytes, bytearray)) and len(data) <= MAX_DEBUG_BYTES:
        with _keeping:
            perform(Replace(_debug_file(kept), data))


def _debug_file(wasm: Location) -> Location:
    return wasm._replace(parts=(*wasm.parts[:-1], wasm.parts[-1] + DEBUG_SUFFIX))


def _tell_of(tell: Callable[[str], None], source: Source, text: str) -> None:
    """Tell of what lies on the disk by its path within its folder, and of other code that it came in a message."""
    name = "/".join(source.parts) if isinstance(source, Location) else "code out of a message"
    tell(f"{name}: {text}")


_keeping = threading.Lock()
"""Two threads may have the same code, and would write to one temporary file."""


def _keep(perform: Callable[[Operation], Outcome], file: Location, code: Buffer) -> Outcome:
    with _keeping:
        return perform(Replace(file, code)) if isinstance(perform(Stat(file)), DiskError) else None
