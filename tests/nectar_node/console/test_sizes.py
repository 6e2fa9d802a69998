"""Sizes as people type them."""

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.console.sizes import parse_size
from nectar_node.launcher.arguments import parse_memory


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("1 B", 1),
        ("512MiB", 512 << 20),
        ("512mb", 512 << 20),
        ("1.5g", 3 << 29),
        (" 2 TiB ", 2 << 40),
    ],
)
def test_a_size_has_a_unit_or_is_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1e9", "1,5 GiB", "1 GiBs", "٣", "9" * 400, "0x10", "1 PiB"])
def test_what_is_no_size_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="is not a size"):
        parse_size(text)


def test_a_node_needs_some_memory() -> None:
    assert parse_memory("1GiB") == 1 << 30
    with pytest.raises(BadInput, match=r"--memory 10MiB is too little: a node needs 256.0 MiB"):
        parse_memory("10MiB")
