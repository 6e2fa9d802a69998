"""Components that call WASI 0.2 themselves: a puppet whose world has all of its interfaces besides the process's."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from kernel.wasm import wasi
from kernel.wasm.canonical.abi import signature
from kernel.wasm.canonical.wit import INTERFACES, Function
from kernel.wasm.wasi.interfaces import ACTS, wasi_interface
from tests.kernel.wasm.official import run, wit_file, world
from tests.kernel.wasm.puppet import Import, imports_of, puppet

VERSION = "0.2.12"
WIT = Path(wasi.__file__).parent / "wit"
"""The packages that the node offers, for the Component Model's own tool to read."""
DROPPED = {
    "wasi:io/poll": ("pollable",),
    "wasi:io/streams": ("input-stream", "output-stream"),
    "wasi:filesystem/types": ("descriptor", "directory-entry-stream"),
}


def function_of(interface: str, name: str) -> Function:
    """A function of WASI."""
    known = wasi_interface(f"{interface}@{VERSION}")
    assert known is not None
    return known.functions[name]


def wasi_import(interface: str, name: str) -> Import:
    """The import of a function of WASI."""
    core = signature(function_of(interface, name))
    return Import(f"{interface}@{VERSION}", name, core.params, core.results)


NATIVE = [wasi_import(interface, name) for interface, acts in ACTS.items() for name in acts] + [
    Import(f"{interface}@{VERSION}", f"[resource-drop]{name}", ("i32",), ())
    for interface, names in DROPPED.items()
    for name in names
]
"""All functions that do something."""
RANDOM = wasi_import("wasi:random/random", "get-random-u64")
STDOUT = wasi_import("wasi:cli/stdout", "get-stdout")
WRITE = wasi_import("wasi:io/streams", "[method]output-stream.blocking-write-and-flush")
SLEEP = wasi_import("wasi:clocks/monotonic-clock", "subscribe-duration")
BLOCK = wasi_import("wasi:io/poll", "[method]pollable.block")
EXIT = wasi_import("wasi:cli/exit", "exit")
ENVIRONMENT = wasi_import("wasi:cli/environment", "get-environment")


def number_of(module: str, wanted: Import) -> int:
    """Under which number the native puppet of a version imports a function."""
    return len(INTERFACES[module].functions) + NATIVE.index(wanted)


@lru_cache(None)
def native_component(module: str) -> bytes:
    """The puppet of a version, calling WASI 0.2 directly."""
    imported = "".join(f"  import {interface}@{VERSION};\n" for interface in ACTS)
    head = f"world {world(module)} {{\n"
    core = puppet([*imports_of(INTERFACES[module]), *NATIVE])
    with TemporaryDirectory() as folder:
        wit = Path(folder) / "wit"
        shutil.copytree(WIT, wit / "deps")
        (wit / "native.wit").write_text(wit_file(module).read_text().replace(head, head + imported))
        embedded = run("component", "embed", "--world", world(module), wit, given=core)
        return run("component", "new", given=embedded)
