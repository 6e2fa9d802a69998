"""What people are told of a trap."""

from __future__ import annotations

from kernel.wasm.traps import describe


def test_a_message_of_wasmtime_becomes_one_line() -> None:
    message = """error while executing at wasm backtrace:
    0:     0x91 - nectar_adapter!settle
    1:     0x1f - guest.wasm!do_it
    2:     0x2f - guest.wasm!init

Caused by:
    wasm trap: out of bounds memory access"""
    assert describe(message).sentence == "wasm trap: out of bounds memory access in function do_it"


def test_a_functions_name_cannot_write_to_the_terminal() -> None:
    assert describe("  0: 0x1f - guest.wasm!\x1b[2Jname\ntrap").sentence == "trap in function ?[2Jname"
    assert len(describe("  0: 0x1f - guest.wasm!" + "x" * 10_000 + "\ntrap").sentence) == 500
