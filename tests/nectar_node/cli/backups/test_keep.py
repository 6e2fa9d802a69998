"""`nectar backup accept`, `keeps` and `refuse`, on a real node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.backups import keep
from tests.nectar_node.cli.real_node import NODE, RealNode

OWNER = "owner.nec"
OBJECT = f"packs/{1:032x}"


def kept(node: RealNode) -> list[dict[str, Any]]:
    """What it says that it keeps."""
    rows: list[dict[str, Any]] = json.loads(node.does("backup", "keeps", "--json"))["keeps"]
    return rows


@pytest.fixture
def keeper(node: RealNode) -> RealNode:
    """A node with an object of somebody else's."""
    node.does("backup", "accept", OWNER, "--quota", "10MiB")
    objects, folder = node.core.keeper.objects, node.folder.kept / OWNER / "packs"
    folder.mkdir(parents=True)
    (node.folder.kept / OWNER / OBJECT).write_bytes(bytes(5000))
    objects.begin(objects.owners[OWNER], OBJECT, 5000)
    objects.settle(objects.owners[OWNER], OBJECT)
    return node


def test_what_is_agreed_is_listed_and_can_be_changed(node: RealNode) -> None:
    assert node.does("backup", "accept", OWNER, "--quota", "10GiB") == (
        f"{NODE} keeps up to 10.0 GiB for {OWNER}, which now can say "
        f"`nectar backup add NAME node://{NODE} --node {OWNER}`.\n"
    )
    row = {"owner": OWNER, "quota": 10 << 30, "append_only": False, "bytes": 0, "objects": 0, "restorable": False}
    assert kept(node) == [row]
    node.does("backup", "accept", OWNER, "--quota", "2GiB", "--append-only")
    assert kept(node) == [row | {"quota": 2 << 30, "append_only": True}]
    assert node.does("backup", "keeps").splitlines()[1:] == [f"{OWNER}\t0 B\t2.0 GiB\t0\tadd"]
    node.does("backup", "refuse", OWNER)
    assert kept(node) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("accept", "no name", "--quota", "1GiB"), "'no name' is not a node name"),
        (("accept", NODE, "--quota", "1GiB"), f"{NODE} is this very node"),
        (("accept", OWNER, "--quota", "0"), "A quota is a number of bytes, and not 0."),
        (("accept", OWNER, "--quota", "much"), "'much' is not a size"),
        (("refuse", OWNER), f"{NODE} keeps no backup of '{OWNER}': it keeps none."),
    ],
)
def test_what_cannot_be_is_one_sentence(node: RealNode, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in node.fails("backup", *words, code=2)
    assert kept(node) == []


def test_nothing_is_removed_that_nobody_has_said_to(keeper: RealNode) -> None:
    there = f"What it had here, 1 object, 4.9 KiB, is still in {NODE}'s folder `kept`: --delete removes it."
    assert keeper.does("backup", "refuse", OWNER) == f"{NODE} keeps nothing more for {OWNER}. {there}\n"
    assert [(row["quota"], row["objects"], row["bytes"]) for row in kept(keeper)] == [(None, 1, 5000)]
    assert keeper.does("backup", "keeps").splitlines()[1:] == [f"{OWNER}\t4.9 KiB\t-\t1\tnothing"]
    assert (keeper.folder.kept / OWNER / OBJECT).stat().st_size == 5000


def test_what_is_to_go_is_gone(keeper: RealNode) -> None:
    assert keeper.does("backup", "refuse", OWNER, "--delete") == (
        f"{NODE} keeps nothing more for {OWNER}. What it had here, 1 object, 4.9 KiB, is removed.\n"
    )
    assert kept(keeper) == []
    assert [*keeper.folder.kept.iterdir()] == []


@pytest.mark.parametrize("says_yes", [True, False])
def test_at_a_terminal_the_user_is_asked(keeper: RealNode, monkeypatch: pytest.MonkeyPatch, says_yes: bool) -> None:
    asked: list[str] = []

    def agrees(prompt: str) -> bool:
        asked.append(prompt)
        return says_yes

    monkeypatch.setattr(keep, "agrees", agrees)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    keep.refuse(OWNER, NODE, None, Path(keeper.network), False)
    assert asked == [f"{OWNER} has 1 object, 4.9 KiB on {NODE}. Remove that for good? [y/N] "]
    assert (kept(keeper) == []) == says_yes
