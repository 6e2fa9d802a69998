"""Which functions of WASI 0.2 components may import, and what is behind each.

Versions: components name one (`wasi:io/poll@0.2.9`), and within one even several; a patch version only adds functions,
so it is not looked at. What is in the text of the specification and does nothing here answers that it is not
supported, where its result can say that, and traps elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from kernel.wasm.canonical.abi import layout, payload_offset
from kernel.wasm.canonical.wit import Enumeration, Function, Handle, Variant
from kernel.wasm.wasi import cli, clocks, files, http, io, random, sockets
from kernel.wasm.wasi.text import WasiInterface, read_packages

_PACKAGES = ("io", "clocks", "random", "filesystem", "cli", "sockets", "http")
"""In an order in which each uses only those before it."""
_NAME = re.compile(r"(wasi:[a-z]+/[a-z-]+)@0\.2\.[0-9]{1,4}")
ACTS: dict[str, dict[str, Callable[..., Any]]] = {
    **io.ACTS,
    **clocks.ACTS,
    **random.ACTS,
    **cli.ACTS,
    **files.ACTS,
    **sockets.ACTS,
    **http.ACTS,
}
_KNOWN = 4096
"""Functions that are remembered by the names under which components import them."""
_REFUSALS = ("not-supported", "unsupported", "HTTP-request-denied")
"""Cases by which errors say that something is not offered."""


class WasiFunction(NamedTuple):
    """A function with what is behind it."""

    interface: str
    function: Function
    act: Callable[..., Any] | None
    """None: it is not supported."""
    refusal: bytes | None
    """For one that is not supported: the image of a result that says so; None: the result cannot."""


@lru_cache(None)
def _interfaces() -> dict[str, WasiInterface]:
    """Read the specification; done when the first component is loaded."""
    folder = Path(__file__).parent / "wit"
    return read_packages([(folder / f"{name}.wit").read_text() for name in _PACKAGES])


def wasi_interface(name: str) -> WasiInterface | None:
    """Return the interface that a component imports under a name, or None if it is none of these."""
    match = _NAME.fullmatch(name)
    return _interfaces().get(match[1]) if match else None


@lru_cache(_KNOWN)
def wasi_function(interface: str, name: str) -> WasiFunction | None:
    """Return a function by the names under which a component imports it, or None if there is none."""
    known = wasi_interface(interface)
    function = known.functions.get(name) if known else None
    if known is None or function is None:
        return None
    act = ACTS.get(known.name, {}).get(name)
    return WasiFunction(known.name, function, act, None if act else _refusal(function))


def wasi_resource(interface: str, name: str) -> str | None:
    """Return the kind of a resource by the names under which a component imports it."""
    known = wasi_interface(interface)
    kind = known.types.get(name) if known else None
    return kind.resource if isinstance(kind, Handle) else None


def _refusal(function: Function) -> bytes | None:
    result = function.result
    if not isinstance(result, Variant) or [name for name, _ in result.cases] != ["ok", "error"]:
        return None
    error = result.cases[1][1]
    names = [name for name, *_ in error.cases] if isinstance(error, Variant) else []
    if isinstance(error, Enumeration):
        names = list(error.cases)
    for number, name in enumerate(names):
        if name in _REFUSALS:
            image = bytearray(layout(result).size)
            image[0], image[payload_offset(result)] = 1, number
            return bytes(image)
    return None
