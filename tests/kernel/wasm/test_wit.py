"""The tables against what the Component Model's own tool reads in the WIT that they repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernel.wasm.canonical.wit import (
    INTERFACES,
    Bytes,
    Enumeration,
    List,
    Option,
    Record,
    Scalar,
    Text,
    Type,
    Variant,
)
from tests.kernel.wasm.official import declared_functions, declared_imports, wit_file
from tests.kernel.wasm.puppet import VERSIONS, imports_of

NOT_OFFERED = {"uqbar:process/standard@0.6.0": {"get-eth-block"}}
"""Functions of a version that are no part of what this node offers."""
RENAMED = {"payload": "lazy-load-blob"}


def shape(kind: Type | None) -> Any:
    """A type of the tables as `declared_functions` gives those of the WIT."""
    match kind:
        case None:
            return None
        case Scalar():
            return kind.value
        case Text():
            return "string"
        case Bytes():
            return ["list", "u8"]
        case List(of):
            return ["list", shape(of)]
        case Option(of):
            return ["option", shape(of)]
        case Record(fields):
            return ["record", *(shape(field) for _, field in fields)]
        case Variant(cases):
            return ["variant", *(shape(payload) for _, payload in cases)]
        case Enumeration(cases):
            return ["enum", *cases]


@pytest.mark.parametrize("module", VERSIONS)
def test_the_core_signatures_are_those_that_the_official_tool_computes(module: str) -> None:
    offered = [each for each in declared_imports(module) if each.name not in NOT_OFFERED.get(module, ())]
    assert sorted(imports_of(INTERFACES[module])) == sorted(offered)


@pytest.mark.parametrize("module", VERSIONS)
def test_every_type_down_to_its_leaves_is_the_wits(module: str) -> None:
    declared = declared_functions(wit_file(module))
    missing = NOT_OFFERED.get(module, set())
    assert {function.name for function in INTERFACES[module].functions} == set(declared) - missing
    for function in INTERFACES[module].functions:
        params = [(name, shape(kind)) for name, kind in function.params]
        expected = [(RENAMED.get(name, name), of) for name, of in declared[function.name]["params"]]
        assert params == expected, function.name
        assert shape(function.result) == declared[function.name]["result"], function.name


def test_the_wit_that_the_sdk_ships_declares_the_same() -> None:
    sdk = Path(__file__).parents[3] / "sdk" / "zig" / "wit" / "nectar-process-0.7.0.wit"
    assert declared_functions(sdk) == declared_functions(wit_file("nectar:process/standard@0.7.0"))
