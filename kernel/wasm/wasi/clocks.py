"""The interfaces of wasi:clocks. A sleep is a pollable; waiting for it is the kernel's (`kernel.contract.guest`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernel.wasm.wasi.state import MAX_MOMENT, NANOSECONDS, Pollable, WasiState

RESOLUTION = 1000
"""Nanoseconds."""


def _now(state: WasiState) -> int:
    return state.now()


def _resolution(_: WasiState) -> int:
    return RESOLUTION


def _subscribe_instant(state: WasiState, when: int) -> int:
    return state.add(Pollable(when))


def _subscribe_duration(state: WasiState, duration: int) -> int:
    return state.add(Pollable(min(state.now() + duration, MAX_MOMENT)))


def _wall_now(state: WasiState) -> tuple[int, int]:
    return divmod(state.clock(), NANOSECONDS)


def _wall_resolution(_: WasiState) -> tuple[int, int]:
    return 0, RESOLUTION


ACTS: dict[str, dict[str, Callable[..., Any]]] = {
    "wasi:clocks/monotonic-clock": {
        "now": _now,
        "resolution": _resolution,
        "subscribe-instant": _subscribe_instant,
        "subscribe-duration": _subscribe_duration,
    },
    "wasi:clocks/wall-clock": {"now": _wall_now, "resolution": _wall_resolution},
}
"""As in `io`."""
