"""`boot`: from the command to a node, and to a testnet of three, that answers; and to a node that comes back after a
kill, with 1,000 processes and 100,000 files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from bench.guests import PACKAGE, echo
from bench.lab import RECEIVER, SENDER, folder
from bench.measure import Reference, Result, absolute, in_turns
from bench.rig import number
from nectar_node.launcher import forked
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet

NODE_GOAL, TESTNET_GOAL, MANY_GOAL = 1.0, 3.0, 3.0
"""The goal in seconds."""
PROCESSES, FILES, FILES_OF_FOLDER = 1_000, 100_000, 1_000
_PUBLISHER = "local"


def run() -> list[Result]:
    """Measure beside an interpreter that imports the libraries a node needs and does nothing with them."""
    with folder() as place, LocalTestnet(place / "net") as net:
        net.boot({SENDER: BootOptions(packages=(_package(place),)), RECEIVER: BootOptions(packages=())})
        _make_files(net)
        node, testnet, many, nothing, imports = in_turns(
            _boot_node, _boot_testnet, lambda: _come_back(net, SENDER), lambda: _come_back(net, RECEIVER), _import
        )
        assert len(net.processes(SENDER)) == PROCESSES
    reference = Reference.of("python importing trio, wasmtime, cryptography", imports, "seconds")
    empty = Reference.of("a node without any", nothing, "seconds")
    return [
        absolute("boot", node, "seconds", NODE_GOAL, reference),
        absolute("boot_testnet", testnet, "seconds", TESTNET_GOAL, reference),
        absolute("boot_many", many, "seconds", MANY_GOAL, empty),
    ]


def _package(place: Path) -> Path:
    """Return the folder of a package of many processes."""
    package = place / PACKAGE
    package.mkdir()
    (package / "echo.wasm").write_bytes(echo())
    (package / "metadata.json").write_text(json.dumps({"package": PACKAGE, "publisher": _PUBLISHER}))
    entry = {"process_wasm_path": "/echo.wasm", "on_exit": "Restart", "public": True}
    entries = [{"process_name": number(index), **entry} for index in range(PROCESSES)]
    (package / "manifest.json").write_text(json.dumps(entries))
    return package


def _make_files(net: LocalTestnet) -> None:
    drive = net.place(SENDER).drives / f"{PACKAGE}:{_PUBLISHER}" / "data"
    for index in range(FILES):
        file = drive / str(index // FILES_OF_FOLDER) / str(index)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def _come_back(net: LocalTestnet, name: str) -> float:
    """Return the seconds from the command until a node that was killed is ready."""
    net.kill(name)
    begin = time.perf_counter()
    net.start([name])
    return time.perf_counter() - begin


def _boot_node() -> float:
    with folder() as place, LocalTestnet(place / "net") as net:
        net.start()
        alone = BootOptions(prefix=("env",))  # which no copy can have before it: it loads its modules itself
        begin = time.perf_counter()
        net.add(SENDER, alone)
        return time.perf_counter() - begin


def _boot_testnet() -> float:
    forked.close_all()  # of a command, the first nodes wait for the process that they are copies of
    with folder() as place, LocalTestnet(place / "net") as net:
        begin = time.perf_counter()
        net.start((SENDER, RECEIVER))
        return time.perf_counter() - begin


def _import() -> float:
    begin = time.perf_counter()
    libraries = "import trio, wasmtime, cbor2, nacl.bindings, cryptography.hazmat.primitives.ciphers.aead"
    subprocess.run([sys.executable, "-c", libraries], check=True)
    return time.perf_counter() - begin
