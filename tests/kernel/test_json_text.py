"""What counts as JSON (G2, G17): RFC 8259 and nothing beside it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.json_text import is_json, parse_untrusted

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUE)
def test_g2_every_json_value_is_read(value: object) -> None:
    assert parse_untrusted(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", "-Infinity", "'a'", "{1: 2}", "[" * 100_000, "nul", "1 2"]
)
def test_g2_nothing_else_is_json(text: str) -> None:
    assert not is_json(text)


@given(st.text())
def test_whatever_the_text_only_value_error_escapes(text: str) -> None:
    assert is_json(text) in (True, False)
