"""The tables against the WIT that they repeat."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kernel.wasm.wit import INTERFACES

WIT = Path(__file__).parents[3] / "sdk" / "zig" / "wit" / "nectar-process-0.7.0.wit"


def names(module: str) -> set[str]:
    return {function.name for function in INTERFACES[module].functions}


def test_every_function_of_the_wit_stands_in_the_table_with_its_parameters() -> None:
    text = re.sub(r"///.*", "", WIT.read_text())
    declared = {
        name: re.findall(r"([\w-]+):", params)
        for name, params in re.findall(r"([\w-]+): func\(([^()]*(?:\([^()]*\))?[^()]*)\)", text)
    }
    del declared["init"]
    table = INTERFACES["nectar:process/standard@0.7.0"].functions
    assert {function.name: [name for name, _ in function.params] for function in table} == declared


@pytest.mark.parametrize("module", [name for name in INTERFACES if name.endswith("1.0.0")])
def test_version_1_adds_three_functions(module: str) -> None:
    assert names(module) - names("nectar:process/standard@0.7.0") == {"our", "has-blob", "last-blob"}


def test_version_0_6_has_other_names() -> None:
    ours, theirs = names("nectar:process/standard@0.7.0"), names("uqbar:process/standard@0.6.0")
    assert (ours - theirs, theirs - ours) == ({"get-blob", "drop-capabilities"}, {"get-payload"})
