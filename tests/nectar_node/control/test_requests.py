"""What clients ask for is checked: whatever JSON they send, BadInput is all that escapes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from nectar_node.base.errors import BadInput
from nectar_node.control import requests

OUR = "our.nec"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["a:b:c", "eA=="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        "target",
        "body",
        "timeout",
        "blob",
        "mime",
        "deny",
        "grant",
        "replace",
        "package",
        "origin",
        "address",
        "line",
        "name",
    ]
)


@given(st.dictionaries(FIELDS, JSON))
def test_whatever_is_asked_only_bad_input_escapes(value: dict[str, Any]) -> None:
    for parse in (
        requests.message_untrusted,
        requests.line_untrusted,
        requests.consent_untrusted,
        requests.package_untrusted,
    ):
        with contextlib.suppress(BadInput):
            parse(value)
    for parse_for in (
        requests.process_untrusted,
        requests.killed_untrusted,
        requests.address_untrusted,
        requests.node_untrusted,
    ):
        with contextlib.suppress(BadInput):
            parse_for(value, OUR)
    with contextlib.suppress(BadInput):
        assert requests.timeout_untrusted(value, 5) >= 0
    with contextlib.suppress(BadInput):
        requests.shared_file_untrusted(value.get("line"))


@pytest.mark.parametrize("text", ["a:b:sys", "our@a:b:sys", "our.nec@a:b:sys"])
def test_g1_a_process_of_this_node_is_named_with_or_without_the_node(text: str) -> None:
    process = ProcessId("a", "b", "sys")
    assert requests.process_untrusted({"address": text}, OUR) == process
    assert requests.address_untrusted({"address": text}, OUR) == Address(OUR, process)


def test_a_process_of_another_node_is_refused_with_the_node_to_ask() -> None:
    with pytest.raises(BadInput, match=r"--node other\.nec"):
        requests.process_untrusted({"address": "other.nec@a:b:sys"}, OUR)
    assert requests.address_untrusted({"address": "other.nec@a:b:sys"}, OUR).node == "other.nec"


def test_g7_a_timeout_is_a_whole_number_up_to_for_ever() -> None:
    assert requests.timeout_untrusted({"timeout": 0.1}, 5) == 1
    assert requests.timeout_untrusted({}, 5) == 5
    assert requests.timeout_untrusted({"timeout": (1 << 64) - 1}, 5) == requests.FOR_EVER
    assert requests.timeout_untrusted({"timeout": requests.FOR_EVER - 1}, 5) == requests.FOR_EVER - 1


@pytest.mark.parametrize("timeout", [1 << 64, -1, float("inf"), float("nan"), True, "5"])
def test_g7_what_is_no_u64_is_refused_with_what_is(timeout: object) -> None:
    with pytest.raises(BadInput, match=f"from 0 to {(1 << 64) - 1}"):
        requests.timeout_untrusted({"timeout": timeout}, 5)


def test_a_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadInput, match="at most 1 MiB"):
        requests.line_untrusted({"line": "echo " + "x" * requests.MAX_LINE_BYTES})
