"""Every example of a guide, and of the comments in the SDKs, compiles, by the toolchain of its language."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nectar_node.toolchains import c, javascript, python, zig
from tests.languages.examples import SDK, Example, examples


@pytest.mark.parametrize(
    ("language", "beside_the_guide"),
    [
        ("c", ["sdk/c/nectar.h"]),
        ("zig", ["docs/writing-a-process.md", "sdk/zig/nectar.zig", "sdk/zig/vfs.zig"]),
        ("python", ["sdk/python/nectar/__init__.py", "sdk/python/nectar/sqlite.py"]),
        ("javascript", ["sdk/javascript/nectar.ts"]),
    ],
)
def test_examples_are_found_in_the_guide_and_in_comments(language: str, beside_the_guide: list[str]) -> None:
    found = examples(language)
    assert len([each for each in found if each.path == SDK / language / "README.md"]) >= 3
    assert set(beside_the_guide) - {str(each).rpartition(":")[0] for each in found} == set()
    assert len({each.name for each in found}) == len(found)


@pytest.mark.parametrize("example", examples("c"), ids=str)
def test_an_example_in_c_compiles(example: Example, tmp_path: Path) -> None:
    c.build(example.write(tmp_path), tmp_path / "example.wasm")


def test_the_examples_in_zig_compile(tmp_path: Path) -> None:
    names = [example.write(tmp_path).name for example in examples("zig")]
    uses = [f'    _ = &@import("{name}").init;\n' for name in names]
    head = 'const nectar = @import("nectar");\n\npub fn init(_: nectar.Address) void {\n'
    (tmp_path / "main.zig").write_text("".join([head, *uses, "}\n"]))
    zig.build(tmp_path / "main.zig", tmp_path / "main.wasm")


def test_the_examples_in_python_compile_and_their_types_are_right(tmp_path: Path) -> None:
    names = [example.write(tmp_path).stem for example in examples("python")]
    paths = f"{SDK / 'python'}:{SDK / 'python' / 'bindings'}"
    strict = ["mypy", "--strict", "--config-file=", "--python-version=3.11", *(f"{name}.py" for name in names)]
    ended = subprocess.run(
        [sys.executable, "-m", *strict],
        cwd=tmp_path,
        env={"MYPYPATH": paths, "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    # One process has them all, so that there is one interpreter to be made; each of them has a handler of its own.
    main = f"""
import nectar
from nectar import http, node
from nectar._entry import world


def forget():
    node._handler = None
    for each in (node._starters, node._sources, http._bindings):
        each.clear()


for name in {names}:
    world(name)
    forget()


@nectar.on_request
def answer(request):
    return None
"""
    (tmp_path / "main.py").write_text(main)
    python.build(tmp_path / "main.py", tmp_path / "main.wasm")


def test_the_examples_in_javascript_compile_and_their_types_are_right(tmp_path: Path) -> None:
    found = [example.write(tmp_path).name for example in examples("javascript")]
    imports = [f'import * as part{number} from "./{name}";\n' for number, name in enumerate(found)]
    kept = ", ".join(f"part{number}" for number in range(len(found)))
    (tmp_path / "main.ts").write_text("".join([*imports, f"export const parts = [{kept}];\n"]))
    settings = {
        "extends": str(javascript.SDK / "tsconfig.json"),
        "include": [f"{javascript.SDK}/*.d.ts", "*.ts", "*.js"],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps(settings))
    assert javascript.check_types(tmp_path / "tsconfig.json") == ""
    javascript.build(tmp_path / "main.ts", tmp_path / "main.wasm")
