from __future__ import annotations

import pytest

from kernel.wasm.canonical.source import Source


def test_what_is_written_line_by_line_runs() -> None:
    source = Source("sum", {"start": 10})
    with source.function("def add(numbers):"):
        source.line("total = start")
        with source.block("for number in numbers:"):
            source.line("total += number")
        source.line("return total")
    assert source.compile("add")([1, 2, 3]) == 16


def test_a_function_within_a_function_is_put_beside_it() -> None:
    source = Source("nested", {})
    with source.function("def outer():"):
        source.line("value = inner()")
        with source.function("def inner():"):
            source.line("return 7")
        source.line("return value")
    assert source.compile("outer")() == 7


def test_names_and_constants_never_clash() -> None:
    source = Source("names", {})
    first, second = source.constant("c", 1), source.constant("c", 2)
    assert len({first, second, source.name("c")}) == 3
    assert (source.namespace[first], source.namespace[second]) == (1, 2)


def test_its_title_shows_in_tracebacks() -> None:
    source = Source("the title", {})
    with source.function("def fail():"):
        source.line("raise ValueError")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (where it comes from is what counts)
        source.compile("fail")()
    assert str(caught.traceback[-1].path) == "<the title>"
