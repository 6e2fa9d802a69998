"""Values as CBOR: those of the core's interface come back the same, and only these."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, PackageId
from kernel.contract.message import Request
from nectar_node.packages.decisions import Decision
from nectar_node.recording.errors import BadRecording
from nectar_node.recording.values import decode_untrusted, encode
from nectar_node.storage.ledger import Quotas
from nectar_node.storage.operations import DiskError, DiskFault, FileType


def _refuse(value: object) -> object:
    raise BadRecording(f"{value}")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        2**64 - 1,
        0.1,
        "text",
        b"bytes",
        (1, "a"),
        [b"", None],
        {"a": {1: 2.5}},
        frozenset({"a"}),
        Path("/a/b"),
        FileType.FILE,
        Address.parse("a.nec@p:q:r.nec"),
        Request(False, 5, b"body", None, ()),
        Decision("/x"),
        Quotas(floor=7),
        DiskError(DiskFault.NOT_FOUND, "there is no such file"),
        PackageId("a", "b.nec"),
    ],
    ids=repr,
)
def test_a_value_comes_back_the_same(value: object) -> None:
    found = decode_untrusted(encode(value, lambda _: None), _refuse)
    assert found == value
    assert type(found) is type(value)


def test_what_stands_for_itself_has_the_number_that_it_is_given() -> None:
    token = object()
    data = encode([token], lambda each: ["o", 7] if each is token else None)
    assert decode_untrusted(data, lambda named: (named[0], named[1])) == [("o", 7)]


@pytest.mark.parametrize("name", ["os:system", "builtins:exec", "nectar_node.base.own_files:write", 5, None, [[]]])
def test_a_class_that_does_not_cross_the_interface_is_refused(name: object) -> None:
    for kind in ("n", "c", "e"):
        with pytest.raises(BadRecording):
            decode_untrusted(cbor2.dumps([kind, name, "x"]), _refuse)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_only_bad_recording_escapes(data: bytes) -> None:
    with contextlib.suppress(BadRecording):
        decode_untrusted(data, _refuse)


_PLAIN = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=5) | st.sampled_from(["n", "c", "e", "p", "t", "l", "s", "d"]),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(_PLAIN)
def test_whatever_the_arrays_only_bad_recording_escapes(value: object) -> None:
    with contextlib.suppress(BadRecording):
        decode_untrusted(cbor2.dumps(value), _refuse)
