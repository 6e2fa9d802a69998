"""Cargo with a standard library for Wasm, from Debian 12: unpacked into the user's cache, and not installed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from nectar_node.base.errors import NoTools
from nectar_node.toolchains import once
from tests.languages.wasip2 import PACKAGES as RUST

_VERSION = "0.66.0+ds1-1"
_CARGO = (f"cargo={_VERSION}", "libgit2-1.5", "libssh2-1", "libmbedtls14", "libmbedcrypto7", "libmbedx509-1")
_PACKAGES = (*RUST, *_CARGO, "libhttp-parser2.9")


def folder() -> Path:
    """Return a folder for PATH with `cargo` and `rustc`; raises NoTools if this machine has no such packages."""
    return once.tools(f"debian-cargo-{_VERSION}", _unpack) / "bin"


def _unpack(place: Path) -> None:
    fetch = shutil.which("apt-get")
    if fetch is None:
        raise NoTools("Rust for Wasm comes from Debian 12, and this machine has no apt-get.")
    place.mkdir()
    place.chmod(0o755)
    told = subprocess.run(
        [fetch, "download", "-qq", *_PACKAGES], cwd=place, capture_output=True, text=True, check=False
    )
    if told.returncode != 0:
        raise NoTools(f"Rust for Wasm comes from Debian 12: {told.stderr.strip().splitlines()[-1]}")
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, place], check=True)
        package.unlink()
    (place / "bin").mkdir()
    _write(place, "cargo", "")
    _write(place, "rustc", '--sysroot "$usr" -C linker="$usr/bin/wasm-ld-14"')


def _write(place: Path, name: str, options: str) -> None:
    final = place.with_name(f"debian-cargo-{_VERSION}") / "usr"
    script = place / "bin" / name
    script.write_text(
        f"#!/bin/sh\nusr={shlex.quote(str(final))}\n"
        f'LD_LIBRARY_PATH="$usr/lib/x86_64-linux-gnu" exec "$usr/bin/{name}" {options} "$@"\n'
    )
    script.chmod(0o755)
