"""Processes in Python: componentize-py puts an interpreter, `sdk/python` and the modules that a process imports into
one component.

The process is imported while it is built, and runs later from a picture of the memory after that: so what it needs must
be imported, and files beside it must be read, at the top of its modules. The same sources give the same bytes
everywhere: `same_memory` says how.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nectar_node.base.errors import DoesNotCompile
from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.toolchains import once, same_memory, sent_bytes

VERSION = "0.25.1"
"""Of componentize-py, with its CPython 3.14."""
_WHAT = f"componentize-py {VERSION}, which compiles Python"
_ZSTANDARD = "0.25.0"
"""Of what unpacks and packs the libc within the compiler."""
SDK = SDK_FOLDER / "python" / "nectar"
_WIT = SDK_FOLDER / "zig" / "wit"
_ENTRY = "nectar_entry"
"""The module that componentize-py is given: it imports the process and starts it."""
TOOLS = f"componentize-py-{VERSION}-{same_memory.MADE}"
"""The name of the folder with the compiler."""
_FRAMES = Path(__file__).with_name("zstd_frames.py")
_COMPILER = "import sys; from componentize_py import script; sys.exit(script())"
LIBC = "libc.wasm"
"""What the compiler's libc was before it was replaced."""
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 256 * 1024 * 1024
"""Free for the standard library and what is compiled, of which a compiler writes some 50 MB."""
_FRAME = re.compile(r'File "/0/([^"]+)", line (\d+)')
"""Of a traceback: the first folder of the path is the author's."""


def build(source: Path, output: Path) -> None:
    """Compile the process `source`, a Python file, with the modules beside it, to the component `output`.

    Raises DoesNotCompile, with the line of the author's file that is wrong; NoTools, if componentize-py cannot be
    installed; OSError.
    """
    source = source.resolve()
    if not source.is_file():
        raise DoesNotCompile(f"{source} is not a Python file.")
    if not source.stem.isidentifier() or source.suffix != ".py":
        raise DoesNotCompile(f"{source.name} cannot be imported: call it a name of letters, digits and _, with .py.")
    folders = (source.parent, SDK, _WIT)
    versions = f"{VERSION} {sent_bytes.MADE} {same_memory.MADE} {source.stem}"
    made = once.compiled(folders, versions, lambda place: _compile(source, place))
    once.deliver(made, output)


def bindings(folder: Path) -> None:
    """Write what a process can import of the interface into `folder`, as Python for people and type checkers."""
    subprocess.run([*_compiler(), "bindings", str(folder)], capture_output=True, check=True)


def _environment() -> Path:
    return once.tools(TOOLS, _install, f"{_WHAT}, from PyPI: once, 100 MB on the disk")


def _compiler() -> list[str | Path]:
    command: list[str | Path] = [_environment() / "bin" / "python", "-I", "-c", _COMPILER, "--quiet"]
    return [*command, "--wit-path", _WIT, "--world", "process"]


def _compile(source: Path, place: Path) -> None:
    libc = (_environment() / LIBC).read_bytes()
    with tempfile.TemporaryDirectory(dir=_ordered_folder()) as name:
        folder = Path(name)
        entry = folder / "entry"
        entry.mkdir()
        (entry / f"{_ENTRY}.py").write_text(f"import nectar._entry\nWitWorld = nectar._entry.world({source.stem!r})\n")
        # The compiler adds the modules that are installed where VIRTUAL_ENV says, or else those of some Python: none.
        (folder / "none" / "site-packages").mkdir(parents=True)
        command = [*_compiler(), "componentize", "--output", place]
        for path in (_copied(source.parent, folder / "process"), _copied(SDK, folder / "sdk" / "nectar").parent, entry):
            command += ["--python-path", path]
        variables = {**os.environ, "VIRTUAL_ENV": str(folder / "none"), "TMPDIR": str(folder)}
        ended = subprocess.run([*command, _ENTRY], env=variables, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        place.unlink(missing_ok=True)
        raise DoesNotCompile(_explain(source, ended.stderr))
    component = sent_bytes.free_sent_bytes(place.read_bytes())
    place.write_bytes(same_memory.with_own_libc(component, libc))


def _ordered_folder() -> str | None:
    """Return where files lie in the order in which they were written, if there is such a place: the interpreter keeps
    the names in a folder in the order in which the machine tells them."""
    return str(_MEMORY) if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES else None


def _copied(source: Path, target: Path) -> Path:
    """Copy sources in the order of their names, and nothing that was compiled of them; return where they are."""
    target.mkdir(parents=True)
    for path in once.source_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return target


def _install(place: Path) -> None:
    """Make an environment with the compiler alone in it; raises NoTools."""
    pip: list[str | Path] = [
        place / "bin" / "python",
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    venv: list[str | Path] = [sys.executable, "-m", "venv", place]
    for command in (venv, [*pip, f"componentize-py=={VERSION}", f"zstandard=={_ZSTANDARD}"]):
        _said(command)
    (library,) = place.glob("lib/*/site-packages/componentize_py/componentize_py*.so")
    script: list[str | Path] = [place / "bin" / "python", "-I", _FRAMES]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _said([*script, "take", library, folder])
        (packed,) = (each for each in folder.glob("*.wasm") if same_memory.is_libc(each.read_bytes()))
        shutil.copyfile(packed, place / LIBC)
        changed = folder / "changed"
        changed.write_bytes(same_memory.with_same_answers(packed.read_bytes()))
        _said([*script, "put", library, packed.stem, changed])
    if sys.platform == "darwin":  # whose loader wants a signature of what is in the file
        _said(["codesign", "--force", "--sign", "-", library])


def _said(command: list[str | Path]) -> None:
    """Run a step of the installation; raises NoTools."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        told = ended.stderr.strip() or ended.stdout
        raise once.not_installed(_WHAT, told)


def _explain(source: Path, text: str) -> str:
    """Return what a compiler's output says, as one sentence with the author's file and line."""
    told, _, rest = text.partition("\nCaused by:\n")
    reason = (rest or told.rstrip().rpartition("\n")[2]).lstrip().partition("\n")[0]
    reason = re.sub(r" \(\S+, line \d+\)$", "", reason)
    frames = _FRAME.findall(told)
    if not frames and "wasm backtrace" in reason:
        reason = "it asks the node for something while it is imported: do that in a handler, or in init."
    if not frames:
        return f"{source} does not compile: {reason}"
    name, line = frames[-1]
    return f"{source.parent / name}:{line}: {reason}"
