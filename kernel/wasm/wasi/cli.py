"""The interfaces of wasi:cli: no environment, no arguments, no terminal; output goes to the log (G28)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from kernel.wasm.wasi.state import GuestExit, InputStream, OutputStream, WasiState

_STDOUT, _STDERR = 1, 0
"""Verbosities."""


def _nothing(_: WasiState) -> tuple[()]:
    return ()


def _none(_: WasiState) -> None:
    return None


def _exit(_: WasiState, status: tuple[int, None]) -> NoReturn:
    raise GuestExit(status[0])


def _exit_with_code(_: WasiState, code: int) -> NoReturn:
    raise GuestExit(code)


def _stdin(state: WasiState) -> int:
    return state.add(InputStream(None))


def _stdout(state: WasiState) -> int:
    return state.add(OutputStream(_STDOUT))


def _stderr(state: WasiState) -> int:
    return state.add(OutputStream(_STDERR))


ACTS: dict[str, dict[str, Callable[..., Any]]] = {
    "wasi:cli/environment": {"get-environment": _nothing, "get-arguments": _nothing, "initial-cwd": _none},
    "wasi:cli/exit": {"exit": _exit, "exit-with-code": _exit_with_code},
    "wasi:cli/stdin": {"get-stdin": _stdin},
    "wasi:cli/stdout": {"get-stdout": _stdout},
    "wasi:cli/stderr": {"get-stderr": _stderr},
    "wasi:cli/terminal-stdin": {"get-terminal-stdin": _none},
    "wasi:cli/terminal-stdout": {"get-terminal-stdout": _none},
    "wasi:cli/terminal-stderr": {"get-terminal-stderr": _none},
}
"""As in `io`."""
