"""G25: a corrupt, truncated, huge or malicious file fails its start, in bounded time and memory; never the node."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.contract.errors import BadModule
from kernel.contract.guest import End, GuestConfig, Poll
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import GUESTS, MEMORY, OUR, arrival, poll
from tests.kernel.wasm.modules import (
    COMPONENT_HEADER,
    END,
    HEADER,
    INIT,
    NOTHING,
    REALLOC,
    leb,
    nested,
    program,
    section,
    sized,
    vector,
)
from tests.seeds import examples

REAL = [(GUESTS / name).read_bytes() for name in ("echo.component.wasm", "echo.wasm", "output.wasm")]
MAX = 2**32 - 1
PATIENCE = 30
"""Seconds that the slowest of these may take on a loaded machine; they take one."""


def nested_components(depth: int) -> bytes:
    """A component in a component in a component."""
    wasm = COMPONENT_HEADER
    for _ in range(depth):
        wasm = COMPONENT_HEADER + section(4, wasm)
    return wasm


REFUSED = {
    "a section longer than the file": HEADER + b"\x01" + leb(MAX) + b"\0",
    "a length of more than 32 bits": HEADER + b"\x01" + b"\xff" * 9 + b"\x01",
    "a length without an end": HEADER + b"\x01" + b"\x80" * 100,
    "a million empty sections": HEADER + b"\x01\0" * 1_000_000,
    "a million empty sections in a component": COMPONENT_HEADER + b"\x04\0" * 1_000_000,
    "four billion functions": program(function=leb(MAX)),
    "four billion types": program(type=leb(MAX)),
    "four billion imports": program(imports=leb(MAX)),
    "four billion exports": program(export=leb(MAX)),
    "four billion locals": program([b"\x01" + leb(MAX) + b"\x7e" + END]),
    "four billion locals in two groups": program([b"\x02" + (leb(2**31) + b"\x7e") * 2 + END]),
    "fifty thousand and one locals": program([b"\x01" + leb(50_001) + b"\x7e" + END]),
    "a function of eight megabytes": program([b"\0" + b"\x01" * 8_000_000 + END]),
    "blocks that never end": program([b"\0" + b"\x02\x40" * 1000 + END]),
    "a hundred thousand exports": program(export=vector([sized(b"%x" % i) + b"\0\0" for i in range(100_000)])),
    "five thousand imports": program(imports=leb(5000) + (sized(b"m") + sized(b"f") + b"\0\0") * 5000),
    "an import's name that is no text": program(imports=b"\x01" + sized(b"\xff\xfe") + sized(b"f") + b"\0\0"),
    "an export's name that is no text": program(export=vector([sized(b"\xff\xfe") + b"\0\0"])),
    "data of four gigabytes": program(data=b"\x01\0\x41\0\x0b" + leb(MAX)),
    "a table of four billion elements": program(table=b"\x01\x70\0" + leb(MAX) + b"\0" * 3),
    "a memory beyond four gigabytes": program(memory=b"\x01\0" + leb(70_000)),
    "two memories": program(memory=vector([b"\0\x01", b"\0\x01"])),
    "a start function that takes parameters": program(start=b"\x01"),
    "the same section twice": program() + section(1, vector([NOTHING, REALLOC, INIT])),
    "a component without a core module": COMPONENT_HEADER,
    "components in each other": nested_components(1000),
    "a component that embeds what is no module": COMPONENT_HEADER + section(1, b"\0" * 100),
    "code that is missing": program(code=b"\0"),
}


@pytest.mark.parametrize("wasm", REFUSED.values(), ids=REFUSED)
def test_g25_a_hostile_file_is_refused_in_one_sentence(replayable: Engine, wasm: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BadModule) as caught:
        replayable.load(wasm)
    assert "\n" not in str(caught.value)
    assert time.process_time() - began < PATIENCE


@pytest.mark.parametrize(
    "wasm",
    [
        program([nested(b"\x02\x40", 100_000)]),
        program([b"\x01" + leb(50_000) + b"\x7e" + END] * 10),
        program([b"\0" + END] * 10_000),
    ],
    ids=["blocks in each other", "half a million locals", "many functions"],
)
def test_g25_what_is_odd_but_valid_runs(replayable: Engine, wasm: bytes) -> None:
    guest = replayable.load(wasm).start(GuestConfig(OUR, MEMORY))
    assert guest_ends(guest) == End(None)


def guest_ends(guest: object) -> End | None:
    assert isinstance(guest, Fiber)
    assert poll(guest) is Poll.ENDED
    return guest.end


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (program(data=b"\x01\0\x41" + leb(0x7F) + b"\x0b" + sized(b"x")), "out of bounds memory access"),
        (program(memory=b"\x01\0" + leb(65_536)), "memory minimum size"),
        (program(table=b"\x01\x70\0" + leb(1 << 24)), "table minimum size"),
        (program([b"\0\0" + END], start=b"\x02"), "unreachable"),
    ],
    ids=["data outside the memory", "more memory than it may have", "a huge table", "a start function that traps"],
)
def test_g25_a_program_that_cannot_be_instantiated_ends_at_its_start(
    replayable: Engine, wasm: bytes, reason: str
) -> None:
    end = guest_ends(replayable.load(wasm).start(GuestConfig(OUR, MEMORY)))
    assert end is not None
    assert reason in str(end.trap)


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_g25_whatever_is_done_to_a_real_guest_only_bad_module_leaves(data: st.DataObject) -> None:
    wasm = bytearray(data.draw(st.sampled_from(REAL)))
    for _ in range(data.draw(st.integers(1, 6))):
        mutate(data, wasm)
    with suppress(BadModule):
        guest = MUTANTS.load(bytes(wasm)).start(GuestConfig(OUR, MEMORY, entropy=bytes, clock=lambda: 0))
        for _ in range(4):
            if guest.poll() is Poll.RECEIVE:
                guest.resume(arrival(b"body"))
            guest.effects.clear()
        guest.close()


MUTANTS = Engine(None, replayable=True)


def mutate(data: st.DataObject, wasm: bytearray) -> None:
    at = data.draw(st.integers(8, max(8, len(wasm) - 1)))
    match data.draw(st.integers(0, 4)):
        case 0:
            wasm[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
        case 1:
            del wasm[at : at + data.draw(st.integers(1, 64))]
        case 2:
            wasm[at:at] = data.draw(st.binary(min_size=1, max_size=16))
        case 3:
            wasm[at : at + 5] = b"\xff\xff\xff\xff\x0f"
        case 4:
            length = data.draw(st.integers(1, 200))
            wasm[at:at] = wasm[at : at + length]
