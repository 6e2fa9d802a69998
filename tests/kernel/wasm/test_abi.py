"""The layouts that CanonicalABI.md prescribes, spelled out for the types that binaries were compiled against."""

from __future__ import annotations

import pytest

from kernel.wasm import abi, wit
from kernel.wasm.wit import INTERFACES, Bytes, Option, Record, Scalar, Text, Type, Variant
from tests.kernel.wasm import reference

NECTAR = INTERFACES["nectar:process/standard@0.7.0"]


@pytest.mark.parametrize(
    ("kind", "size", "alignment"),
    [
        (wit.ADDRESS, 32, 4),
        (wit.CAPABILITY, 40, 4),
        (wit.LAZY_LOAD_BLOB, 20, 4),
        (wit.REQUEST, 56, 8),
        (wit.RESPONSE, 32, 4),
        (wit.MESSAGE, 64, 8),
        (wit.ON_EXIT, 12, 4),
        (wit.SEND_ERROR, 96, 8),
        (wit.SEND_ERROR_WITH_TARGET, 128, 8),
        (Option(Scalar.U64), 16, 8),
        (Option(Scalar.BOOL), 2, 1),
    ],
)
def test_a_type_has_the_size_and_alignment_of_the_canonical_abi(kind: Type, size: int, alignment: int) -> None:
    assert abi.layout(kind) == (size, alignment)
    assert (reference.size(kind), reference.alignment(kind)) == (size, alignment)


@pytest.mark.parametrize(
    ("name", "params", "results"),
    [
        ("print-to-terminal", "i32 i32 i32", ""),
        ("set-on-exit", "i32 i32 i32", ""),
        ("get-on-exit", "i32", ""),
        ("get-state", "i32", ""),
        ("set-state", "i32 i32", ""),
        ("clear-state", "", ""),
        ("spawn", " ".join(["i32"] * 14), ""),
        ("save-capabilities", "i32 i32", ""),
        ("our-capabilities", "i32", ""),
        ("receive", "i32", ""),
        ("get-blob", "i32", ""),
        ("send-request", "i32", ""),
        ("send-requests", "i32 i32", ""),
        ("send-response", " ".join(["i32"] * 14), ""),
        ("send-and-await-response", "i32 i32", ""),
    ],
)
def test_a_function_has_the_core_signature_that_binaries_import(name: str, params: str, results: str) -> None:
    function = NECTAR.function(name)
    assert function
    core = abi.signature(function)
    assert (" ".join(core.params), " ".join(core.results)) == (params, results)


def test_a_result_of_one_number_is_returned() -> None:
    function = INTERFACES["kinode:process/standard@1.0.0"].function("has-blob")
    assert function
    assert abi.signature(function) == ((), ("i32",), False, False)


def test_payloads_of_different_width_are_joined_to_the_wider() -> None:
    kind = Variant((("a", Scalar.BOOL), ("b", Scalar.U64), ("c", Text(1))))
    assert abi.flatten(kind) == ["i32", "i64", "i32"]


def test_the_leaves_of_overlapping_payloads_are_not_one_sequence() -> None:
    with pytest.raises(ValueError, match="overlap"):
        abi.leaves(Variant((("a", Scalar.BOOL), ("b", Bytes(1)))))


def test_a_format_pads_between_and_behind() -> None:
    numbers = abi.leaves(Record((("a", Scalar.U8), ("b", Scalar.U64)), tuple))
    assert abi.struct_format(numbers, 24) == "<B7xQ8x"
