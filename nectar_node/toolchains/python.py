"""Processes in Python: componentize-py puts an interpreter, `sdk/python` and the modules that a process imports into
one component.

The process is imported while it is built, and runs later from a picture of the memory after that: so what it needs must
be imported, and files beside it must be read, at the top of its modules.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from nectar_node.base.errors import DoesNotCompile
from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.toolchains import once, sent_bytes

VERSION = "0.25.1"
"""Of componentize-py, with its CPython 3.14."""
SDK = SDK_FOLDER / "python" / "nectar"
_WIT = SDK_FOLDER / "zig" / "wit"
_ENTRY = "nectar_entry"
"""The module that componentize-py is given: it imports the process and starts it."""
_COMPILER = "import sys; from componentize_py import script; sys.exit(script())"
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
    made = once.compiled(folders, f"{VERSION} {sent_bytes.MADE} {source.stem}", lambda place: _compile(source, place))
    once.deliver(made, output)


def bindings(folder: Path) -> None:
    """Write what a process can import of the interface into `folder`, as Python for people and type checkers."""
    subprocess.run([*_compiler(), "bindings", str(folder)], capture_output=True, check=True)


def _compiler() -> list[str | Path]:
    environment = once.tools(f"componentize-py-{VERSION}", _install)
    command: list[str | Path] = [environment / "bin" / "python", "-I", "-c", _COMPILER, "--quiet"]
    return [*command, "--wit-path", _WIT, "--world", "process"]


def _compile(source: Path, place: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{_ENTRY}.py").write_text(f"import nectar._entry\nWitWorld = nectar._entry.world({source.stem!r})\n")
        # The compiler adds the modules that are installed where VIRTUAL_ENV says, or else those of some Python: none.
        (folder / "none" / "site-packages").mkdir(parents=True)
        command = [*_compiler(), "componentize", "--output", place]
        command += [part for path in (source.parent, SDK.parent, folder) for part in ("--python-path", path)]
        variables = {**os.environ, "VIRTUAL_ENV": str(folder / "none")}
        ended = subprocess.run([*command, _ENTRY], env=variables, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        place.unlink(missing_ok=True)
        raise DoesNotCompile(_explain(source, ended.stderr))
    place.write_bytes(sent_bytes.free_sent_bytes(place.read_bytes()))


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
    for command in (venv, [*pip, f"componentize-py=={VERSION}"]):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise once.not_installed(
                f"componentize-py {VERSION}, which compiles Python", ended.stderr.strip() or ended.stdout
            )


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
