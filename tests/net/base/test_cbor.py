"""CBOR from peers: what the protocol needs is read, everything else raises one error before anything is built."""

from __future__ import annotations

import tracemalloc

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor
from tests.seeds import examples

VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=300)
    | st.text(st.characters(codec="utf-8"), max_size=300),
    lambda inner: st.lists(inner, max_size=30),
    max_leaves=30,
)
TAGS = [0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 1004, 43000, 55799, 99999]
INDEFINITE = [b"\x9f\x00\xff", b"\x5f\x41a\xff", b"\x7f\x61a\xff"]
FILLING = bytes(40)
"""Elements behind an item under test, so that there is more than may go uncounted."""


@settings(max_examples=examples(40))
@given(VALUE)
def test_what_the_protocol_needs_is_read_whether_its_items_are_counted_or_not(value: object) -> None:
    data = cbor2.dumps(value)
    assert loads_untrusted(data, items=max(len(data), 1), depth=100) == value
    if len(data) > 100:
        assert loads_untrusted(data, items=100, depth=100) == value


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("items", [50, 1000])
def test_no_tag_is_read(tag: int, items: int) -> None:
    data = cbor2.dumps([cbor2.CBORTag(tag, "a" * 20), *FILLING])
    with pytest.raises(BadCbor):
        loads_untrusted(data, items=items, depth=4)


@pytest.mark.parametrize("item", INDEFINITE)
@pytest.mark.parametrize("items", [40, 1000])
def test_no_length_may_be_announced_later(item: bytes, items: int) -> None:
    with pytest.raises(BadCbor):
        loads_untrusted(b"\x98\x29" + item + FILLING, items=items, depth=4)


@pytest.mark.parametrize("items", [3, 1000])
def test_nothing_may_follow_the_value(items: int) -> None:
    data = cbor2.dumps([1, 2])
    assert loads_untrusted(data, items=items, depth=4) == [1, 2]
    with pytest.raises(BadCbor):
        loads_untrusted(data + b"\1", items=items, depth=4)


@pytest.mark.parametrize("value", [{"a": 1}, 1.5, cbor2.undefined])
def test_what_is_counted_holds_no_maps_fractions_or_undefined_values(value: object) -> None:
    with pytest.raises(BadCbor):
        loads_untrusted(cbor2.dumps([value, *FILLING]), items=40, depth=4)


def test_items_are_counted_before_any_is_built() -> None:
    data = b"\x9a" + (1_000_000).to_bytes(4, "big") + b"\x80" * 1_000_000
    tracemalloc.start()
    with pytest.raises(BadCbor):
        loads_untrusted(data, items=512, depth=4)
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()


def test_text_is_bounded_in_bytes_before_any_is_built() -> None:
    data = cbor2.dumps(["é" * 60, "a" * 30])
    assert loads_untrusted(data, items=20, depth=1, text=150)
    with pytest.raises(BadCbor):
        loads_untrusted(data, items=20, depth=1, text=149)


def test_arrays_within_each_other_are_bounded() -> None:
    assert loads_untrusted(b"\x81\x81\x00", items=10, depth=2) == [[0]]
    for items in (2, 10):
        with pytest.raises(BadCbor):
            loads_untrusted(b"\x81\x81\x81\x00", items=items, depth=2)
