"""Compiles the guests in Rust and C++: `python -m tests.languages.wasip2`; the results are committed.

Both are made as these languages make a component for `wasm32-wasip2`: a core module with a libc for WASI preview 1, an
adapter from that to WASI 0.2, and functions of WASI 0.2 that the module imports itself. Zig's C++ compiler comes from
PyPI, the adapter with jco from npm, and Rust from Debian 12, whose packages are unpacked into the user's cache and not
installed: neither PyPI, npm nor Debian has a standard library of a newer Rust for WASI, a TinyGo, or a wit-bindgen. So
the sources lay out the canonical ABI themselves.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nectar_node.base.errors import NoTools
from nectar_node.toolchains import javascript, once
from tests.guests.build import TOOLS, WIT, component

ROOT = Path(__file__).resolve().parents[2]
GUESTS = ROOT / "tests" / "guests" / "wasip2"
ADAPTER = Path("node_modules/@bytecodealliance/jco/lib/wasi_snapshot_preview1.reactor.wasm")
WORLD = """package tests:visitor;
world visitor { include nectar:process/process@0.7.0; import wasi:random/random@0.2.12; }
world fetcher {
  include nectar:process/process@0.7.0;
  import wasi:clocks/monotonic-clock@0.2.12;
  import wasi:http/outgoing-handler@0.2.12;
  import wasi:http/types@0.2.12;
}
"""
_WITS = ROOT / "kernel" / "wasm" / "wasi" / "wit"
_RUST = "1.63.0+dfsg1-2"
_LLVM = "1:14.0.6-12"
PACKAGES = (
    *(f"{name}={_RUST}" for name in ("rustc", "libstd-rust-1.63", "libstd-rust-dev", "libstd-rust-dev-wasm32")),
    *(f"{name}={_LLVM}" for name in ("libllvm14", "lld-14")),
)
"""Of Debian 12: the compiler, and its standard library for Wasm."""
_CPP = (
    *(sys.executable, "-m", "ziglang", "c++", "-target", "wasm32-wasi", "-mexec-model=reactor", "-std=c++20"),
    *("-Oz", "-s", "-fno-exceptions", "-fno-rtti", "-Wl,-z,stack-size=131072"),
)


def rust(output: Path) -> None:
    """Compile the guest in Rust; raises NoTools if this machine has no such Debian packages."""
    usr = once.tools(f"debian-rust-{_RUST}", _unpack_rust) / "usr"
    command: list[Path | str] = [usr / "bin" / "rustc", "--sysroot", usr, "--edition", "2021"]
    command += ["--target", "wasm32-wasi"]
    command += ["--crate-type", "cdylib", "-C", "opt-level=s", "-C", "panic=abort", "-C", "strip=symbols", "-C", "lto"]
    command += ["-C", "codegen-units=1", "-C", f"linker={usr / 'bin' / 'wasm-ld-14'}"]
    # As newer compilers do it: without this, each export begins with the initialisation of libc, cabi_realloc as well.
    start = usr / "lib" / "rustlib" / "wasm32-wasi" / "lib" / "self-contained" / "crt1-reactor.o"
    command += ["-C", f"link-arg={start}", "-C", "link-arg=--export=_initialize"]
    _adapted([*command, "tests/guests/wasip2/visitor.rs"], output, libraries=usr / "lib" / "x86_64-linux-gnu")


def cpp(output: Path) -> None:
    """Compile the guest in C++."""
    _adapted([*_CPP, "tests/guests/wasip2/visitor.cpp"], output)


def fetcher(output: Path) -> None:
    """Compile the guest that asks servers, in C++; it has nothing of WASI preview 1."""
    _adapted([*_CPP, "tests/guests/wasip2/fetcher.cpp"], output, world="fetcher")


def _adapted(command: list[Path | str], output: Path, libraries: Path | None = None, world: str = "visitor") -> None:
    """Run a compiler at the repository's root, so that no path of this machine gets into what it makes."""
    with tempfile.TemporaryDirectory() as folder:
        core, whole, wit = (Path(folder) / name for name in ("core.wasm", "whole.wasm", "wit"))
        environment = None if libraries is None else {"LD_LIBRARY_PATH": str(libraries), "PATH": "/usr/bin:/bin"}
        subprocess.run([*command, "-o", core], cwd=ROOT, env=environment, check=True)
        (wit / "deps").mkdir(parents=True)
        (wit / "visitor.wit").write_text(WORLD)
        for package in (WIT, *_WITS.glob("*.wit")):
            shutil.copy(package, wit / "deps")
        component(core, whole, wit, world, adapter=javascript.tools() / ADAPTER if world == "visitor" else None)
        subprocess.run([TOOLS, "strip", "--all", whole, "-o", output], check=True)


def _unpack_rust(place: Path) -> None:
    fetch = shutil.which("apt-get")
    if fetch is None:
        raise NoTools("Rust for WASI comes from Debian 12, and this machine has no apt-get.")
    place.mkdir()
    place.chmod(0o755)
    told = subprocess.run([fetch, "download", "-qq", *PACKAGES], cwd=place, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise NoTools(f"Rust for WASI comes from Debian 12: {told.stderr.strip().splitlines()[-1]}")
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, place], check=True)
        package.unlink()


BUILDS = {"rust": rust, "cpp": cpp, "fetcher": fetcher}

if __name__ == "__main__":
    for name, build in BUILDS.items():
        build(GUESTS / f"{name}.wasm")
        print(f"{name}.wasm: {(GUESTS / f'{name}.wasm').stat().st_size:,} bytes")
