"""G1: what is a node's name."""

import pytest

from net.base.node_names import is_node_name


@pytest.mark.parametrize("name", ["a.b", "some-user.nec", "a1.b-2.c", "0.0", f"{'a' * 63}.b", ".".join(["a" * 61] * 4)])
def test_these_are_node_names(name: str) -> None:
    assert is_node_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a.b",
        "a-.b",
        "A.b",
        "a_b.c",
        "a.b\n",
        "ä.b",
        f"{'a' * 64}.b",
        "a.b@c",
        b"a.b",
    ],
)
def test_these_are_not(name: object) -> None:
    assert not is_node_name(name)


def test_254_characters_are_too_many() -> None:
    name = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert len(name) == 253
    assert is_node_name(name)
    assert not is_node_name(name + "b")
