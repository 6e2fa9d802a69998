"""What clients ask for is checked: whatever JSON they send, BadInput is all that escapes."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from nectar_node.base.errors import BadInput
from nectar_node.control import requests
from nectar_node.control.server import request_untrusted

OUR = "our.nec"


@given(st.text(max_size=20) | st.sampled_from(["a:b:c", "a:b", "our@a:b:c", "/", "/dev/null\0"]))
def test_whatever_is_asked_only_bad_input_escapes(text: str) -> None:
    for parse in (requests.process_untrusted, requests.killed_untrusted, requests.address_untrusted):
        with contextlib.suppress(BadInput):
            parse(text, OUR)
    with contextlib.suppress(BadInput):
        requests.node_untrusted(text, OUR)
    with contextlib.suppress(BadInput):
        requests.line_untrusted(text)
    with contextlib.suppress(BadInput):
        requests.shared_file_untrusted(text)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"timeout": "5"}, "timeout must be a number or null, and not a text"),
        ({"timeout": True}, "timeout must be"),
        ({"body": 5}, "body must be a text"),
        ({"blob": "no base64"}, "blob"),
        ({"mime": "x" * 2000}, "mime must be a text of length at most"),
        ({"after": 1.5}, "after must be a whole number"),
        ({"replace": 1}, "replace must be true or false"),
        ({"grant": "all"}, "grant must be an array"),
        ({"deny": [1]}, r"deny\[0\] must be a text"),
        ({"grant": ["x"] * 10_000}, "grant must be an array of length at most"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_with_what_is_expected(given: dict[str, object], wrong: str) -> None:
    with pytest.raises(BadInput, match=wrong):
        request_untrusted(json.dumps({"command": "x", **given}).encode(), requests.Fields)


@pytest.mark.parametrize("text", ["a:b:sys", "our@a:b:sys", "our.nec@a:b:sys"])
def test_g1_a_process_of_this_node_is_named_with_or_without_the_node(text: str) -> None:
    process = ProcessId("a", "b", "sys")
    assert requests.process_untrusted(text, OUR) == process
    assert requests.address_untrusted(text, OUR) == Address(OUR, process)


def test_a_process_of_another_node_is_refused_with_the_node_to_ask() -> None:
    with pytest.raises(BadInput, match=r"--node other\.nec"):
        requests.process_untrusted("other.nec@a:b:sys", OUR)
    assert requests.address_untrusted("other.nec@a:b:sys", OUR).node == "other.nec"


def test_a_fraction_of_a_second_is_waited_for_as_a_whole_one() -> None:
    assert requests.timeout_untrusted(requests.Fields(timeout=0.1)) == 1
    assert requests.timeout_untrusted(requests.Fields()) == 30


def test_g7_a_timeout_is_any_u64_and_what_is_longer_than_for_ever_is_that() -> None:
    assert requests.timeout_untrusted(requests.Fields(timeout=(1 << 64) - 1)) == requests.FOR_EVER
    assert requests.timeout_untrusted(requests.Fields(timeout=requests.FOR_EVER - 1)) == requests.FOR_EVER - 1


@pytest.mark.parametrize("timeout", [1 << 64, -1, float("inf"), float("nan")])
def test_g7_what_is_no_u64_is_refused_with_what_is(timeout: float) -> None:
    with pytest.raises(BadInput, match=f"from 0 to {(1 << 64) - 1}"):
        requests.timeout_untrusted(requests.Fields(timeout=timeout))


def test_a_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadInput, match="at most 1 MiB"):
        requests.line_untrusted("echo " + "x" * requests.MAX_LINE_BYTES)
