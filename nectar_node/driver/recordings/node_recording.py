"""A running node's recording: the code of its programs is kept, and nothing is held back while the node is idle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import trio

from kernel.contract.guest import Program
from kernel.wasm.engine import Engine
from nectar_node.base import log
from nectar_node.recording.ring import RecordingFiles

HAND_OVER_SECONDS = 0.1
"""What a node that is killed has told nobody, at most; it is the last tenth of a second."""


class KeepingCompiler:
    """An engine that keeps the code of each program; implements `nectar_node.driver.program_code.ProgramCompiler`."""

    def __init__(self, engine: Engine, files: RecordingFiles) -> None:
        self._engine = engine
        self._files = files

    def load(self, code: bytes, tell: Callable[[str], None] | None = None) -> Program:
        """Compile code; raises BadModule. On any thread."""
        program = self._engine.load(code, tell)
        self._files.keep_code(hashlib.sha256(code).hexdigest(), code)
        return program


async def keep_handing_over(files: RecordingFiles) -> None:
    """Hand over what was noted, again and again until cancelled; say once what its user should know."""
    told: set[str] = set()
    while True:
        await trio.sleep(HAND_OVER_SECONDS)
        files.flush()
        for each in files.complaints:
            if each not in told:
                told.add(each)
                log.write_line("kernel", each)
