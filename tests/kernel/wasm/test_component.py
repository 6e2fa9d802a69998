from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.wasm.component import Import, core_module_untrusted, exports_untrusted, imports_untrusted

GUESTS = Path(__file__).parents[2] / "guests"
CORE = (GUESTS / "echo.wasm").read_bytes()
COMPONENT = (GUESTS / "echo.component.wasm").read_bytes()
CORE_HEADER, COMPONENT_HEADER = CORE[:8], COMPONENT[:8]
EVERY_KIND = """(module
  (import "m" "f" (func (param i64)))
  (import "m" "t" (table 1 2 funcref))
  (import "m" "mem" (memory 1 2))
  (import "m" "g" (global (mut i32))))"""


def leb(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def section(number: int, body: bytes) -> bytes:
    return bytes([number]) + leb(len(body)) + body


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
    assert imports_untrusted(CORE_HEADER) == []


def test_the_names_of_exports_are_listed() -> None:
    assert exports_untrusted(CORE) >= {"memory", "init", "cabi_realloc"}
    assert exports_untrusted(CORE_HEADER) == set()


@pytest.mark.parametrize("wasm", [b"", b"\0asm", b"MZ" + bytes(100), b"\0asm\x02\0\0\0", b"\0asm\x0d\0\x02\0"])
def test_what_is_no_known_wasm_is_refused(wasm: bytes) -> None:
    with pytest.raises(BadModule, match="neither"):
        core_module_untrusted(wasm)


@pytest.mark.parametrize("length", [9, 10, 50, len(CORE) - 1])
def test_a_truncated_module_is_refused(length: int) -> None:
    with pytest.raises(BadModule, match="cut off"):
        core_module_untrusted(CORE[:length])


@pytest.mark.parametrize("length", [9, 30, 2000, len(COMPONENT) - 1])
def test_a_truncated_component_is_refused(length: int) -> None:
    with pytest.raises(BadModule, match="cut off"):
        core_module_untrusted(COMPONENT[:length])


def test_a_section_that_claims_four_gigabytes_is_refused() -> None:
    with pytest.raises(BadModule, match="4294967295 more bytes"):
        core_module_untrusted(COMPONENT_HEADER + b"\x01" + leb(2**32 - 1) + CORE)


def test_a_size_of_more_than_32_bits_is_refused() -> None:
    with pytest.raises(BadModule, match="more than 32 bits"):
        core_module_untrusted(COMPONENT_HEADER + b"\x01" + b"\xff" * 5 + CORE)


def test_a_component_without_a_core_module_is_refused() -> None:
    nested = section(4, COMPONENT)
    with pytest.raises(BadModule, match="embeds no core module"):
        core_module_untrusted(COMPONENT_HEADER + nested * 3)


def test_a_component_as_a_core_module_is_refused() -> None:
    with pytest.raises(BadModule, match="unknown version"):
        core_module_untrusted(COMPONENT_HEADER + section(1, COMPONENT))


def test_a_truncated_module_within_a_whole_component_is_refused() -> None:
    with pytest.raises(BadModule, match="cut off"):
        core_module_untrusted(COMPONENT_HEADER + section(1, CORE[:-5]))


def test_a_file_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(BadModule, match=f"more than {limits.MAX_MODULE_BYTES}"):
        core_module_untrusted(CORE_HEADER + bytes(limits.MAX_MODULE_BYTES))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (leb(5000), "5000 imports"),
        (leb(1) + leb(5000) + bytes(6000), "a name of 5000 bytes"),
        (leb(1) + leb(2) + b"\xff\xff" + leb(0) + b"\0\0", "not UTF-8"),
        (leb(1) + leb(1) + b"m" + leb(1) + b"f" + b"\x09", "m f is imported as something unknown"),
        (leb(3) + leb(1) + b"m" + leb(1) + b"f" + b"\0\0", "cut off"),
    ],
)
def test_a_malformed_import_section_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadModule, match=reason):
        imports_untrusted(CORE_HEADER + section(2, body))


@given(st.binary(max_size=200), st.sampled_from([CORE_HEADER, COMPONENT_HEADER, COMPONENT_HEADER + b"\x01\x60"]))
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
