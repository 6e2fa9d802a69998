"""Whatever stands in an object that has been decrypted: it is read right, or refused by the one error that is said."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import cbor2
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from nectar_node.backup.format import boxes, packs
from nectar_node.backup.format.errors import DamagedBackup
from nectar_node.backup.format.heads import Head, HeadLink, open_head_untrusted, seal_head
from nectar_node.backup.format.index import Pack, decode_index_untrusted, encode_index
from nectar_node.backup.format.keys import decode_ring_untrusted, new_ring, rotated
from nectar_node.backup.format.limits import MAX_CHUNK_BYTES, MAX_ENTRY_BYTES, MAX_LEVEL
from nectar_node.backup.format.listing import (
    BadListing,
    EntryKind,
    EntryReader,
    ListingEntry,
    decode_entry_untrusted,
    encode_entry,
)
from nectar_node.backup.format.names import head_name, head_number, is_name
from nectar_node.backup.format.padding import padded
from nectar_node.backup.format.streams import ChunkStream
from tests.nectar_node.backup.lab import Lab
from tests.seeds import examples

RING = rotated(new_ring(lambda size: bytes(size)), "keys/" + "ab" * 16, 5, lambda size: b"\1" * size)
OTHER_RING = Lab(1).ring
HEAD = Head(7, HeadLink(6, b"h" * 32), 123, b"w" * 16, "a.nec", ChunkStream(5, 0, b"i" * 32), 3, 1000, ((1, 2), (4, 5)))
ENTRY = ListingEntry(b"node/file", EntryKind.FILE, 0o600, 5, ChunkStream(9, 1, b"i" * 64))
DIRECTORY = packs._RECORD.pack(b"c" * 32, 116, 100) + packs._RECORD.pack(b"d" * 32, 80, 200)
PACK = Pack("packs/" + "cd" * 16, 1, 4096, DIRECTORY)
VALID = {
    "entry": encode_entry(ENTRY)[4:],
    "index": encode_index([PACK, PACK]),
    "ring": RING.encode(),
}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.binary(max_size=80) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=30,
)


@st.composite
def inputs(draw: st.DrawFn) -> bytes:
    """Bytes, CBOR of any shape, and valid payloads of which something is altered."""
    match draw(st.integers(0, 2)):
        case 0:
            return draw(st.binary(max_size=200))
        case 1:
            return bytes(cbor2.dumps(draw(values)))
    data = bytearray(draw(st.sampled_from(sorted(VALID.values()))))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


def entry(data: bytes) -> None:
    try:
        found = decode_entry_untrusted(data)
    except BadListing:
        return
    assert encode_entry(found)[4:] == cbor2.dumps(cbor2.loads(data))


def listing(data: bytes) -> None:
    reader = EntryReader()
    try:
        for start in range(0, len(data), 7):
            list(reader.feed(data[start : start + 7]))
        reader.close()
    except BadListing:
        return


def index(data: bytes) -> None:
    found = decode_index_untrusted(data, 2)
    assert found is None or all(packs.places(pack.directory, pack.size) is not None for pack in found)


def ring(data: bytes) -> None:
    try:
        decode_ring_untrusted("disk", "keys/x", data)
    except DamagedBackup:
        return


def directory(data: bytes) -> None:
    found = packs.places(data, 1 << 20)
    assert found is None or all(place.start + place.stored <= 1 << 20 for place in found)


def head(data: bytes) -> None:
    name = head_name(RING, 7)
    try:
        open_head_untrusted("disk", 7, boxes.seal(name, data, RING.current.head, bytes(24)), RING)
    except DamagedBackup:
        return


@pytest.mark.parametrize("reads", [entry, listing, index, ring, directory, head])
@settings(max_examples=examples(150), deadline=None)
@given(data=inputs())
def test_it_is_read_or_refused(reads: Callable[[bytes], None], data: bytes) -> None:
    reads(data)


def test_what_is_written_is_read() -> None:
    assert decode_entry_untrusted(VALID["entry"]) == ENTRY
    assert decode_index_untrusted(VALID["index"], 2) == [PACK, PACK]
    assert decode_ring_untrusted("disk", "keys/x", VALID["ring"]) == RING
    sealed = seal_head(HEAD, RING, lambda size: bytes(size))
    assert open_head_untrusted("disk", 7, sealed, RING) == HEAD


@pytest.mark.parametrize("path", [b"", b"/x", b"x/", b"a//b", b"../x", b"a/./b", b"a\0b", b"x" * 5000])
def test_a_path_that_leads_elsewhere_is_refused(path: bytes) -> None:
    with pytest.raises(BadListing):
        decode_entry_untrusted(encode_entry(ListingEntry(path, EntryKind.FILE, 0o600, 5, b""))[4:])


def test_an_entry_that_says_it_is_long_is_refused_before_it_is_there() -> None:
    with pytest.raises(BadListing, match="too long"):
        list(EntryReader().feed((MAX_ENTRY_BYTES + 1).to_bytes(4, "little")))


def test_a_chunk_that_would_grow_beyond_what_is_said_is_refused() -> None:
    name, key = "packs/" + "00" * 16, b"k" * 32
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 26))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 1000)
    tracemalloc.start()
    try:
        for frame, size in ((bomb, MAX_CHUNK_BYTES), (bomb, 100), (unsized, 1000), (b"no frame", 100)):
            data = boxes.encrypt(frame, packs.nonce(bytes(16), 0), key)
            place = packs.ChunkPlace(packs.chunk_id(key, b"x" * size), 0, len(data), size)
            assert packs.Unseal(name, key, key, data, 0, (place,)).perform() == [None]
        assert tracemalloc.get_traced_memory()[1] < 16 * MAX_CHUNK_BYTES
    finally:
        tracemalloc.stop()


def test_a_chunk_of_another_id_is_refused() -> None:
    key, chunks = b"k" * 32, ((b"i" * 32, b"not what has this id"),)
    sealed = packs.Seal("packs/" + "00" * 16, key, chunks).perform()
    places = tuple(packs.places(sealed.directory, len(sealed.data)) or ())
    assert packs.Unseal(sealed.name, key, key, sealed.data, 0, places).perform() == [None]
    assert (
        packs.CheckPack(sealed.name, key, key, sealed.directory, len(sealed.data), sealed.data).perform()
        == f"is altered at byte {places[0].start}"
    )


def test_a_head_of_another_backup_is_refused() -> None:
    other = replace(RING, backup=b"another backup!!")
    sealed = seal_head(HEAD, other, lambda size: bytes(size))
    with pytest.raises(DamagedBackup):
        open_head_untrusted("disk", 7, sealed, RING)


@given(st.integers(1, (1 << 63) - 1))
def test_the_name_of_a_head_hides_its_number_from_whoever_has_no_key(number: int) -> None:
    name = head_name(RING, number)
    assert is_name(name)
    assert head_number(RING, name) == number
    assert head_number(OTHER_RING, name) is None


@given(st.integers(1, 1 << 40))
def test_padding_adds_no_more_than_is_said(size: int) -> None:
    result = padded(size)
    assert result >= max(size, 4096)
    assert padded(result) == result
    assert size < 4096 or result <= size * 1.0625
    assert size < 65536 or result <= size * 1.03125


def test_streams_are_not_nested_without_end() -> None:
    deep = ListingEntry(b"x", EntryKind.FILE, 0o600, 5, ChunkStream(9, MAX_LEVEL + 1, b"i" * 32))
    with pytest.raises(BadListing):
        decode_entry_untrusted(encode_entry(deep)[4:])
