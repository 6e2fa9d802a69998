"""The arrows between the rooms, read from the imports themselves: docs/architecture says what they are for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "kernel": {"kernel"},
    "net": {"net"},
    "nectar_node": {"nectar_node", "kernel", "net"},
    "testnet": {"testnet", "nectar_node", "kernel", "net"},
}
"""What each room may import of ours."""

ONLY_IN = {
    "trio": (
        "kernel/runner.py",
        "net/driver.py",
        "net/tcp.py",
        "net/transport.py",
        "net/turns.py",
        "nectar_node/node.py",
        "nectar_node/lanes.py",
        "nectar_node/lifeline.py",
        "nectar_node/loading.py",
        "nectar_node/control.py",
        "nectar_node/control_socket.py",
        "testnet/hostile/process.py",
        "testnet/hostile/sockets.py",
        "testnet/links/",
    ),
    "wasmtime": ("kernel/wasm/",),
    "ctypes": ("kernel/wasm/", "nectar_node/memory.py", "nectar_node/cli/supervisor.py", "testnet/real/namespaces.py"),
    "noise": ("net/handshake.py",),
}
"""Where else a library would mean that something decides and waits in one place."""

PURE = (
    "kernel/",
    "net/",
    "nectar_node/core.py",
    "nectar_node/grant_file.py",
    "nectar_node/grant_store.py",
    "nectar_node/installation.py",
    "nectar_node/peers.py",
    "nectar_node/proofs.py",
    "nectar_node/record_store.py",
    "nectar_node/system/",
    "nectar_node/trace.py",
    "nectar_node/translate.py",
    "nectar_node/vouching.py",
    "nectar_node/world.py",
)
WORLD = {"time", "random", "secrets", "socket", "threading", "subprocess"}
DRIVERS = (
    "kernel/runner.py",
    "kernel/wasm/compiler.py",
    "kernel/wasm/components.py",
    "kernel/wasm/engine.py",
    "kernel/wasm/fiber.py",
    "kernel/wasm/threaded.py",
    "kernel/wasm/ticker.py",
    "net/driver.py",
    "net/tcp.py",
    "net/transport.py",
)


@cache
def sources(room: str) -> tuple[tuple[str, ast.Module], ...]:
    paths = sorted((ROOT / room).rglob("*.py"))
    return tuple((path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())) for path in paths)


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_arrows_allow(room: str) -> None:
    wrong = [
        f"{name} imports {module}"
        for name, tree in sources(room)
        for module in imports(tree)
        if (top := module.split(".")[0]) in {*ROOMS, "tests", "bench"} and top not in ROOMS[room]
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_stays_where_it_belongs(library: str) -> None:
    wrong = [
        name
        for room in ROOMS
        for name, tree in sources(room)
        if any(module.split(".")[0] == library for module in imports(tree)) and not name.startswith(ONLY_IN[library])
    ]
    assert wrong == []


def test_the_core_knows_no_clock_no_chance_and_no_socket() -> None:
    wrong = [
        f"{name} imports {module}"
        for room in ROOMS
        for name, tree in sources(room)
        if name.startswith(PURE) and not name.startswith(DRIVERS)
        for module in imports(tree)
        if module.split(".")[0] in WORLD
    ]
    assert wrong == []


def test_the_core_asks_the_operating_system_for_no_randomness() -> None:
    wrong = [
        name
        for room in ROOMS
        for name, tree in sources(room)
        if name.startswith(PURE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "urandom"
    ]
    assert wrong == []
