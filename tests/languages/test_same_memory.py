"""What compilers give a process while they load it: the same everywhere, and the node's own once it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.wasm.binary.module import sections_untrusted
from nectar_node.base.errors import DoesNotCompile
from nectar_node.contract.config import user_cache
from nectar_node.toolchains import javascript, module_edits, python, same_memory

TOLD = """
import os, time, nectar
raise TypeError(f"{time.time():.0f} {os.urandom(4).hex()} {os.stat(__file__).st_mtime:.0f} {hash('x')}")
"""


def test_the_time_stands_still_and_chance_is_none_while_a_module_in_python_is_imported(tmp_path: Path) -> None:
    told = set()
    for name in ("one", "other"):
        source = tmp_path / name / "process.py"
        source.parent.mkdir()
        source.write_text(TOLD)
        with pytest.raises(DoesNotCompile, match="TypeError: 1577836800 00000000 0 ") as caught:
            python.build(source, tmp_path / "never.wasm")
        told.add(str(caught.value).replace(f"{source}", ""))
    assert len(told) == 1


def test_what_has_been_compiled_calls_libcs_own_functions(tmp_path: Path) -> None:
    source = tmp_path / "process.py"
    source.write_text("import nectar\n@nectar.on_request\nasync def ask(request: nectar.Request) -> None: ...\n")
    python.build(source, tmp_path / "process.wasm")
    component = (tmp_path / "process.wasm").read_bytes()
    modules = [component[start:end] for number, start, end in sections_untrusted(component) if number == 1]
    (libc,) = (each for each in modules if same_memory.is_libc(each))
    tools = user_cache("toolchains")
    assert tools is not None
    own = module_edits.function_exports((tools / python.TOOLS / python.LIBC).read_bytes())
    exported = module_edits.function_exports(libc)
    for name in ("getentropy", "clock_gettime", "stat", "readdir"):
        assert exported[name].number == own[name].number


def test_the_time_stands_still_while_a_module_in_javascript_is_loaded(tmp_path: Path) -> None:
    source = tmp_path / "process.js"
    source.write_text("throw new TypeError(`${Date.now()}`);\nexport function init() {}\n")
    with pytest.raises(DoesNotCompile, match="1577836800000"):
        javascript.build(source, tmp_path / "never.wasm")
