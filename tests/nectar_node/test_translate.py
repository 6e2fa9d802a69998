"""Envelopes cross to the net and back without loss; what a peer writes instead raises one error."""

from __future__ import annotations

import json

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.address import Address, ProcessId
from kernel.message import Envelope, LazyLoadBlob, ReplyTo, Request, Response
from nectar_node.translate import BadHeader, decode_header_untrusted, encode_header
from nectar_node.vouching import MAX_CLAIMS, Claim

U64 = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SOURCE = Address("send.nec", ProcessId("a", "tests", "sys"))
TARGET = Address("recv.nec", ProcessId("b", "tests", "some-user.nec"))
METADATA = st.none() | TEXT.map(json.dumps)
REPLY_TO = st.none() | st.builds(ReplyTo, st.just(Address("third.nec", ProcessId("c", "t", "sys"))), U64)
BODY = st.binary(max_size=50)
REQUEST = st.builds(lambda *fields: Request(*fields), st.booleans(), st.none() | U64, BODY, METADATA)
RESPONSE = st.builds(lambda *fields: Response(*fields), st.booleans(), BODY, METADATA)
BOMBS = [b"\x9b" + b"\xff" * 8, b"\x81" * 100_000, b"\x5b" + b"\x7f" * 8, b"\xbb" + b"\x7f" * 8]
CLAIM = st.builds(Claim, st.just(SOURCE), st.just('"key"'), U64, st.binary(max_size=64))
BLOB = st.none() | st.builds(LazyLoadBlob, st.none() | TEXT, st.binary(max_size=50))


@given(
    st.builds(Envelope, U64, st.just(SOURCE), st.just(TARGET), REPLY_TO, REQUEST, BLOB, st.just(True))
    | st.builds(Envelope, U64, st.just(SOURCE), st.just(TARGET), st.none(), RESPONSE, BLOB, st.just(True))
)
def test_g2_an_envelope_crosses_without_loss(envelope: Envelope) -> None:
    blob = envelope.blob.bytes if envelope.blob is not None else None
    assert decode_header_untrusted("recv.nec", "send.nec", encode_header(envelope), blob) == (envelope, ())


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
    with pytest.raises(BadHeader, match="metadata is no JSON"):
        decode_header_untrusted("recv.nec", "send.nec", header, None)


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
