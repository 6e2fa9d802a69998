"""Envelopes cross to the net and back without loss; what a peer writes instead raises one error."""

from __future__ import annotations

import json
import struct
import tracemalloc

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request, Response
from nectar_node.peers.envelope import (
    BadHeader,
    decode_header_untrusted,
    decode_short_untrusted,
    encode_header,
    encode_short,
    stream_and_inbox,
    with_root,
    without_root,
)
from nectar_node.peers.vouching import MAX_CLAIM_BYTES, MAX_CLAIMS, Claim

U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SOURCE = Address("send.nec", ProcessId("a", "tests", "sys"))
TARGET = Address("recv.nec", ProcessId("b", "tests", "some-user.nec"))
ENDS = (st.just(SOURCE), st.just(TARGET))
METADATA = st.none() | TEXT.map(json.dumps)
REPLY_TO = st.none() | st.builds(ReplyTo, st.just(Address("third.nec", ProcessId("c", "t", "sys"))), U64)
BODY = st.binary(max_size=50)
REQUEST = st.builds(lambda *fields: Request(*fields), st.booleans(), st.none() | U64, BODY, METADATA)
RESPONSE = st.builds(lambda *fields: Response(*fields), st.booleans(), BODY, METADATA)
BOMBS = [b"\x9b" + b"\xff" * 8, b"\x81" * 100_000, b"\x5b" + b"\x7f" * 8, b"\xbb" + b"\x7f" * 8]
CLAIM = st.builds(Claim, st.just(SOURCE), st.just('"key"'), U64, st.binary(max_size=64))
BLOB = st.none() | st.builds(LazyLoadBlob, st.none() | TEXT, st.binary(max_size=50))


@given(
    st.builds(Envelope, U64, *ENDS, REPLY_TO, REQUEST, BLOB, st.just(True), st.none())
    | st.builds(Envelope, U64, *ENDS, st.none(), RESPONSE, BLOB, st.just(True), st.none())
)
def test_g2_an_envelope_crosses_without_loss(envelope: Envelope) -> None:
    blob = envelope.blob.bytes if envelope.blob is not None else None
    assert decode_header_untrusted("recv.nec", "send.nec", encode_header(envelope), blob) == (envelope, ())


SHORT_REPLY_TO = st.none() | st.builds(ReplyTo, st.just(SOURCE), U64)
SHORT_REQUEST = st.builds(lambda *fields: Request(*fields), st.booleans(), st.none() | st.integers(0, 2**32 - 1), BODY)
SHORT_RESPONSE = st.builds(lambda *fields: Response(*fields), st.booleans(), BODY)
SHORT_BLOB = st.none() | st.builds(LazyLoadBlob, st.none(), st.binary(max_size=50))
PAIR = stream_and_inbox(SOURCE.process, TARGET.process, False)[0]


@given(
    st.builds(
        Envelope,
        U64,
        st.just(SOURCE),
        st.just(TARGET),
        SHORT_REPLY_TO,
        SHORT_REQUEST,
        SHORT_BLOB,
        st.just(True),
        st.none(),
    )
    | st.builds(Envelope, U64, *ENDS, st.none(), SHORT_RESPONSE, SHORT_BLOB, st.just(True), st.none())
)
def test_g2_an_envelope_crosses_without_loss_under_a_short_header(envelope: Envelope) -> None:
    blob = envelope.blob.bytes if envelope.blob is not None else None
    header = encode_short(envelope, PAIR)
    assert header is not None
    assert len(header) == 21 + len(envelope.message.body)
    assert decode_short_untrusted("recv.nec", "send.nec", PAIR, header, blob) == envelope


@given(
    st.builds(Envelope, U64, *ENDS, REPLY_TO, REQUEST, BLOB, st.just(True), st.none())
    | st.builds(Envelope, U64, *ENDS, st.none(), RESPONSE, BLOB, st.just(True), st.none())
)
def test_g2_a_short_header_says_all_or_there_is_none(envelope: Envelope) -> None:
    blob = envelope.blob.bytes if envelope.blob is not None else None
    header = encode_short(envelope, PAIR)
    assert header is None or decode_short_untrusted("recv.nec", "send.nec", PAIR, header, blob) == envelope


@given(st.builds(Envelope, U64, *ENDS, SHORT_REPLY_TO, SHORT_REQUEST, SHORT_BLOB, st.just(True), U64))
def test_the_root_of_a_lineage_crosses_beside_the_message_with_either_header(envelope: Envelope) -> None:
    blob, bare = envelope.blob.bytes if envelope.blob is not None else None, envelope._replace(root=None)
    assert envelope.root is not None
    short, long = encode_short(envelope, PAIR), encode_header(envelope)
    assert short is not None
    for header, is_short, more in ((short, True, 8), (long, False, 9)):
        told = with_root(header, envelope.root, short=is_short)
        assert len(told) == len(header) + more
        assert with_root(told, 1, short=is_short) == told
        assert without_root(told, short=is_short) == header == without_root(header, short=is_short)
    told = with_root(short, envelope.root, short=True)
    assert decode_short_untrusted("recv.nec", "send.nec", PAIR, told, blob, lineages=True) == envelope
    assert decode_short_untrusted("recv.nec", "send.nec", PAIR, short, blob, lineages=True) == bare
    told = with_root(long, envelope.root, short=False)
    assert decode_header_untrusted("recv.nec", "send.nec", told, blob, lineages=True) == (envelope, ())
    assert decode_header_untrusted("recv.nec", "send.nec", long, blob, lineages=True) == (bare, ())


@pytest.mark.parametrize(
    "root", [b"", bytes(7), bytes(9), None, 1, -1, "1", [], bytes(1000), True], ids=lambda each: repr(each)[:12]
)
def test_a_root_of_another_form_is_a_bad_header(root: object) -> None:
    fields = cbor2.loads(encode_header(Envelope(1, SOURCE, TARGET, None, Request(False, None, b"body"))))
    with pytest.raises(BadHeader):
        decode_header_untrusted("recv.nec", "send.nec", cbor2.dumps([*fields, root]), None, lineages=True)


def test_an_answer_has_no_root_and_who_has_not_told_that_it_takes_one_gets_none() -> None:
    asked = Envelope(1, SOURCE, TARGET, None, Request(False, None, b"body" * 5))
    answer = asked._replace(message=Response(False, b"body" * 5))
    for envelope, lineages in ((asked, False), (answer, False), (answer, True)):
        short, long = encode_short(envelope, PAIR), encode_header(envelope)
        assert short is not None
        told = with_root(short, 7, short=True)
        with pytest.raises(BadHeader):
            decode_short_untrusted("recv.nec", "send.nec", PAIR, told, None, lineages=lineages)
        told = with_root(long, 7, short=False)
        with pytest.raises(BadHeader):
            decode_header_untrusted("recv.nec", "send.nec", told, None, lineages=lineages)


@pytest.mark.parametrize("size", [0, 1, 21, 28])
def test_a_short_header_that_ends_before_its_root_is_bad(size: int) -> None:
    header = encode_short(Envelope(1, SOURCE, TARGET, None, Request(False, None, b"")), PAIR)
    assert header is not None
    told = with_root(header, 7, short=True)[:size]
    with pytest.raises(BadHeader):
        decode_short_untrusted("recv.nec", "send.nec", PAIR, told, None, lineages=True)


CAPABLE = Request(False, None, b"", None, (Capability(SOURCE, "1"),))


@pytest.mark.parametrize(
    ("envelope", "pair"),
    [
        pytest.param(Envelope(1, SOURCE, TARGET, None, CAPABLE), PAIR, id="capabilities"),
        pytest.param(
            Envelope(1, SOURCE, TARGET, None, Response(False, b"", None, CAPABLE.capabilities)), PAIR, id="of an answer"
        ),
        pytest.param(Envelope(1, SOURCE, TARGET, None, Request(False, None, b"", "1")), PAIR, id="metadata"),
        pytest.param(Envelope(1, SOURCE, TARGET, None, Request(False, 1 << 32, b"")), PAIR, id="136 years"),
        pytest.param(Envelope(1, SOURCE, TARGET, ReplyTo(TARGET, 1), Request(False, 1, b"")), PAIR, id="another waits"),
        pytest.param(Envelope(1, SOURCE, TARGET, None, Request(False, 1, b""), LazyLoadBlob("", b"")), PAIR, id="mime"),
        pytest.param(Envelope(1, SOURCE, TARGET, None, Request(False, 1, b"")), PAIR * 10, id="long names"),
    ],
)
def test_what_a_short_header_has_no_place_for_gets_a_whole_one(envelope: Envelope, pair: bytes) -> None:
    assert encode_short(envelope, pair) is None


@given(st.binary(max_size=40), st.one_of(st.binary(max_size=30), st.just(PAIR)))
def test_whatever_a_short_header_is_it_raises_one_error_or_is_that_of_a_message(header: bytes, pair: bytes) -> None:
    try:
        envelope = decode_short_untrusted("recv.nec", "send.nec", pair, header, None)
    except BadHeader:
        return
    assert encode_short(envelope, pair) == header
    assert (envelope.source.node, envelope.target.node, envelope.claimed) == ("send.nec", "recv.nec", True)


@pytest.mark.parametrize("flags", [0, 1, 4, 8, 9, 16, 31, 255])
def test_a_short_header_with_what_its_flags_do_not_announce_is_refused(flags: int) -> None:
    with pytest.raises(BadHeader):
        decode_short_untrusted("recv.nec", "send.nec", PAIR, struct.pack(">BQQI", flags, 1, 2, 3), None)


@pytest.mark.parametrize(
    "pair", [b"", b"a:b:c", b">", b"a:b:c>", b"a:b:c>d:e:f>g:h:i", b"a:b:c>\xff:e:f", b"\xff" * 255]
)
def test_a_pair_that_names_no_two_processes_is_refused(pair: bytes) -> None:
    with pytest.raises(BadHeader):
        decode_short_untrusted("recv.nec", "send.nec", pair, struct.pack(">BQQI", 0, 1, 0, 0), None)


def test_a_body_that_is_too_large_is_refused_under_a_short_header_too() -> None:
    header = struct.pack(">BQQI", 0, 1, 0, 0) + bytes(limits.MAX_BODY_BYTES + 1)
    with pytest.raises(BadHeader, match="too large"):
        decode_short_untrusted("recv.nec", "send.nec", PAIR, header, None)


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 65535, 65536])
@pytest.mark.parametrize("id", [0, 23, 24, (1 << 32) - 1, 1 << 32, (1 << 64) - 1])
def test_a_header_is_the_shortest_cbor(id: int, size: int) -> None:
    request = Request(True, id, bytes(size), "[1]", ())
    blob = LazyLoadBlob("text/plain", b"blob")
    for envelope in (
        Envelope(id, SOURCE, TARGET, ReplyTo(SOURCE, id), request, blob),
        Envelope(id, SOURCE, TARGET, None, Response(False, bytes(size))),
    ):
        header = encode_header(envelope, (Claim(SOURCE, "1", 2, bytes(64)),) if envelope.blob is not None else ())
        assert cbor2.dumps(cbor2.loads(header)) == header


def test_g3_the_source_is_the_node_that_was_proven_and_its_process_a_claim() -> None:
    header = encode_header(Envelope(1, SOURCE, TARGET, None, Request(False, None, b"")))
    envelope, _ = decode_header_untrusted("recv.nec", "proven.nec", header, None)
    assert (envelope.source, envelope.claimed) == (Address("proven.nec", SOURCE.process), True)


@given(st.lists(CLAIM, max_size=MAX_CLAIMS).map(tuple))
def test_g20_capabilities_cross_with_their_signatures(claims: tuple[Claim, ...]) -> None:
    header = encode_header(Envelope(1, SOURCE, TARGET, None, Request(False, None, b"")), claims)
    assert decode_header_untrusted("recv.nec", "send.nec", header, None)[1] == claims


def test_g6_no_context_leaves_the_node() -> None:
    header = cbor2.loads(encode_header(Envelope(1, SOURCE, TARGET, None, Request(False, None, b"body"))))
    assert header == [0, 1, "a:tests:sys", "b:tests:some-user.nec", None, False, None, b"body", None, None, []]


@pytest.mark.parametrize("metadata", ["", "{", "nul"])
def test_g2_metadata_that_is_no_json_does_not_come_in(metadata: str) -> None:
    header = encode_header(Envelope(1, SOURCE, TARGET, None, Request(False, None, b"", metadata)))
    with pytest.raises(BadHeader, match="metadata is not JSON"):
        decode_header_untrusted("recv.nec", "send.nec", header, None)


def header_with(index: int, value: object) -> bytes:
    fields = cbor2.loads(encode_header(Envelope(1, SOURCE, TARGET, ReplyTo(SOURCE, 1), Request(False, 5, b"body"))))
    fields[index] = value
    return cbor2.dumps(fields)


def claim(params: str, issuer: str = "send.nec@a:tests:sys") -> list[object]:
    return [issuer, params, 1, bytes(64)]


@pytest.mark.parametrize(
    "params",
    ["1e999", *("[" * depth + "]" * depth for depth in (65, 940, 960, 980, 999)), "{", f'"{"é" * 8000}"', "1" * 20_000],
)
def test_g20_only_the_capability_whose_params_can_be_none_is_left_out(params: str) -> None:
    header = header_with(10, [claim("1"), claim(params), claim("2")])
    envelope, claims = decode_header_untrusted("recv.nec", "send.nec", header, None)
    assert envelope.message.body == b"body"
    assert [each.params for each in claims] == ["1", "2"]


def test_g20_capabilities_that_do_not_fit_into_one_message_are_left_out() -> None:
    header = header_with(10, [claim(f'"{number:02}{"x" * 16_000}"') for number in range(16)] + [claim("1")])
    _, claims = decode_header_untrusted("recv.nec", "send.nec", header, None)
    assert [each.params[:3] for each in claims] == [f'"{number:02}' for number in range(16)] + ["1"]
    header = header_with(10, [claim(f'"{number:02}{"x" * 16_300}"') for number in range(17)])
    _, claims = decode_header_untrusted("recv.nec", "send.nec", header, None)
    assert sum(len(each.params) for each in claims) <= MAX_CLAIM_BYTES


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (4, ["our@a:tests:sys", 1]),
        (10, [claim("1", "our@kernel:distro:sys")]),
        (10, [claim("1", "nodots@a:tests:sys")]),
    ],
)
def test_g1_an_address_that_does_not_name_its_node_does_not_come_in(index: int, value: object) -> None:
    with pytest.raises(BadHeader):
        decode_header_untrusted("recv.nec", "send.nec", header_with(index, value), None)


@pytest.mark.parametrize(("index", "most"), [(8, limits.MAX_METADATA_BYTES), (9, limits.MAX_MIME_BYTES)])
def test_texts_are_bounded_in_bytes(index: int, most: int) -> None:
    blob = bytes(1)
    fits = f'"{"é" * (most // 2 - 1)}"'
    decode_header_untrusted("recv.nec", "send.nec", header_with(index, fits), blob)
    with pytest.raises(BadHeader):
        decode_header_untrusted("recv.nec", "send.nec", header_with(index, f'"{"é" * (most // 2)}"'), blob)


@pytest.mark.parametrize("deep", ["[" * 65 + "]" * 65, "1e999"])
def test_g2_metadata_is_bounded_in_its_nesting_and_numbers(deep: str) -> None:
    with pytest.raises(BadHeader, match="metadata is not JSON"):
        decode_header_untrusted("recv.nec", "send.nec", header_with(8, deep), None)


@pytest.mark.parametrize("size", [10, 100_000])
def test_no_tag_of_a_peer_is_decoded(size: int) -> None:
    with pytest.raises(BadHeader):
        decode_header_untrusted("recv.nec", "send.nec", header_with(1, cbor2.CBORTag(2, b"1")), None)
    with pytest.raises(BadHeader):
        decode_header_untrusted("recv.nec", "send.nec", header_with(9, cbor2.CBORTag(35, "a|" * size)), None)


def test_a_header_of_millions_of_items_is_refused_before_any_is_built() -> None:
    header = b"\x8b\x9a" + (1_000_000).to_bytes(4, "big") + b"\x80" * 1_000_000 + b"\x00" * 10
    tracemalloc.start()
    with pytest.raises(BadHeader):
        decode_header_untrusted("recv.nec", "send.nec", header, None)
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()


def test_the_largest_message_crosses() -> None:
    metadata = f'"{"x" * (limits.MAX_METADATA_BYTES - 2)}"'
    request = Request(False, 5, bytes(limits.MAX_BODY_BYTES), metadata)
    blob = LazyLoadBlob("m" * limits.MAX_MIME_BYTES, b"")
    large = f'"{"x" * (MAX_CLAIM_BYTES // MAX_CLAIMS - 2)}"'
    claims = (Claim(SOURCE, large, 1, bytes(64)),) * MAX_CLAIMS
    envelope = Envelope(1, SOURCE, TARGET, ReplyTo(SOURCE, 1), request, blob, True)
    header = encode_header(envelope, claims)
    assert decode_header_untrusted("recv.nec", "send.nec", header, b"") == (envelope, claims)


FIELD = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5) | st.lists(st.none())


@given(st.binary(max_size=60) | st.lists(FIELD, max_size=12).map(cbor2.dumps) | st.tuples(U64, FIELD).map(cbor2.dumps))
def test_whatever_a_peer_writes_only_bad_header_escapes(header: bytes) -> None:
    with pytest.raises(BadHeader):
        decode_header_untrusted("recv.nec", "send.nec", header, None)


@given(st.integers(0, 10), FIELD)
def test_one_wrong_field_is_a_bad_header_or_a_message(index: int, field: object) -> None:
    fields = cbor2.loads(encode_header(Envelope(1, SOURCE, TARGET, ReplyTo(SOURCE, 1), Request(False, 5, b"body"))))
    fields[index] = field
    try:
        assert decode_header_untrusted("recv.nec", "send.nec", cbor2.dumps(fields), None)[0].source.node == "send.nec"
    except BadHeader:
        assert True


@pytest.mark.parametrize(
    "bomb", [b"\x9b" + b"\xff" * 8, b"\x81" * 100_000, b"\x5b" + b"\x7f" * 8, b"\xbb" + b"\x7f" * 8]
)
def test_a_header_that_announces_more_than_it_holds_costs_nothing(bomb: bytes) -> None:
    with pytest.raises(BadHeader):
        decode_header_untrusted("recv.nec", "send.nec", bomb, None)
