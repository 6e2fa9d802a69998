"""The layouts that CanonicalABI.md prescribes, spelled out for the types that binaries were compiled against."""

from __future__ import annotations

import pytest

from kernel.wasm.canonical import abi, wit
from kernel.wasm.canonical.wit import Bytes, Option, Record, Scalar, Text, Type, Variant
from tests.kernel.wasm import reference


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


def test_payloads_of_different_width_are_joined_to_the_wider() -> None:
    kind = Variant((("a", Scalar.BOOL), ("b", Scalar.U64), ("c", Text(1))))
    assert abi.flatten(kind) == ["i32", "i64", "i32"]


def test_the_leaves_of_overlapping_payloads_are_not_one_sequence() -> None:
    with pytest.raises(ValueError, match="overlap"):
        abi.leaves(Variant((("a", Scalar.BOOL), ("b", Bytes(1)))))


def test_a_format_pads_between_and_behind() -> None:
    numbers = abi.leaves(Record((("a", Scalar.U8), ("b", Scalar.U64)), tuple))
    assert abi.struct_format(numbers, 24) == "<B7xQ8x"
