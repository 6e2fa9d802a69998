from __future__ import annotations

from contextlib import suppress

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.wasm.binary.module import Import, core_module_untrusted, exports_untrusted, imports_untrusted
from tests.kernel.wasm.guests import GUESTS
from tests.kernel.wasm.modules import COMPONENT_HEADER, HEADER, leb, section

CORE = (GUESTS / "echo.wasm").read_bytes()
COMPONENT = (GUESTS / "echo.component.wasm").read_bytes()
EVERY_KIND = """(module
  (import "m" "f" (func (param i64)))
  (import "m" "t" (table 1 2 funcref))
  (import "m" "mem" (memory 1 2))
  (import "m" "g" (global (mut i32))))"""


def test_a_core_module_is_taken_as_it_is() -> None:
    assert core_module_untrusted(CORE) is CORE


def test_of_a_component_the_main_core_module_is_taken() -> None:
    names = {item.name for item in imports_untrusted(core_module_untrusted(COMPONENT))}
    assert names == {"receive", "send-request", "send-response"}


def test_imports_are_listed_with_their_kinds() -> None:
    module = bytes(wasmtime.wat2wasm(EVERY_KIND))
    assert imports_untrusted(module) == [
        Import("m", "f", "function"),
        Import("m", "t", "table"),
        Import("m", "mem", "memory"),
        Import("m", "g", "global"),
    ]


def test_a_module_without_imports_has_none() -> None:
    assert imports_untrusted(HEADER) == []


def test_the_names_of_exports_are_listed() -> None:
    assert exports_untrusted(CORE) >= {"memory", "init", "cabi_realloc"}
    assert exports_untrusted(HEADER) == set()


def cut(wasm: bytes, *lengths: int) -> list[tuple[bytes, str]]:
    """The same file, cut off after so many bytes."""
    return [(wasm[:length], "cut off") for length in (*lengths, len(wasm) - 1)]


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        *((wasm, "neither") for wasm in (b"", b"\0asm", b"MZ" + bytes(100), b"\0asm\x02\0\0\0", b"\0asm\x0d\0\x02\0")),
        *cut(CORE, 9, 10, 50),
        *cut(COMPONENT, 9, 30, 2000),
        (COMPONENT_HEADER + section(1, CORE[:-5]), "cut off"),
        (COMPONENT_HEADER + b"\x01" + leb(2**32 - 1) + CORE, "4294967295 more bytes"),
        (COMPONENT_HEADER + b"\x01" + b"\xff" * 5 + CORE, "more than 32 bits"),
        (COMPONENT_HEADER + section(4, COMPONENT) * 3, "embeds no core module"),
        (COMPONENT_HEADER + section(1, COMPONENT), "unknown version"),
    ],
)
def test_what_is_not_a_whole_module_or_component_is_refused_and_why(wasm: bytes, reason: str) -> None:
    with pytest.raises(BadModule, match=reason):
        core_module_untrusted(wasm)


def test_a_file_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(BadModule, match=f"more than {limits.MAX_MODULE_BYTES}"):
        core_module_untrusted(HEADER + bytes(limits.MAX_MODULE_BYTES))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (leb(5000), "5000 imports"),
        (leb(1) + leb(5000) + bytes(6000), "a name of 5000 bytes"),
        (leb(1) + leb(2) + b"\xff\xff" + leb(0) + b"\0\0", "not UTF-8"),
        (leb(1) + leb(1) + b"m" + leb(1) + b"f" + b"\x09", "'f' of 'm' is imported as something unknown"),
        (leb(3) + leb(1) + b"m" + leb(1) + b"f" + b"\0\0", "cut off"),
    ],
)
def test_a_malformed_import_section_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadModule, match=reason):
        imports_untrusted(HEADER + section(2, body))


@given(st.binary(max_size=200), st.sampled_from([HEADER, COMPONENT_HEADER, COMPONENT_HEADER + b"\x01\x60"]))
def test_only_bad_module_leaves_whatever_the_bytes(tail: bytes, head: bytes) -> None:
    with suppress(BadModule):
        core = core_module_untrusted(head + tail)
        imports_untrusted(core)
        exports_untrusted(core)


@given(st.integers(0, len(COMPONENT) - 1), st.integers(0, 255))
def test_only_bad_module_leaves_whichever_byte_is_changed(at: int, byte: int) -> None:
    changed = bytearray(COMPONENT)
    changed[at] = byte
    with suppress(BadModule):
        core = core_module_untrusted(bytes(changed))
        imports_untrusted(core)
        exports_untrusted(core)
