"""The JSON that system processes share: what is read, and that nothing but `RequestRefused` comes out for the rest."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.message import (
    ON_EXIT_NONE,
    ON_EXIT_RESTART,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Request,
)
from nectar_node.contract.json_shapes import (
    RequestRefused,
    address_untrusted,
    capabilities_untrusted,
    capability_json,
    capability_untrusted,
    dump,
    load_untrusted,
    number_untrusted,
    on_exit_json,
    on_exit_untrusted,
    process_untrusted,
    text_untrusted,
    variant_untrusted,
)
from tests.nectar_node.system.driven import APP, OUR
from tests.nectar_node.system.drives import JSON

MAIN = Address(OUR, APP)


def test_addresses_variants_and_capabilities_are_read() -> None:
    assert address_untrusted("our@main:app:sys", OUR) == address_untrusted("our.nec@main:app:sys", OUR) == MAIN
    assert variant_untrusted("Read") == ("Read", None)
    assert variant_untrusted({"SetLen": 3}) == ("SetLen", 3)
    capability = Capability(MAIN, '{"kind":"read"}')
    assert capability_untrusted(capability_json(capability), OUR) == capability


@pytest.mark.parametrize("params", ["no JSON", "[" * 100_000, None, {"kind": "read"}, "\ud800"])
def test_a_capability_whose_params_are_no_text_of_json_is_refused(params: object) -> None:
    with pytest.raises(RequestRefused):
        capability_untrusted({"issuer": "our@main:app:sys", "params": params}, OUR)


def test_more_capabilities_than_one_list_holds_are_refused() -> None:
    with pytest.raises(RequestRefused):
        capabilities_untrusted([{}] * (limits.MAX_CAPABILITIES + 1), OUR)


def test_on_exit_is_one_of_three() -> None:
    request = {"inherit": True, "expects_response": 5, "body": [104, 105], "metadata": '"m"', "capabilities": []}
    blob = {"mime": "text/plain", "bytes": [1, 255]}
    parsed = on_exit_untrusted({"Requests": [["our@main:app:sys", request, blob]]}, OUR)
    sent = OnExitRequest(MAIN, Request(False, None, b"hi", '"m"'), LazyLoadBlob("text/plain", b"\x01\xff"))
    assert parsed == OnExit(OnExitAction.REQUESTS, (sent,))
    assert on_exit_untrusted("None", OUR) == ON_EXIT_NONE
    assert on_exit_untrusted("Restart", OUR) == ON_EXIT_RESTART
    assert [on_exit_json(each) for each in (ON_EXIT_NONE, ON_EXIT_RESTART, parsed)] == [
        "None",
        "Restart",
        {
            "Requests": [
                [str(MAIN), {**request, "inherit": False, "expects_response": None, "body": [], "metadata": None}, None]
            ]
        },
    ]
    on_exit_untrusted(on_exit_json(parsed), OUR)  # as a guest's library reads it


@pytest.mark.parametrize("value", [True, -1, 1.5, "1", None, 1 << 63])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(RequestRefused):
        number_untrusted(value)


def test_texts_are_utf8_whatever_is_in_them() -> None:
    with pytest.raises(RequestRefused):
        text_untrusted(json.loads('"\\ud800"'))
    assert dump({"path": "ö\ud800"}).decode() == '{"path":"ö?"}'


@given(st.binary(max_size=60))
def test_only_refused_leaves_the_reading_of_a_body(body: bytes) -> None:
    try:
        value = load_untrusted(body, 1000)
    except RequestRefused:
        return
    assert value == json.loads(body)


PART = JSON | st.just("our@main:app:sys") | st.just({"body": [1], "capabilities": []}) | st.just({"bytes": [1]})


@given(JSON | st.lists(PART, max_size=3).map(lambda requests: {"Requests": [requests]}))
def test_only_refused_leaves_the_reading_of_values(value: object) -> None:
    for read in (
        lambda: process_untrusted(value),
        lambda: address_untrusted(value, OUR),
        lambda: capabilities_untrusted(value, OUR),
        lambda: capability_untrusted(value, OUR),
        lambda: on_exit_untrusted(value, OUR),
        lambda: variant_untrusted(value),
    ):
        try:
            result = read()
        except RequestRefused:
            continue
        assert isinstance(result, (ProcessId, Address, Capability, OnExit, tuple))


def test_g23_a_body_over_its_bound_is_refused_unread() -> None:
    assert load_untrusted(b" [1]", 4) == [1]
    with pytest.raises(RequestRefused) as refused:
        load_untrusted(b"nonsense", 4)
    assert refused.value.value == {"BadRequest": {"error": "the body is longer than 4 bytes"}}


@pytest.mark.parametrize("body", [b"NaN", b'"\\ud800"', "[]".encode("utf-16"), b"1e999", b"[" * 100_000, b'"\xff"'])
def test_what_only_python_calls_json_is_none(body: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        load_untrusted(body, 1 << 20)
    assert refused.value.value == {"BadJson": {"error": "the body is not JSON"}}
