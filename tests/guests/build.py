"""Compiles the guests of the tests: `python tests/guests/build.py`, or with `--check` compares with what is there.

C files become core modules, `echo` a component too, `native` a component alone, for a world with WASI 0.2, and `tester`
one for each interface; Zig files are built as the guests of the packages are. Those in `crashing` trap when they are
asked to, and have debug files. Needs the extra `guests`. The results are
committed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))  # when run as a script

from nectar_node.base.errors import NodeError  # noqa: E402
from nectar_node.toolchains import c  # noqa: E402
from nectar_node.toolchains.once import debug_path  # noqa: E402
from nectar_node.toolchains.zig import compile_guest  # noqa: E402

WIT = ROOT / "sdk" / "zig" / "wit" / "nectar-process-0.7.0.wit"
WITS = ROOT / "tests" / "kernel" / "wasm" / "wit"
TESTERS = {
    "nectar-0.7.0": ("process", ()),
    "kinode-0.7.0": ("process", ()),
    "kinode-0.8.0": ("process-v0", ("-DAFTER_0_7",)),
    "kinode-1.0.0": ("process-v1", ("-DAFTER_0_7", "-DLATE")),
    "hyperware-1.0.0": ("process-v1", ("-DAFTER_0_7", "-DLATE")),
}
"""The interfaces that `tester` is compiled for; each one's world, and what the source needs to know of it."""
COMPILE = (
    *(sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-O2", "-s"),
    "-Wl,-z,stack-size=65536",
)
TESTER = HERE / "tester.c"
NATIVE = HERE / "native.c"
CRASHING = HERE / "crashing"
WASI = ROOT / "kernel" / "wasm" / "wasi" / "wit"
"""The packages of WASI 0.2 that a node offers."""
NATIVE_WORLD = """
world native {
  include process;
  import wasi:cli/environment@0.2.12;
  import wasi:cli/exit@0.2.12;
  import wasi:cli/stdout@0.2.12;
  import wasi:clocks/monotonic-clock@0.2.12;
  import wasi:clocks/wall-clock@0.2.12;
  import wasi:filesystem/preopens@0.2.12;
  import wasi:filesystem/types@0.2.12;
  import wasi:io/poll@0.2.12;
  import wasi:io/streams@0.2.12;
  import wasi:random/random@0.2.12;
  import wasi:sockets/tcp-create-socket@0.2.12;
}
"""
TOOLS = str(Path(sysconfig.get_path("scripts")) / "wasm-tools")


def build(folder: Path) -> list[Path]:
    """Compile every guest into `folder`; raises CalledProcessError or DoesNotCompile."""
    built = []
    for source in sorted(set(HERE.glob("*.c")) - {TESTER, NATIVE}):
        output = folder / f"{source.stem}.wasm"
        subprocess.run([*COMPILE, "-o", output, source.relative_to(ROOT)], cwd=ROOT, check=True)
        built.append(output)
    for source in sorted(HERE.glob("*.zig")):
        output = folder / f"{source.stem}.wasm"
        compile_guest(source, output, ROOT / ".zig-cache")
        built.append(output)
    built.append(component(folder / "echo.wasm", folder / "echo.component.wasm"))
    built.append(_native(folder))
    built += _crashing(folder / CRASHING.name)
    return [*built, *(_tester(folder, version) for version in TESTERS)]


def _crashing(folder: Path) -> list[Path]:
    """Compile the guests that trap, each with its debug file."""
    folder.mkdir(exist_ok=True)
    zig, clang = folder / "zig.wasm", folder / "c.wasm"
    compile_guest(CRASHING / "crash.zig", zig, ROOT / ".zig-cache", explained=True)
    c.compile_guest(CRASHING / "crash.c", clang, ROOT / ".zig-cache")
    return [zig, debug_path(zig), clang, debug_path(clang)]


def _native(folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as scratch:
        core, wit = Path(scratch) / "native.wasm", Path(scratch) / "wit"
        subprocess.run([*COMPILE, "-o", str(core), str(NATIVE.relative_to(ROOT))], cwd=ROOT, check=True)
        shutil.copytree(WASI, wit / "deps")
        (wit / "native.wit").write_text(WIT.read_text() + NATIVE_WORLD)
        return component(core, folder / "native.wasm", wit, "native")


def _tester(folder: Path, version: str) -> Path:
    package, number = version.split("-")
    world, known = TESTERS[version]
    with tempfile.TemporaryDirectory() as scratch:
        core = Path(scratch) / "tester.wasm"
        interface = f'-DINTERFACE="{package}:process/standard@{number}"'
        command = [*COMPILE, interface, *known, "-o", str(core), str(TESTER.relative_to(ROOT))]
        subprocess.run(command, cwd=ROOT, check=True)
        wit = WITS / f"{package}-process-{number}.wit"
        return component(core, folder / f"tester.{version}.wasm", wit, world)


def component(core: Path, output: Path, wit: Path = WIT, world: str = "process", adapter: Path | None = None) -> Path:
    """Make a component of a core module, whose imports of WASI preview 1 go through `adapter`, if there is one."""
    adapt = [] if adapter is None else ["--adapt", f"wasi_snapshot_preview1={adapter}"]
    with tempfile.TemporaryDirectory() as scratch:
        embedded = Path(scratch) / "embedded.wasm"
        subprocess.run([TOOLS, "component", "embed", wit, "--world", world, core, "-o", embedded], check=True)
        subprocess.run([TOOLS, "component", "new", embedded, *adapt, "-o", output], check=True)
    return output


def differing() -> list[Path]:
    """The guests whose bytes are not what their sources compile to; raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = build(Path(folder))
        there = [HERE / each.relative_to(folder) for each in fresh]
        return [each for each, compiled in zip(there, fresh, strict=True) if not _same(compiled, each)]


def _same(fresh: Path, there: Path) -> bool:
    return there.exists() and there.read_bytes() == fresh.read_bytes()


def main() -> int:
    """The command line; 1 if something does not compile or, with --check, differs."""
    parser = argparse.ArgumentParser(description="Compile the guests of the tests.")
    parser.add_argument("--check", action="store_true", help="compare with the compiled files that are there")
    try:
        if not parser.parse_args().check:
            for path in build(HERE):
                print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
            return 0
        differ = differing()
    except NodeError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"A guest does not compile: the compiler ended with status {error.returncode}.", file=sys.stderr)
        return 1
    for path in differ:
        print(f"{path.relative_to(ROOT)} is not what its source compiles to: run `make guests`.", file=sys.stderr)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
