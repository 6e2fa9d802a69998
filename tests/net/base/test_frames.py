"""Frames: the documented bytes, and no others."""

import re

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.base import frames as wire
from net.base.errors import BadFrame
from net.base.limits import MAX_BLOB_BYTES, MAX_HEADER_BYTES, SESSION_CREDIT_MESSAGES
from net.peering.handlers import HANDLERS
from tests.net.frames import DOCUMENT


def documented() -> list[tuple[str, bytes]]:
    """Name and bytes of each vector in docs/wire.md."""
    block = re.search(r"```vectors\n(.*?)```", DOCUMENT.read_text(), re.S)
    assert block is not None
    return [(name, bytes.fromhex(data)) for name, data in (line.split() for line in block[1].splitlines())]


CONTROLS: list[wire.Control] = [
    wire.Resume(bytes(16), 0, 1, 1000, 10, None),
    wire.Resume(bytes(16), 3, 2, 1 << 40, 2048, wire.Known(b"\1" * 16, 2, 7, ((3, 100), (5, 0)), (2, 6))),
    wire.Ack((1, 5, (1 << 64) - 1)),
    wire.Credit(5, 6),
    wire.Ping(),
    wire.Pong(),
    wire.Goodbye(3),
    wire.Lookup(1, "bob.test"),
    wire.Found(1, None),
    wire.Found(2, b"record"),
    wire.Register(3, b"record"),
    wire.Register(3, b"record", b"token"),
    wire.Granted(4, b"record"),
    wire.Refused(5, 2),
    wire.Reserve(),
    wire.Reserved(True),
    wire.Reserved(False),
    wire.Incoming(bytes(range(16)), "bob.test"),
    wire.Spliced(),
]


@pytest.mark.parametrize("frame", CONTROLS, ids=repr)
def test_a_control_frame_survives_encoding(frame: wire.Control) -> None:
    assert wire.decode_frames_untrusted(memoryview(wire.encode_control(frame))) == [frame]


def test_several_frames_share_a_record() -> None:
    record = b"".join(wire.encode_control(frame) for frame in CONTROLS)
    assert wire.decode_frames_untrusted(memoryview(record)) == CONTROLS


@pytest.mark.parametrize(("name", "data"), documented())
def test_the_documented_vectors_are_the_bytes(name: str, data: bytes) -> None:
    (frame,) = wire.decode_frames_untrusted(memoryview(data), {0: b"a>b"})
    assert type(frame).__name__.lower() == name
    if isinstance(frame, wire.Data):
        assert bytes(frame.chunk) in (b"headerblob", b"header", b"blob")
    else:
        assert wire.encode_control(frame) == data


def test_every_kind_of_frame_has_a_documented_vector() -> None:
    kinds = {type(frame).__name__.lower() for frame in CONTROLS} | {"data"}
    assert {name for name, _ in documented()} == kinds


def test_who_has_no_invitation_writes_the_frame_that_was_there_before_any() -> None:
    assert wire.encode_control(wire.Register(3, b"\1\2")).hex() == "00000006830903420102"


def test_each_frame_is_legal_where_the_document_says() -> None:
    _, table = DOCUMENT.read_text().split("| frame | legal in | from |\n|---|---|---|\n")
    rows = [line.strip("| ").split(" | ") for line in table.split("\n\n")[0].splitlines()]
    documented_stages = {name: set(stages.split(", ")) for name, stages, _ in rows}
    legal = {kind.__name__.lower(): {each.name.lower() for each in stages} for kind, (stages, _) in HANDLERS.items()}
    for name in ("spliced", "goodbye"):
        legal[name].add("leg")  # `_leg_frame` takes these two and no other
    assert documented_stages == {**legal, "data": {"live"}}


def first(header: int, blob: int, body: bytes, length: int | None = None) -> bytes:
    """A data frame with which a message begins."""
    size = len(body) if length is None else length
    return wire.FIRST_HEADER.pack(wire.DATA, wire.FIRST, size, 1, header, blob) + body


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="no frame"),
        pytest.param(b"\0\0\0", id="cut off header"),
        pytest.param(b"\3\0\0\0", id="unknown kind"),
        pytest.param(b"\2\0\0\0", id="ack of nothing"),
        pytest.param(b"\2\0\0\7" + bytes(7), id="ack of a part of a number"),
        pytest.param(b"\2\0\0\x10" + bytes(8), id="cut off ack"),
        pytest.param(b"\2\1\0\x08" + bytes(8), id="ack with flags"),
        pytest.param(wire.encode_control(wire.Ack((1,) * (SESSION_CREDIT_MESSAGES + 1))), id="ack of too many"),
        pytest.param(b"\0\1\0\1\x80", id="control with flags"),
        pytest.param(wire.encode_control(wire.Ping())[:-1], id="cut off control"),
        pytest.param(wire.DATA_HEADER.pack(1, 2, 1, 1) + b"x", id="unknown flags"),
        pytest.param(wire.DATA_HEADER.pack(1, 0, 0, 1), id="piece without data"),
        pytest.param(wire.DATA_HEADER.pack(1, 0, 9, 1) + b"x", id="cut off piece"),
        pytest.param(first(2, 3, b"headerandmore"), id="more than announced"),
        pytest.param(first(2, 3, b""), id="begins with nothing"),
        pytest.param(first(MAX_HEADER_BYTES + 1, 0, b"x"), id="header too large"),
        pytest.param(first(1, MAX_BLOB_BYTES + 1, b"x"), id="blob too large"),
        pytest.param(first(1, 1, b"x", 60000), id="longer than the record"),
        pytest.param(wire.FIRST_HEADER.pack(1, 1, 0, 1, 0, 0)[:-1], id="cut off first header"),
    ],
)
def test_malformed_records_are_bad_frames(data: bytes) -> None:
    with pytest.raises(BadFrame):
        wire.decode_frames_untrusted(memoryview(data))


IDENTIFIER = bytes(16)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [True],
        ["1"],
        {},
        [99],
        [12, 1],
        [13],
        [13, 1],
        [14, bytes(15), "bob.test"],
        [14, bytes(16), "bob"],
        [15, None],
        [2],
        [6, -1],
        [6, 1 << 64],
        [6, True],
        [6, 1.0],
        [8, [[]] * 20_000],
        [6, cbor2.CBORTag(2, b"\x01")],
        [6, cbor2.CBORTag(35, "a|" * 10_000)],
        [4, 1],
        [5, None],
        [6],
        [6, "x"],
        [7, 1, "NOT A NAME"],
        [7, 1, b"bob.test"],
        [8, 1, "text"],
        [8, 1, bytes(5000)],
        [9, 1, None],
        [10, 1, bytes(5000)],
        [11, 1, -1],
        [3, 1 << 41, 1],
        [3, 1, 2049],
        [1, b"short", 0, 1, 1, 1, None],
        [1, IDENTIFIER, 0, 1, 1, 1],
        [1, IDENTIFIER, 0, 1, 1, 1, []],
        [1, IDENTIFIER, 0, 1, 1, 1, [b"short", 0, 1, [], []]],
        [1, IDENTIFIER, 0, 1, 1, 1, [IDENTIFIER, 0, 5, [[5, 1]], []]],
        [1, IDENTIFIER, 0, 1, 1, 1, [IDENTIFIER, 0, 5, [[4]], []]],
        [1, IDENTIFIER, 0, 1, 1, 1, [IDENTIFIER, 0, 5, [[4, 1]], [4]]],
        [1, IDENTIFIER, 0, 1, 1, 1, [IDENTIFIER, 0, 5, [], [4, 4]]],
        [1, IDENTIFIER, 0, 1, 1, 1, [IDENTIFIER, 0, 9999, [], list(range(2049))]],
    ],
    ids=lambda fields: repr(fields)[:40],
)
def test_malformed_control_frames_are_bad_frames(fields: object) -> None:
    with pytest.raises(BadFrame):
        wire.decode_control_untrusted(cbor2.dumps(fields))


def test_a_control_frame_whose_lengths_are_announced_later_is_a_bad_frame() -> None:
    with pytest.raises(BadFrame):
        wire.decode_control_untrusted(b"\x9f\x06\x00\xff")


def test_a_resume_frame_may_name_as_many_partial_messages_as_there_can_be() -> None:
    partial = tuple((number, 1 << 20) for number in range(SESSION_CREDIT_MESSAGES))
    frame = wire.Resume(IDENTIFIER, 0, 1, 1, 1, wire.Known(IDENTIFIER, 0, SESSION_CREDIT_MESSAGES, partial, ()))
    assert wire.decode_control_untrusted(wire.encode_control(frame)[wire.FRAME.size :]) == frame


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.binary(max_size=20) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.integers(), inner, max_size=3),
    max_leaves=20,
)


@given(st.integers(0, 12), st.lists(ANYTHING, max_size=7))
def test_no_control_frame_makes_the_decoder_raise_anything_else(kind: int, fields: list[object]) -> None:
    try:
        frame = wire.decode_control_untrusted(cbor2.dumps([kind, *fields]))
    except BadFrame:
        return
    assert wire.decode_frames_untrusted(memoryview(wire.encode_control(frame))) == [frame]
