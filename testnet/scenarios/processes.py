"""Processes that scenarios make beside those of the packages, as a node's user can: through kernel:distro:sys."""

from __future__ import annotations

import json
from pathlib import Path

from testnet.model.lab import Json, Lab
from testnet.scenarios.scenario import require

_KERNEL = "our@kernel:distro:sys"
_RIGHTS = [{"issuer": _KERNEL, "params": params} for params in ('"network"', '"messaging"')]
_PATIENCE = 60
"""Seconds: it may have to be compiled."""


def make(lab: Lab, node: str, process: str, wasm: Path, on_exit: Json = "None") -> None:
    """Make a process that may use the network and the kernel, without running it: what is sent to it waits in its
    inbox."""
    wanted = {"id": process, "on_exit": on_exit, "initial_capabilities": _RIGHTS, "public": True}
    _tell(lab, node, {"InitializeProcess": wanted}, "InitializedProcess", wasm.read_bytes())


def run(lab: Lab, node: str, process: str) -> None:
    """Run it: it takes what waits."""
    _tell(lab, node, {"RunProcess": process}, "StartedProcess")


def running(process: str) -> Json:
    """Return an on-exit setting that runs the process again."""
    return {"Requests": [[_KERNEL, {"body": json.dumps({"RunProcess": process})}]]}


def kill(lab: Lab, node: str, process: str) -> None:
    """End a process; what it issued is worth nothing any more (G21)."""
    _tell(lab, node, {"KillProcess": process}, {"KilledProcess": process})


def _tell(lab: Lab, node: str, body: Json, expected: Json, blob: bytes | None = None) -> None:
    outcome = lab.ask(node, _KERNEL, body, _PATIENCE, blob)
    require(outcome.body == expected, f"the kernel of {node} answers {outcome} to {body}")
