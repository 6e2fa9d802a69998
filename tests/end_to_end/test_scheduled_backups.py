"""A running node makes its copies by itself, and people see it when it cannot: a real node, a folder as the remote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nectar_node.contract.config import NODES_FOLDER
from tests.commands import nectar
from tests.end_to_end.lab import HELLO, MIB, RECEIVER, Lab, random_file
from tests.waiting import until

INBOX = Path("vfs") / "file_transfer:sys" / "inbox"


def backup(lab: Lab, *words: str | Path) -> Any:
    """The answer to a command for the receiver's backups."""
    ended = lab.nectar("backup", *words, "--node", RECEIVER, "--json")
    assert ended.code == 0, ended.err
    return ended.json


def is_copied(lab: Lab, before: int = 0) -> bool:
    """Whether nothing waits for a copy, and there is a newer one than that."""
    (row,) = backup(lab, "status")
    return (row["copy"] or 0) > before and row["waiting_seconds"] is None


def everywhere(lab: Lab, *parts: str) -> list[bool]:
    """Whether these parts of a warning are shown: by each command that shows warnings."""
    texts = [lab.nectar("testnet", "status").err, lab.nectar("top", "--node", RECEIVER, "--interval", "0.1").err]
    nodes = lab.nectar("testnet", "status", "--json").json["nodes"]
    texts += [" ".join(node["warnings"]) for node in nodes if node["name"] == RECEIVER]
    return [all(part in text for part in parts) for text in texts]


def test_what_changes_is_in_a_complete_copy_soon_and_who_gets_none_is_warned_of_until_it_does(
    lab: Lab, tmp_path: Path
) -> None:
    remote, phrase = tmp_path / "remote", tmp_path / "phrase"
    phrase.write_text(backup(lab, "add", "disk", remote, "--every", "2s")["phrase"])
    try:
        until(lambda: is_copied(lab))
        before = backup(lab, "status")[0]["copy"]
        file = random_file(tmp_path / "holiday.backup", MIB)
        lab.send(file)
        until(lambda: is_copied(lab, before))
        new = tmp_path / "new"
        assert nectar("restore", remote, "--into", new, "--phrase-file", phrase).code == 0
        assert (new / NODES_FOLDER / RECEIVER / INBOX / file.name).read_bytes() == file.read_bytes()

        remote.rename(tmp_path / "unplugged")
        backup(lab, "set", "disk", "--warn-after", "1s")
        parts = "Nothing was backed up to disk for ", "is its disk there", f"`nectar backup run disk --node {RECEIVER}`"
        until(lambda: all(everywhere(lab, *parts)))
        assert "is its disk there" in lab.nectar("backup", "status", "--node", RECEIVER).out

        (tmp_path / "unplugged").rename(remote)
        backup(lab, "set", "disk")
        until(lambda: is_copied(lab) and not any(everywhere(lab, "backed up")))
        lines = [line for line in lab.nodes.log(RECEIVER).splitlines() if " backup: " in line]
        said = ["Nothing was backed up" in line for line in lines], ["gets no copy" in line for line in lines]
        assert [sum(each) for each in said] == [1, 1], lines
        assert len(lines) == 3
        assert "disk is backed up again: copy" in lines[2]
    finally:
        backup(lab, "remove", "disk")


@pytest.mark.parametrize("words", [("testnet", "status"), ("top", "--node", RECEIVER, "--interval", "0.1")])
def test_nothing_is_said_of_nodes_without_remotes(lab: Lab, words: tuple[str, ...]) -> None:
    assert "backed up" not in lab.nectar(*words).err
    assert json.loads(lab.nectar("backup", "status", "--node", RECEIVER, "--json").out) == []
    assert lab.nodes.message(RECEIVER, HELLO, json.dumps({"Greet": "x"}))["outcome"] == "response"
