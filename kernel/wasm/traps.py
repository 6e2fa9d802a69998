"""Describes a trap for people: one line out of Wasmtime's many."""

from __future__ import annotations

import re

from kernel.wasm.adapter import NAME as ADAPTER_NAME

_MAX_TRAP_CHARACTERS = 500

_FRAME = re.compile(r"^\s*\d+:\s+0x[0-9a-f]+ - (?:.*!)?(.+)$")


def describe(message: str) -> str:
    """Return one line for Wasmtime's message of many: the cause, and the guest's function in which it happened.

    Names of functions are the guest's to choose: characters that cannot be printed become `?`, and the line is cut.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    cause = lines[-1] if lines else "trap"
    frames = (_FRAME.match(line) for line in lines if f"{ADAPTER_NAME}!" not in line)
    function = next((frame[1] for frame in frames if frame), None)
    text = f"{cause} in function {function}" if function else cause
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_TRAP_CHARACTERS])
