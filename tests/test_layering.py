"""The arrows between the rooms and between their folders, read from the imports themselves: docs/architecture says what
they are for. What is imported for its type alone counts like everything else."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
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

FLOORS = {
    "kernel": (
        ("kernel.contract",),
        ("kernel.capabilities", "kernel.files", "kernel.wasm.binary", "kernel.wasm.canonical"),
        ("kernel.wasm.wasi", "kernel.wasm.compiling"),
        ("kernel.router", "kernel.wasm"),
        ("kernel",),
    ),
    "net": (
        ("net.base",),
        ("net.names",),
        ("net.contract",),
        ("net.session", "net.io"),
        ("net.peering",),
    ),
    "nectar_node": (
        ("nectar_node.base",),
        ("nectar_node.packing",),
        ("nectar_node.storage", "nectar_node.console", "nectar_node.backup.format"),
        ("nectar_node.contract", "nectar_node.backup", "nectar_node.releases"),
        ("nectar_node.interfaces",),
        (
            "nectar_node.packages",
            "nectar_node.launcher",
            "nectar_node.backup.stores",
            "nectar_node.http",
            "nectar_node.sharing.wire",
            "nectar_node.toolchains",
        ),
        ("nectar_node.http.bodies", "nectar_node.http.fetching", "nectar_node.authoring"),
        (
            "nectar_node.system",
            "nectar_node.peers",
            "nectar_node.cli",
            "nectar_node.cli.authoring",
            "nectar_node.cli.backups",
            "nectar_node.cli.starting",
            "nectar_node.cli.web",
        ),
        ("nectar_node.databases", "nectar_node.sharing", "nectar_node.cli.packages"),
        ("nectar_node.core",),
        ("nectar_node.control", "nectar_node.recording", "nectar_node.telemetry"),
        ("nectar_node.driver.browsers", "nectar_node.driver.recordings", "nectar_node.driver.telemetry"),
        ("nectar_node.driver",),
        ("nectar_node",),
    ),
    "testnet": (
        ("testnet.check",),
        ("testnet.model",),
        (
            "testnet.faults",
            "testnet.hostile",
            "testnet.journal",
            "testnet.remotes",
            "testnet.releases",
            "testnet.browsers",
        ),
        ("testnet.scenarios",),
        ("testnet.runs", "testnet.sim.disk"),
        ("testnet.sim", "testnet.real.nodes"),
        ("testnet.sweep", "testnet.report", "testnet.real.links"),
        ("testnet.real",),
        ("testnet.testing", "testnet.chaos", "testnet.watch", "testnet.dev", "testnet.cluster", "testnet.hosts"),
        ("testnet.web", "testnet.cli.hosts", "testnet.cli.simulating"),
        ("testnet.cli",),
        ("testnet",),
    ),
}
"""Of each room, from below: a folder may import what lies on floors below its own, and neither its neighbours nor what
is above. The room's own name stands for the files that lie in no folder of it."""

MAX_FILES = 20
"""In one folder, `__init__` aside: as many as somebody can look over."""
MANY_OF_A_KIND = ("testnet.faults", "testnet.scenarios")
"""Folders with a file for each of a kind, which may be any number."""

TOLD_ON_BOTH_SIDES = {"Account", "Memory", "Unmetered"}
"""Classes that are the same thing in `kernel` and in `net`, which know nothing of each other."""

ONLY_IN = {
    "trio": (
        "kernel/runner.py",
        "net/io/",
        "nectar_node/base/lifeline.py",
        "nectar_node/control/",
        "nectar_node/driver/",
        "testnet/hostile/process.py",
        "testnet/hostile/sockets.py",
        "testnet/real/links/",
        "testnet/web/driver.py",
    ),
    "asyncio": ("testnet/hosts/ssh.py",),
    "asyncssh": ("testnet/hosts/ssh.py",),
    "wasmtime": ("kernel/wasm/",),
    "ctypes": (
        "kernel/wasm/",
        "nectar_node/driver/allocator.py",
        "nectar_node/launcher/fork_server.py",
        "nectar_node/launcher/supervisor.py",
        "nectar_node/storage/folder_copies.py",
        "testnet/real/nodes/namespaces.py",
    ),
    "noise": ("net/session/handshake.py",),
}
"""Where else a library would mean that something decides and waits in one place."""

PURE = (
    "kernel/",
    "net/",
    "nectar_node/backup/",
    "nectar_node/contract/",
    "nectar_node/core/",
    "nectar_node/http/",
    "nectar_node/interfaces/",
    "nectar_node/packages/",
    "nectar_node/packing/",
    "nectar_node/peers/",
    "nectar_node/releases/",
    "nectar_node/sharing/",
    "nectar_node/system/",
    "nectar_node/telemetry/",
    "nectar_node/databases/",
    "testnet/faults/schedule.py",
)
WORLD = {"time", "random", "secrets", "socket", "threading", "subprocess"}
DRIVERS = (
    "kernel/runner.py",
    "kernel/wasm/code.py",
    "kernel/wasm/compiling/code_cache.py",
    "kernel/wasm/compiling/compiler.py",
    "kernel/wasm/compiling/core_modules.py",
    "kernel/wasm/engine.py",
    "kernel/wasm/fiber.py",
    "kernel/wasm/compiling/optimiser.py",
    "kernel/wasm/ticker.py",
    "nectar_node/backup/stores/",
    "net/io/",
)


@cache
def sources(room: str) -> tuple[tuple[str, ast.Module], ...]:
    paths = sorted((ROOT / room).rglob("*.py"))
    return tuple((path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())) for path in paths)


def module_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@cache
def modules() -> dict[str, str]:
    """Of all rooms: each module, and the folder that it lies in."""
    found = {}
    for room in ROOMS:
        for path, _ in sources(room):
            module = module_of(path)
            found[module] = module if path.endswith("__init__.py") else module.rpartition(".")[0]
    return found


@cache
def imports(tree: ast.Module) -> tuple[str, ...]:
    return tuple(_imports(tree))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if module in modules() else node.module or ""


@cache
def arrows(room: str) -> dict[str, set[str]]:
    """From each module of a room to those of the room that it imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for path, tree in sources(room):
        module = module_of(path)
        found[module] |= {name for name in imports(tree) if name in modules() and name.split(".")[0] == room}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_arrows_allow(room: str) -> None:
    wrong = [
        f"{name} imports {module}"
        for name, tree in sources(room)
        for module in imports(tree)
        if (top := module.split(".")[0]) in {*ROOMS, "tests", "bench"} and top not in ROOMS[room]
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_folder_imports_only_folders_on_floors_below_its_own(room: str) -> None:
    floors = {folder: number for number, floor in enumerate(FLOORS[room]) for folder in floor}
    folders = modules()
    wrong = [
        f"{module} imports {other}"
        for module, others in arrows(room).items()
        for other in others
        # A room's own `__init__` is empty, and gives nothing but its name.
        if other != room and (mine := folders[module]) != (its := folders[other]) and floors[its] >= floors[mine]
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_folder_has_a_floor(room: str) -> None:
    there = {folder for module, folder in modules().items() if module.split(".")[0] == room and module != folder}
    assert there == {folder for floor in FLOORS[room] for folder in floor}


@pytest.mark.parametrize("room", ROOMS)
def test_no_files_import_each_other_in_a_circle(room: str) -> None:
    circle: list[str] = []
    try:
        TopologicalSorter(arrows(room)).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert circle == []


def test_a_folder_has_few_files() -> None:
    sizes = Counter(folder for module, folder in modules().items() if module != folder)
    assert [each for each in sizes.items() if each[1] > MAX_FILES and each[0] not in MANY_OF_A_KIND] == []


def test_no_two_classes_share_a_name() -> None:
    named = Counter(
        node.name
        for room in ROOMS
        for _, tree in sources(room)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in named.items() if count > 1} == TOLD_ON_BOTH_SIDES


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
        if name.startswith(PURE) and not name.startswith(DRIVERS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "urandom"
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_tests_lie_in_the_folders_of_what_they_test(room: str) -> None:
    folders = {(ROOT / folder.replace(".", "/")).relative_to(ROOT) for folder in modules().values()}
    strays = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests" / room).rglob("test_*.py")
        if path.parent.relative_to(ROOT / "tests") not in folders
    ]
    assert strays == []
