"""What a process sends does not stay in its memory, in any language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime

from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival, Guest, GuestConfig, Poll, SendResponse
from kernel.contract.limits import MIB
from kernel.contract.message import Request
from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache
from nectar_node.toolchains.sent_bytes import free_sent_bytes
from tests.languages.toolchain import Language

_MEMORY_BYTES = 512 * MIB
"""As a process has it whose manifest asks for nothing else."""
_SENT_MIB = 1100
_KEPT_MIB = 200
"""A collector of garbage comes when it thinks fit: JavaScript keeps 124."""


def test_a_process_that_has_sent_a_gibibyte_has_the_memory_of_one_that_has_not(
    language: Language, compiled: Callable[[Language, str], Path]
) -> None:
    engine = Engine(module_cache(), replayable=False)
    program = engine.load((compiled(language, "echo") / "echo.wasm").read_bytes())
    guest = program.start(GuestConfig(Address("our.nec", ProcessId("echo", "echo", "sys")), _MEMORY_BYTES))
    assert _until_it_waits(guest) is Poll.RECEIVE
    asker, body = Address("our.nec", ProcessId("ping", "echo", "sys")), bytes(range(256)) * 4096
    for number in range(_SENT_MIB):
        guest.resume(Arrival(asker, Request(False, 5, body), None, None))
        assert _until_it_waits(guest) is Poll.RECEIVE, f"after {number} MiB: {guest.end}"
        (answer,) = guest.effects
        assert isinstance(answer, SendResponse)
        assert answer.response.body == body
        guest.effects.clear()
    assert guest.statistics().memory_bytes < _KEPT_MIB * MIB
    guest.close()
    engine.close()


def test_a_component_without_the_runtime_of_componentize_py_is_refused() -> None:
    component = bytes(wasmtime.wat2wasm("(component (core module))"))
    with pytest.raises(ValueError, match="no core module exports wit_dylib_pop_list"):
        free_sent_bytes(component)


def _until_it_waits(guest: Guest) -> Poll:
    while (poll := guest.poll()) is Poll.PREEMPTED:
        pass
    return poll
