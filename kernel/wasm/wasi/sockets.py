"""What there is of wasi:sockets: a network that a guest can refer to, and on which it may do nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernel.wasm.wasi.state import IoError, WasiNetwork, WasiState


def _instance_network(state: WasiState) -> int:
    return state.add(WasiNetwork())


def _error_code(_: WasiState, _error: IoError) -> None:
    return None  # no error of a stream is one of the network


ACTS: dict[str, dict[str, Callable[..., Any]]] = {
    "wasi:sockets/instance-network": {"instance-network": _instance_network},
    "wasi:sockets/network": {"network-error-code": _error_code},
}
"""As in `io`."""
