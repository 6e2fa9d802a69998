"""What there is of wasi:sockets: a network that a guest can refer to, and on which it may do nothing."""

from __future__ import annotations

from kernel.wasm.wasi.state import IoError, Network, WasiState


def _instance_network(state: WasiState) -> int:
    return state.add(Network())


def _error_code(_: WasiState, _error: IoError) -> None:
    return None  # no error of a stream is one of the network


ACTS = {
    "wasi:sockets/instance-network": {"instance-network": _instance_network},
    "wasi:sockets/network": {"network-error-code": _error_code},
}
"""As in `io`."""
