"""`boot`: from the command to a node, and to a testnet of three, that answers."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.lab import RECEIVER, SENDER, folder
from bench.measure import Reference, Result, absolute, in_turns
from testnet.real.local import LocalTestnet

NODE_GOAL, TESTNET_GOAL = 1.0, 3.0
"""The goal in seconds."""


def run() -> list[Result]:
    """Measure beside an interpreter that imports the libraries a node needs and does nothing with them."""
    node, testnet, imports = in_turns(_boot_node, _boot_testnet, _import)
    reference = Reference.of("python importing trio, wasmtime, cryptography", imports, "seconds")
    return [
        absolute("boot", node, "seconds", NODE_GOAL, reference),
        absolute("boot_testnet", testnet, "seconds", TESTNET_GOAL, reference),
    ]


def _boot_node() -> float:
    with folder() as place, LocalTestnet(place / "net") as net:
        net.start()
        begin = time.perf_counter()
        net.add(SENDER)
        return time.perf_counter() - begin


def _boot_testnet() -> float:
    with folder() as place, LocalTestnet(place / "net") as net:
        begin = time.perf_counter()
        net.start((SENDER, RECEIVER))
        return time.perf_counter() - begin


def _import() -> float:
    begin = time.perf_counter()
    libraries = "import trio, wasmtime, cbor2, nacl.bindings, cryptography.hazmat.primitives.ciphers.aead"
    subprocess.run([sys.executable, "-c", libraries], check=True)
    return time.perf_counter() - begin
