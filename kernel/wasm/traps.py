"""Describes a trap for people: one line out of Wasmtime's many, and the functions that had been called."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.contract.guest import Effect, Frame, Print
from kernel.wasm.adapter import NAME as ADAPTER_NAME
from kernel.wasm.binary.debug_file import CodePlace, DebugFile

_MAX_TRAP_CHARACTERS = 500
_MAX_NAME_CHARACTERS = 120
"""Of a function or a file: names are the guest's to choose."""

_NUMBER = re.compile(r"^\d+: ")
"""Wasmtime numbers causes where there are several."""
_FRAME = re.compile(r"^\s*\d+:\s+0x([0-9a-f]+) - (?:.*!)?(.+)$")


_UNKNOWN = CodePlace("", "", 0)


class Trap(NamedTuple):
    """Why and where a guest trapped; what is in it can be printed."""

    sentence: str
    frames: tuple[Frame, ...]


def describe(message: str, debug: DebugFile | None = None) -> Trap:
    """Return the cause in Wasmtime's message of many lines, and the functions in it.

    Names of functions are the guest's to choose: characters that cannot be printed become `?`, and lines are cut.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    cause = _NUMBER.sub("", lines[-1]) if lines else "trap"
    found = (_FRAME.match(line) for line in lines if f"{ADAPTER_NAME}!" not in line)
    frames = tuple(_frames(((int(each[1], 16), each[2]) for each in found if each), debug))
    text = f"{cause} in function {frames[0].function}" if frames else cause
    return Trap(_printable(text[:_MAX_TRAP_CHARACTERS]), frames)


def _frames(calls: Iterable[tuple[int, str]], debug: DebugFile | None) -> list[Frame]:
    frames = list[Frame]()
    for offset, name in calls:
        places = debug.places(offset) if debug is not None else []
        for function, file, line in places or [_UNKNOWN]:
            frames.append(Frame(_short(function) or _short(name), _short(file), line))
            if len(frames) == limits.MAX_FRAMES:
                return frames
    return frames


def read_debug_untrusted(read: Callable[[str], bytes | None] | None, digest: str) -> DebugFile | None:
    """Return the debug file of a program; None if there is none that fits."""
    data = read(digest) if read is not None else None
    if data is None:
        return None
    try:
        return DebugFile(data, digest)
    except BadModule:
        return None


def last_words(effects: Iterable[Effect]) -> tuple[str, ...]:
    """Return what a guest has printed last with verbosity 0, within bounds."""
    lines = deque[str](maxlen=limits.MAX_SAID_LINES)
    for effect in effects:
        if type(effect) is Print and effect.verbosity == 0:
            lines.extend(effect.text[-limits.MAX_SAID_CHARACTERS :].splitlines())
    left, kept = limits.MAX_SAID_CHARACTERS, deque[str]()
    while lines and left > 0:
        line = lines.pop()[:left]
        left -= len(line) + 1
        kept.appendleft(_printable(line))
    return tuple(kept)


def _short(name: str) -> str:
    return _printable(name[:_MAX_NAME_CHARACTERS])


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
