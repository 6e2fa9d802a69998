"""Which script a word means, and what its package says of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import MESSAGING, Capability
from nectar_node.packages.scripts import (
    MAX_SCRIPTS_BYTES,
    BadScript,
    Script,
    parse_scripts_untrusted,
)

HI = ProcessId("hi", "terminal", "sys")
OTHER = ProcessId("other", "package", "publisher.nec")
OUR = "our.nec"


def parse(value: object) -> Script:
    return parse_scripts_untrusted(json.dumps(value).encode(), HI, OUR)


def sentence(value: object) -> str:
    with pytest.raises(BadScript) as refused:
        parse(value)
    return str(refused.value)


# --- scripts.json ---------------------------------------------------------------------------------------------------


def test_what_a_script_asks_for_is_read_as_in_a_manifest() -> None:
    asked = {
        "root": False,
        "public": True,
        "request_networking": True,
        "request_capabilities": ["vfs:distro:sys", {"process": "vfs:distro:sys", "params": {"root": True}}],
        "grant_capabilities": ["other:package:publisher.nec"],
    }
    script = parse({"hi.wasm": asked, "m.wasm": {"root": True}})
    vfs = Address.parse("our.nec@vfs:distro:sys")
    assert not script.root
    assert script.entry.public
    assert script.entry.networking
    assert script.entry.wasm_path == "/hi.wasm"
    assert script.entry.capabilities == (Capability(vfs, MESSAGING), Capability(vfs, '{"root":true}'))
    assert script.entry.grants == ((OTHER, MESSAGING),)


def test_what_a_script_asks_for_is_read_as_in_a_manifest_in_camel_case_too() -> None:
    asked = {"root": True, "requestNetworking": True, "requestCapabilities": ["a:b:c"], "grantCapabilities": ["d:e:f"]}
    root, entry = parse({"hi.wasm": asked})
    assert root
    assert entry.networking
    assert [str(each.issuer.process) for each in entry.capabilities] == ["a:b:c"]
    assert [str(grant[0]) for grant in entry.grants] == ["d:e:f"]
    root, entry = parse({"hi.wasm": {}})
    assert (root, entry.networking, entry.public, entry.capabilities, entry.grants) == (False, False, False, (), ())


def test_a_script_that_is_not_listed_is_told_which_are_at_no_length() -> None:
    assert sentence({"b.wasm": {}, "a.wasm": {}}) == "terminal:sys has no script hi: it has a, b."
    assert sentence({}) == "terminal:sys has no script hi: it has none."
    assert len(sentence({f"{'x' * 200}{number}.wasm": {} for number in range(1000)})) < 5000


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"hi.wasm": None},
        {"hi.wasm": {"root": 1}},
        {"hi.wasm": {"public": "yes"}},
        {"hi.wasm": {"request_capabilities": "vfs:distro:sys"}},
        {"hi.wasm": {"grantCapabilities": ["nobody"]}},
    ],
)
def test_settings_of_a_wrong_shape_are_refused_with_the_files_name(value: object) -> None:
    assert sentence(value).startswith("/terminal:sys/pkg/scripts.json ")


def test_a_file_that_is_no_json_or_too_large_is_refused() -> None:
    for data in (b"", b"{", b"[" * 100_000, b"\xff", b" " * (MAX_SCRIPTS_BYTES + 1)):
        with pytest.raises(BadScript):
            parse_scripts_untrusted(data, HI, OUR)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["a:b:c", "vfs:distro:sys"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["root", "public", "request_networking", "requestCapabilities", "grant_capabilities"])


@given(st.dictionaries(st.just("hi.wasm") | st.text(), st.dictionaries(KEYS, JSON) | JSON))
def test_any_json_gives_a_script_or_bad_script(value: dict[str, object]) -> None:
    outcome: object
    try:
        outcome = parse(value)
    except BadScript as error:
        outcome = str(error)
    assert isinstance(outcome, Script) or str(outcome).endswith(".")


@given(st.binary())
def test_any_bytes_give_a_script_or_bad_script(data: bytes) -> None:
    with pytest.raises(BadScript):
        parse_scripts_untrusted(data, HI, OUR)
