"""Processes in Zig, and the compiler that processes in C share.

A process is one Zig file; everything it imports lies beside it or in `sdk/zig`. The same sources give the same bytes on
every machine: the compiler's version is pinned, and no path, time or debug information gets into a .wasm file. What
explains its traps lies in a file beside it (`debug`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

from nectar_node.base.errors import DoesNotCompile
from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.toolchains import debug, once

VERSION = "0.17.1"
"""Of ziglang, with its Clang."""
_WHAT = f"ziglang {VERSION}, which compiles Zig and C,"
SDK = SDK_FOLDER / "zig"
STACK_BYTES = 256 * 1024
"""A guest's stack. It starts where its memory does, below the data, so that an overflow traps."""
GUEST = (
    *("-target", "wasm32-freestanding", "-fno-entry", "--stack", str(STACK_BYTES), "-fno-incremental"),
    *("--export=init", "--export=cabi_realloc"),
)
"""What the compiler is told of every guest."""
_MISTAKE = re.compile(r"^(.+?):(\d+:\d+): (?:fatal )?error: (.+)$", re.MULTILINE)
_CACHES = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")


def build(source: Path, output: Path) -> None:
    """Compile the process `source`, a Zig file, with the files beside it, to the core module `output`.

    Raises DoesNotCompile, with the line of the author's file that is wrong; NoTools, if the compiler cannot be
    installed; OSError.
    """
    source = source.resolve()
    if not source.is_file() or source.suffix != ".zig":
        raise DoesNotCompile(f"{source} is not a Zig file.")
    folders = (source.parent, SDK)
    versions = f"zig {VERSION} {source.name} {debug.VERSION}"
    made = once.compiled(folders, versions, lambda place: compile_guest(source, place, explained=True))
    once.deliver(made, output)


def compile_guest(
    source: Path, output: Path, cache: Path | None = None, *, where: Path | None = None, explained: bool = False
) -> None:
    """Compile as `build` does, without looking for what was compiled before; raises what it raises. With `explained`
    there is a debug file, too.

    Our own code keeps its safety checks, so that an overflow or a bad index is a panic with a message; the standard
    library is optimised for size. `where`: the folder that paths are relative to, so that none of this machine's gets
    into the output. `cache`: the compiler's own.
    """
    where = where or SDK_FOLDER.parent
    options: list[str | Path] = ["build-exe", *GUEST, "-fno-strip" if explained else "-fstrip"]
    options += ["-O", "ReleaseSmall", "--dep", "process", "--dep", "nectar"]
    options += [f"-Mroot={_relative(SDK / 'start.zig', where)}"]
    options += ["-O", "ReleaseSafe", "--dep", "nectar", f"-Mprocess={_relative(source, where)}"]
    options += ["-O", "ReleaseSafe", f"-Mnectar={_relative(SDK / 'nectar.zig', where)}"]
    run_zig([*options, f"-femit-bin={output}"], source, output, where, cache)
    if explained:
        debug.split(output, {str(source.parent): debug.called(source.parent), str(SDK): "sdk/zig/"})


def run_zig(options: list[str | Path], source: Path, output: Path, where: Path, cache: Path | None) -> None:
    """Run the compiler in the folder `where`; raises DoesNotCompile with the first mistake, and what `tools` raises."""
    output.parent.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [python_with_zig(), "-m", "ziglang", *options]
    folder = cache or once.tools("zig-cache", lambda place: place.mkdir(mode=0o700))
    environment = {**os.environ, **{name: str(folder / name.split("_")[1].lower()) for name in _CACHES}}
    ended = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise DoesNotCompile(_explain(source, where, ended.stderr))
    output.chmod(0o644)


def python_with_zig() -> Path:
    """Return a Python that has the compiler as a module: this one, or one that is installed once; raises NoTools."""
    try:
        if metadata.version("ziglang") == VERSION:
            return Path(sys.executable)
    except metadata.PackageNotFoundError:
        pass
    return once.tools(f"ziglang-{VERSION}", _install, f"{_WHAT} from PyPI: once, 440 MB on the disk") / "bin" / "python"


def _install(place: Path) -> None:
    venv.create(place, with_pip=True)
    command: list[str | Path] = [
        place / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    ended = subprocess.run([*command, f"ziglang=={VERSION}"], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise once.not_installed(_WHAT.rstrip(","), ended.stderr.strip() or ended.stdout)


def _explain(source: Path, where: Path, told: str) -> str:
    """Return what the compiler says first, as one sentence with the author's file and line."""
    found = _MISTAKE.search(told)
    if found is None:
        lines = told.strip().splitlines() or ["the compiler says nothing"]
        return f"{source} does not compile: {lines[0].removeprefix('error: ')}"
    path, line, mistake = found.groups()
    return f"{where / path}:{line}: {mistake}"


def _relative(path: Path, where: Path) -> Path:
    return path.relative_to(where) if path.is_relative_to(where) else path
