"""The interfaces of wasi:random: of a node's entropy, or in a replayable run of the seed's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernel.contract.errors import GuestLimit
from kernel.wasm.wasi.state import WasiState

MAX_BYTES = 1 << 20
"""Bytes that one call gives."""


def _bytes(state: WasiState, length: int) -> bytes:
    if length > MAX_BYTES:
        raise GuestLimit(f"{length} bytes of randomness at once; {MAX_BYTES} is the limit")
    return state.entropy(length)


def _number(state: WasiState) -> int:
    return int.from_bytes(state.entropy(8), "little")


def _seed(state: WasiState) -> tuple[int, int]:
    return _number(state), _number(state)


ACTS: dict[str, dict[str, Callable[..., Any]]] = {
    "wasi:random/random": {"get-random-bytes": _bytes, "get-random-u64": _number},
    "wasi:random/insecure": {"get-insecure-random-bytes": _bytes, "get-insecure-random-u64": _number},
    "wasi:random/insecure-seed": {"insecure-seed": _seed},
}
"""As in `io`."""
