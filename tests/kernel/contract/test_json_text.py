"""What counts as JSON (G2, G17): RFC 8259 and nothing beside it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.contract.json_text import is_json, parse_untrusted
from kernel.contract.limits import MAX_JSON_DEPTH
from tests.seeds import examples

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=examples(40))
@given(VALUE)
def test_g2_every_json_value_is_read(value: object) -> None:
    assert parse_untrusted(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", "-Infinity", "'a'", "{1: 2}", "[" * 100_000, "nul", "1 2", '"\ud800"']
)
def test_g2_nothing_else_is_json(text: str) -> None:
    assert not is_json(text)


@pytest.mark.parametrize("text", ["1e999", "-1e999", '{"a":[1E400]}'])
def test_g2_a_number_that_no_double_holds_is_refused(text: str) -> None:
    assert not is_json(text)


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_g2_nesting_is_bounded_and_counted_before_anything_is_parsed(brackets: tuple[str, str]) -> None:
    opening, closing = brackets
    deepest = opening * MAX_JSON_DEPTH + "1" + closing * MAX_JSON_DEPTH
    assert is_json(deepest)
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        parse_untrusted(opening + deepest + closing)


@pytest.mark.parametrize("inner", ["[" * 200, '\\"' + "[{" * 100, "\\\\", "é" + "[" * 200])
def test_g2_brackets_within_a_string_are_not_nested(inner: str) -> None:
    assert is_json(f'[{{"{inner}":"{inner}"}}]')


def test_g2_arrays_beside_each_other_are_not_nested() -> None:
    assert is_json("[" + "[[]]," * 1000 + "0]")


@given(st.text())
def test_whatever_the_text_only_value_error_escapes(text: str) -> None:
    assert is_json(text) in (True, False)
