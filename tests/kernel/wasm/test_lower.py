from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.contract.address import Address
from kernel.contract.capability import Capability
from kernel.contract.errors import GuestTrap
from kernel.contract.guest import Arrival
from kernel.contract.message import Request
from kernel.wasm.canonical import wit
from kernel.wasm.canonical.lower import ALIGNMENT_BITS, BATCH, Lowered, Plain, compile_lower, lower_text
from kernel.wasm.canonical.wit import INTERFACES, Bytes, List, Record, Type
from tests.kernel.wasm import reference
from tests.seeds import examples

TARGET = 1024
SOURCE = Address.parse("our.nec@peer:test:sys")
MANY = List(Bytes(100), 100)


def settle(lowered: Lowered | Plain, memory: reference.Memory) -> None:
    """What the adapter does, in Python."""
    done = False
    while not done:
        codes = lowered.codes
        assert len(codes) <= BATCH
        addresses = [memory.allocate(1 << (code & 3), code >> ALIGNMENT_BITS) for code in codes]
        done = lowered.place_untrusted(memoryview(memory.data), tuple(addresses))


def test_a_list_of_more_pieces_than_a_batch_comes_in_several() -> None:
    value = tuple(bytes([i]) * i for i in range(3 * BATCH))
    lowered = compile_lower(MANY, "many")(value, TARGET)
    memory = reference.Memory(bytearray(1 << 16), 4096)
    assert len(lowered.codes) == BATCH
    settle(lowered, memory)
    assert reference.load(memory, MANY, TARGET) == value


@pytest.mark.parametrize("buffer", [bytearray(b"blob"), memoryview(b"blob"), memoryview(b"xblobx")[1:5]])
def test_any_buffer_is_taken_as_it_is(buffer: bytearray | memoryview) -> None:
    memory = reference.Memory(bytearray(8192), 4096)
    settle(compile_lower(Bytes(10), "bytes")(buffer, TARGET), memory)
    assert reference.load(memory, Bytes(10), TARGET) == b"blob"


@pytest.mark.parametrize(
    ("metadata", "capabilities", "shape"),
    [(None, (), Plain), ('{"a": 1}', (), Lowered), (None, (Capability(SOURCE, '"messaging"'),), Lowered)],
)
def test_a_message_without_metadata_and_capabilities_is_placed_by_generated_code(
    metadata: str | None, capabilities: tuple[Capability, ...], shape: type
) -> None:
    receive = INTERFACES["nectar:process/standard@0.7.0"].function("receive")
    assert receive
    assert receive.result
    arrival = Arrival(SOURCE, Request(False, 7, b"body", metadata, capabilities), None, None)
    lowered = compile_lower(receive.result, "receive", receive.present)(arrival, TARGET)
    assert type(lowered) is shape
    memory = reference.Memory(bytearray(8192), 4096)
    settle(lowered, memory)
    plain = ("our.nec", ("peer", "test", "sys"))
    listed = tuple((plain, each.params) for each in capabilities)
    expected = (0, (plain, (0, (False, 7, b"body", metadata, listed))))
    assert reference.load(memory, receive.result, TARGET) == expected


def test_an_empty_string_asks_for_a_place_too() -> None:
    assert compile_lower(Bytes(10), "bytes")(b"", TARGET).codes == (0,)


def test_the_text_of_init_is_one_piece() -> None:
    assert lower_text(b"our").codes == [3 << ALIGNMENT_BITS]


@pytest.mark.parametrize(
    ("kind", "value", "target", "places", "reason"),
    [
        (Bytes(10), b"1234", TARGET, (4093,), "outside the memory"),
        (Bytes(10), b"", 4092, (0,), "outside the memory"),
        (Bytes(10), b"", 1026, (0,), "not aligned"),
        (MANY, (b"x",), TARGET, (2050, 100), "not aligned"),
    ],
    ids=["a place beyond the memory", "a target beyond it", "an unaligned target", "an unaligned place for a list"],
)
def test_places_where_nothing_can_lie_trap(
    kind: Type, value: object, target: int, places: tuple[int, ...], reason: str
) -> None:
    lowered = compile_lower(kind, "any")(value, target)
    with pytest.raises(GuestTrap, match=reason):
        lowered.place_untrusted(memoryview(bytearray(4096)), places)


def test_after_the_memory_has_grown_the_same_call_succeeds() -> None:
    lowered = compile_lower(Bytes(10), "bytes")(b"1234", TARGET)
    with pytest.raises(GuestTrap):
        lowered.place_untrusted(memoryview(bytearray(4096)), (5000,))
    memory = bytearray(8192)
    assert lowered.place_untrusted(memoryview(memory), (5000,))
    assert memory[5000:5004] == b"1234"


@settings(max_examples=examples(60))
@given(data=st.data())
def test_only_a_guest_trap_leaves_whatever_places_a_guest_gives(data: st.DataObject) -> None:
    kind = Record((("a", MANY), ("b", List(wit.CAPABILITY, 10))), tuple)
    value = data.draw(reference.plain(kind))
    lowered = compile_lower(kind, "any")(value, data.draw(st.integers(0, 2**32 - 1) | st.integers(0, 300)))
    places = st.integers(0, 600) | st.integers(0, 2**32 - 1)
    memory = memoryview(bytearray(512))
    with suppress(GuestTrap):
        while not lowered.place_untrusted(memory, tuple(data.draw(places) for _ in lowered.codes)):
            pass
