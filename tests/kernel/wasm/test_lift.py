from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.contract import limits
from kernel.contract.errors import GuestLimit, GuestTrap
from kernel.contract.guest import Print
from kernel.wasm.canonical.abi import layout, signature
from kernel.wasm.canonical.lift import Lift, compile_lift
from kernel.wasm.canonical.wit import INTERFACES, Function, List
from tests.seeds import SOAK

FUNCTIONS = {
    f"{module.split(':')[0]} {module[-5:]} {function.name}": function
    for module, interface in INTERFACES.items()
    for function in interface.functions
}
DISTINCT = {function: name for name, function in FUNCTIONS.items()}.values()
"""Versions share most functions."""
LIFTS = {name: compile_lift(function, 8, 0) for name, function in FUNCTIONS.items()}
NECTAR = INTERFACES["nectar:process/standard@0.7.0"]
EXAMPLES = 500 if SOAK else 15
"""For each function."""


def of_nectar(name: str) -> tuple[Function, Lift]:
    function = NECTAR.function(name)
    assert function
    return function, compile_lift(function, 8, 0)


def raw(numbers: list[int]) -> bytes:
    return b"".join(struct.pack("<Q", number) for number in numbers)


def lifted(name: str, *numbers: int, memory: bytes = bytes(65536)) -> object:
    value, _, _ = of_nectar(name)[1](bytes(memory), raw(list(numbers)), 0)
    return value


def with_address(at: int = 1024) -> bytearray:
    memory = bytearray(65536)
    struct.pack_into("<8I", memory, at, 8, 1, 8, 1, 8, 1, 8, 1)
    memory[8] = ord("a")
    return memory


@pytest.mark.parametrize("name", DISTINCT)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_only_a_guest_trap_leaves_whatever_a_guest_passes(name: str, data: st.DataObject) -> None:
    small = st.integers(0, 300)
    number = st.one_of(small, small, st.integers(0, 2**32 - 1))
    memory = bytearray(data.draw(st.binary(min_size=256, max_size=256)))
    # Mostly small numbers, so that many of the pointers in it are valid.
    for at in range(0, 256, 4):
        struct.pack_into("<I", memory, at, data.draw(number))
    numbers = [data.draw(number) for _ in signature(FUNCTIONS[name]).params]
    with suppress(GuestTrap):
        LIFTS[name](bytes(memory), raw(numbers), 0)


@pytest.mark.parametrize(
    ("name", "numbers", "reason"),
    [
        *(
            ("print-to-terminal", (0, pointer, 8), "message lies outside the memory")
            for pointer in (65529, 65536, 2**31, 2**32 - 4, 2**32 - 1)
        ),
        ("send-request", (65536 - 64,), "the parameters lies outside"),
        ("send-request", (1025,), "the parameters is not aligned"),
        ("save-capabilities", (1026, 1), "caps is not aligned"),
        ("set-on-exit", (3, 0, 0), "on-exit has no case 3"),
        ("set-on-exit", (256, 0, 0), "no case 256"),  # which is not cut down to a valid one
    ],
)
def test_numbers_that_mean_nothing_trap(name: str, numbers: tuple[int, ...], reason: str) -> None:
    with pytest.raises(GuestTrap, match=reason):
        lifted(name, *numbers)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\xed\xa0\x80"])
def test_text_that_is_not_utf_8_or_has_a_surrogate_traps(text: bytes) -> None:
    with pytest.raises(GuestTrap, match="message is not UTF-8"):
        lifted("print-to-terminal", 0, 0, len(text), memory=text + bytes(100))


def test_an_empty_string_at_the_end_of_memory_is_fine() -> None:
    assert lifted("print-to-terminal", 0, 65536, 0) == (0, "")


def test_any_nonzero_bool_is_true() -> None:
    spawn = lifted("spawn", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77, 0)
    assert spawn[5] is True  # type: ignore[index]


def test_a_u8_keeps_its_low_bits() -> None:
    assert lifted("print-to-terminal", 0x1FF, 0, 0) == (255, "")


def test_a_body_beyond_its_limit_traps_before_it_is_copied() -> None:
    memory = with_address()
    struct.pack_into("<B15xII", memory, 1024 + 40, 0, 0, limits.MAX_BODY_BYTES + 1)
    with pytest.raises(GuestLimit, match=r"bytes of request\.body: 10485761 exceeds the limit of 10485760"):
        lifted("send-request", 1024, memory=bytes(memory))


def test_a_name_beyond_its_limit_traps() -> None:
    memory = with_address()
    struct.pack_into("<II", memory, 1024, 0, limits.MAX_NAME_BYTES + 1)
    with pytest.raises(GuestLimit, match="bytes of target"):
        lifted("send-request", 1024, memory=bytes(memory))


def test_too_many_list_elements_trap() -> None:
    with pytest.raises(GuestLimit, match="elements of caps: 1025"):
        lifted("save-capabilities", 0, limits.MAX_CAPABILITIES + 1)


def test_many_elements_that_share_one_large_body_are_bounded_together() -> None:
    ((_, requests),) = of_nectar("send-requests")[0].params
    assert isinstance(requests, List)
    size, body = layout(requests.of).size, 32 + 24
    memory = bytearray(limits.MAX_BODY_BYTES)
    for i in range(20):
        struct.pack_into("<II", memory, i * size + body, 0, limits.MAX_BODY_BYTES)
    with pytest.raises(GuestLimit, match="bytes within requests"):
        lifted("send-requests", 0, 20, memory=bytes(memory))


def test_an_overlong_print_is_cut_at_a_character() -> None:
    text = "€" * limits.MAX_PRINT_BYTES
    memory = text.encode()
    printed = lifted("print-to-terminal", 0, 0, len(memory), memory=memory)
    assert printed == Print(0, "€" * (limits.MAX_PRINT_BYTES // 3))


def test_the_size_is_the_number_of_string_bytes() -> None:
    _, size, _ = of_nectar("set-state")[1](bytes(100), raw([10, 50]), 0)
    assert size == 50


def test_equal_addresses_are_one_object() -> None:
    memory = bytes(with_address())
    first, second = (lifted("send-request", 1024, memory=memory) for _ in range(2))
    assert first[0] is second[0]  # type: ignore[index]
