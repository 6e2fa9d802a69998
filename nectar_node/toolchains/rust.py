"""Processes in Rust: cargo makes a core module of what the author wrote and of `sdk/rust`, which needs no registry.

Nothing is installed for it: the compiler is the machine's own. Which version it is makes a difference to the bytes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from nectar_node.base.errors import DoesNotCompile, NoTools
from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.toolchains import debug, once

SDK = SDK_FOLDER / "rust"
TARGET = "wasm32-unknown-unknown"
"""The standard library that is needed. It is without WASI: a process asks the node for files and for the time."""
_STACK_BYTES = 256 * 1024
_MISTAKE = re.compile(r"^error(?:\[\w+\])?: (.+)\n(?:\s*\|.*\n)*?\s*--> (.+?):(\d+):(\d+)$", re.MULTILINE)
_ERROR = re.compile(r"^error(?:\[\w+\])?: (.+)$", re.MULTILINE)


def build(source: Path, output: Path) -> None:
    """Compile the process `source`, a Rust file, with the modules beside it, to the core module `output`.

    A `Cargo.toml` in the folder above a `src` may name other crates; without one there is the SDK alone. Raises
    DoesNotCompile, with the line of the author's file that is wrong; NoTools, if cargo or its target is missing;
    OSError.
    """
    source = source.resolve()
    if not source.is_file() or source.suffix != ".rs":
        raise DoesNotCompile(f"{source} is not a Rust file.")
    version = _compiler()
    manifest = _manifest(source)
    parts = [source.parent, SDK, *(manifest.parent / name for name in ("Cargo.toml", "Cargo.lock"))]
    parts = [each for each in parts if each.exists()]
    made = once.compiled(
        parts, f"{version} {source.name} {debug.VERSION}", lambda place: _compile(source, manifest, place)
    )
    once.deliver(made, output)


def _manifest(source: Path) -> Path:
    return source.parent.parent / "Cargo.toml"


def _compiler() -> str:
    """Return what the machine's compiler says of its version; raises NoTools."""
    if shutil.which("cargo") is None or shutil.which("rustc") is None:
        raise NoTools(
            "Processes in Rust are compiled by cargo, which is not here: install Rust from https://rustup.rs, then "
            f"`rustup target add {TARGET}`; or on Debian, apt-get install cargo lld libstd-rust-dev-wasm32."
        )
    told = _said("rustc", "--print", "target-libdir", "--target", TARGET).strip()
    if not list(Path(told).glob("libcore-*.rlib")):
        how = f"`rustup target add {TARGET}`" if shutil.which("rustup") else "apt-get install libstd-rust-dev-wasm32"
        raise NoTools(f"This machine's Rust has no standard library for {TARGET}: {how} installs it.")
    return _said("rustc", "--version", "--verbose")


def _said(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout if ended.returncode == 0 else ""


def _compile(source: Path, manifest: Path, place: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        crate = Path(name)
        shutil.copytree(source.parent, crate / "src", ignore=shutil.ignore_patterns("target", ".*", "pkg"))
        (crate / "Cargo.toml").write_text(_cargo_toml(manifest, source.stem), "utf-8")
        if (lock := manifest.with_name("Cargo.lock")).is_file():
            shutil.copy(lock, crate / "Cargo.lock")
        (crate / ".sdk").symlink_to(SDK_FOLDER)
        home = os.environ.get("CARGO_HOME") or str(Path.home() / ".cargo")
        flags = ["-C", f"link-arg=-zstack-size={_STACK_BYTES}", "-C", "target-cpu=mvp"]
        # Paths of this machine get into panics: these are the same everywhere.
        for path, instead in ((crate, "."), (SDK_FOLDER.resolve(), "sdk"), (Path(home), "cargo")):
            flags.append(f"--remap-path-prefix={path}={instead}")
        variables = {**os.environ, "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags), "CARGO_TARGET_DIR": "target"}
        variables |= {"CARGO_INCREMENTAL": "0", "CARGO_TERM_COLOR": "never", "CARGO_PROFILE_RELEASE_DEBUG": "1"}
        variables.pop("RUSTFLAGS", None)
        command = ["cargo", "build", "--quiet", "--release", "--lib", "--target", TARGET]
        ended = subprocess.run(command, cwd=crate, env=variables, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise DoesNotCompile(_explain(source, crate, ended.stderr))
        shutil.copyfile(crate / "target" / TARGET / "release" / "process.wasm", place)
        debug.split(place, {"./src": debug.called(source.parent), "./.sdk": "sdk/", "sdk": "sdk/"})


def _cargo_toml(manifest: Path, stem: str) -> str:
    """Return a manifest that builds `src/STEM.rs`, with the dependencies of the author's, if there is one."""
    text = manifest.read_text("utf-8") if manifest.is_file() else ""
    kept = [each for each in re.split(r"(?m)^(?=\[)", text) if re.match(r"\[(?:dependencies|patch)\b", each)]
    dependencies = "".join(kept) or '[dependencies]\nnectar = { path = ".sdk/rust" }\n'
    return (
        '[package]\nname = "process"\nversion = "0.0.0"\nedition = "2021"\n\n'
        f'[lib]\npath = "src/{stem}.rs"\ncrate-type = ["cdylib"]\n\n'
        '[profile.release]\nopt-level = "s"\nlto = true\ncodegen-units = 1\npanic = "abort"\noverflow-checks = true\n\n'
        f"{dependencies}\n[workspace]\n"
    )


def _explain(source: Path, crate: Path, told: str) -> str:
    """Return what the compiler says first, as one sentence with the author's file and line."""
    found = _MISTAKE.search(told)
    if found is None:
        reason = _ERROR.search(told)
        text = reason[1] if reason else (told.strip().splitlines() or ["the compiler says nothing"])[-1]
        return f"{source} does not compile: {text}"
    mistake, path, line, column = found.groups()
    there = path.removeprefix(f"{crate}/").removeprefix("src/")
    return f"{source.parent / there}:{line}:{column}: {mistake}"
