from __future__ import annotations

import pytest
import wasmtime

from kernel.wasm.adapter import FILE_FUNCTIONS, FILES_WAT, adapter_wasm, needs_adapter
from kernel.wasm.binary.module import imports_untrusted
from kernel.wasm.canonical.wit import INTERFACES


@pytest.mark.parametrize("module", INTERFACES)
def test_it_exports_what_leaves_effects_or_returns_through_memory_and_nothing_else_of_the_interface(
    module: str,
) -> None:
    interface = INTERFACES[module]
    adapter = wasmtime.Module(wasmtime.Engine(), adapter_wasm(interface))
    functions = {function.name for function in interface.functions if needs_adapter(function)}
    assert {export.name for export in adapter.exports} == {*functions, "run", *FILE_FUNCTIONS}
    assert {"send-request", "send-response", "print-to-terminal", "receive"} < functions
    assert not {"set-state", "clear-state", "has-blob"} & functions


def test_it_imports_from_the_host_alone() -> None:
    imports = imports_untrusted(adapter_wasm(INTERFACES["nectar:process/standard@0.7.0"]))
    assert {item.module for item in imports} == {"host"}


def test_the_table_of_the_guests_functions_is_out_of_reach() -> None:
    adapter = wasmtime.Module(wasmtime.Engine(), adapter_wasm(INTERFACES["kinode:process/standard@1.0.0"]))
    assert {type(export.type) for export in adapter.exports} == {wasmtime.FuncType}


def test_the_file_writer_shows_wasi_the_guests_memory() -> None:
    writer = wasmtime.Module(wasmtime.Engine(), bytes(wasmtime.wat2wasm(FILES_WAT)))
    assert {export.name for export in writer.exports} == {"memory", *FILE_FUNCTIONS}
