"""Addresses that guests name again and again are made once, as long as they are of a usual size."""

from __future__ import annotations

import struct

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.wasm.canonical.kept import KEPT_BYTES
from kernel.wasm.canonical.lift import compile_lift
from kernel.wasm.canonical.lower import ALIGNMENT_BITS, compile_lower
from kernel.wasm.canonical.wit import ADDRESS, Function, Kind

PROCESSES = 10_000
"""As `make scale` has at most."""
LIFT = compile_lift(Function("named", Kind.EMIT, (("address", ADDRESS),)), 8, 0)
LOWER = compile_lower(ADDRESS, "named")


class Counted(str):
    """A name that counts how often it is encoded."""

    times = 0

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        self.times += 1
        return super().encode(encoding, errors)


def address(name: str) -> Address:
    return Address("a.nec", ProcessId(name, "ring", "sys"))


def lifted(name: str) -> Address:
    texts = ["a.nec", name, "ring", "sys"]
    begins = [len("".join(texts[:number])) for number in range(len(texts))]
    numbers = [number for at, text in zip(begins, texts, strict=True) for number in (at, len(text))]
    ((value,), _, _) = LIFT(memoryview("".join(texts).encode()), struct.pack("<8Q", *numbers))
    assert isinstance(value, Address)
    return value


def lowered(value: Address) -> bytes:
    """The bytes of all names, as they are placed one behind the other."""
    answer, memory, heap = LOWER(value, 0), bytearray(8192), 32
    places = []
    for code in answer.codes:
        places.append(heap)
        heap += code >> ALIGNMENT_BITS
    assert answer.place_untrusted(memoryview(memory), tuple(places))
    return bytes(memory[32:heap])


def test_a_round_through_ten_thousand_processes_makes_no_address_a_second_time() -> None:
    first, again = ([lifted(f"{number:05d}") for number in range(PROCESSES)] for _ in range(2))
    assert sum(one is not other for one, other in zip(first, again, strict=True)) == 0


def test_a_round_through_ten_thousand_processes_encodes_no_address_a_second_time() -> None:
    names = [Counted(f"{number:05d}") for number in range(PROCESSES)]
    for _ in range(2):
        for name in names:
            assert lowered(address(name)) == f"a.nec{name}ringsys".encode()
    assert sum(name.times for name in names) <= PROCESSES


@pytest.mark.parametrize("size", [KEPT_BYTES, 1000])
def test_an_address_of_long_names_arrives_whole_and_is_not_kept(size: int) -> None:
    name = Counted("x" * size)
    assert lifted(name) == address(name)
    assert lifted(name) is not lifted(name)
    name.times = 0
    for _ in range(2):
        assert lowered(address(name)) == f"a.nec{'x' * size}ringsys".encode()
    assert name.times == 2
