"""Capabilities as values: one spelling for what is the same (G17)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.contract import limits
from kernel.contract.capability import Capability, canonical, canonical_untrusted
from tests.kernel.rig import here
from tests.seeds import examples

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
PIECE = st.sampled_from(
    [*'[]{}",:-+.eE019\\ud8dc', "1e999", "1E-400", "-0", "true", "null", "\\ud83d", "é", "\ud83d", " "]
)
TEXT = (
    st.text() | st.lists(PIECE, max_size=12).map("".join) | st.lists(PIECE, max_size=8).map(lambda x: f'"{"".join(x)}"')
)


def spell(params: str) -> str:
    return canonical(Capability(here("a"), params)).params


@settings(max_examples=examples(40))
@given(VALUE)
def test_g17_the_one_spelling_of_a_value_is_its_own(value: object) -> None:
    spelled = spell(json.dumps(value))
    assert spell(spelled) == spelled
    assert json.loads(spelled) == value


@settings(max_examples=examples(60))
@given(TEXT)
def test_g17_the_one_spelling_of_whatever_text_passes_is_its_own(text: str) -> None:
    try:
        spelled = spell(text)
    except ValueError:
        return
    assert spell(spelled) == spelled
    assert spelled.isascii()


@pytest.mark.parametrize("params", ["1e999", '{"a":-1e999}', "[" * 950 + "]" * 950, "[" * 65 + "]" * 65])
def test_g17_what_could_not_be_parsed_again_makes_no_capability(params: str) -> None:
    with pytest.raises(ValueError, match=r"beyond what a double holds|nested"):
        spell(params)


def test_g17_params_are_bounded_in_the_spelling_that_is_kept() -> None:
    fits = f'"{"a" * (limits.MAX_PARAMS_BYTES - 2)}"'
    assert canonical_untrusted(Capability(here("a"), fits)).params == fits
    grows = f'"{"é" * (limits.MAX_PARAMS_BYTES // 4)}"'
    with pytest.raises(ValueError, match="too long in canonical form"):
        canonical_untrusted(Capability(here("a"), grows))


def test_g17_params_that_are_too_long_are_not_even_parsed() -> None:
    with pytest.raises(ValueError, match=r"params are too long$"):
        canonical_untrusted(Capability(here("a"), "[" * (limits.MAX_PARAMS_BYTES + 1)))
