"""Compiles the guests of all packages: `python packages/build.py`, or with `--check` compares with what is there.

A guest is one Zig file of a package; everything it imports lies beside it or in `sdk/zig`. The same sources give the
same bytes on every machine: the compiler's version is pinned, and no path, time or debug information gets into a file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, too

from nectar_node.base.errors import NodeError, exit_code  # noqa: E402
from nectar_node.toolchains.zig import compile_guest  # noqa: E402

PACKAGES = ROOT / "packages"

Guests = Mapping[str, tuple[str, ...]]
"""Package: its processes, each a .zig file that becomes pkg/*.wasm."""

GUESTS: Guests = {
    "awaiting": ("main", "job", "registry"),
    "chat": ("chat",),
    "counter": ("counter",),
    "crash_isolation": ("main", "decoder"),
    "disk_user": ("main",),
    "echo": ("echo", "ping"),
    "file_transfer": ("main", "worker"),
    "handoff": ("door", "guest"),
    "heavy_computation": ("main", "worker"),
    "heavy_io": ("main", "copier"),
    "hello": ("hello",),
    "homepage": ("homepage", "presence"),
    "pages": ("pages",),
    "pool": ("boss", "worker", "child"),
    "store": ("store",),
    "terminal": ("alias", "cat", "echo", "hi", "m", "top"),
    "unruly": ("unruly",),
    "web_chat": ("web_chat",),
    "witness": ("witness",),
}


def _relative(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def build(cache: Path, packages: Path = PACKAGES, guests: Guests = GUESTS) -> None:
    """Compile every guest to its place; raises DoesNotCompile."""
    for source, output in _guests(packages, guests):
        compile_guest(source, output, cache)
        print(f"{_relative(output)}: {output.stat().st_size:,} bytes")


def differing(cache: Path, packages: Path = PACKAGES, guests: Guests = GUESTS) -> list[Path]:
    """The guests whose bytes are not what their sources compile to; raises DoesNotCompile."""
    differ = []
    with tempfile.TemporaryDirectory() as folder:
        for source, there in _guests(packages, guests):
            fresh = Path(folder) / there.name
            compile_guest(source, fresh, cache)
            if not there.exists() or there.read_bytes() != fresh.read_bytes():
                differ.append(there)
    return differ


def _guests(packages: Path, guests: Guests) -> Iterator[tuple[Path, Path]]:
    for package, names in guests.items():
        for name in names:
            yield packages / package / f"{name}.zig", packages / package / "pkg" / f"{name}.wasm"


def main() -> int:
    """The command line; 1 if something does not compile or, with --check, differs."""
    parser = argparse.ArgumentParser(description="Compile the guests of all packages.")
    parser.add_argument("--check", action="store_true", help="compare with the compiled files that are there")
    check = parser.parse_args().check
    cache = ROOT / ".zig-cache"
    try:
        if not check:
            build(cache)
            return 0
        differ = differing(cache)
    except NodeError as error:
        print(error, file=sys.stderr)
        return exit_code(error)
    for path in differ:
        print(f"{_relative(path)} is not what its source compiles to: run `make guests`.", file=sys.stderr)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
