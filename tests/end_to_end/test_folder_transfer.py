"""Folders and several files go from send.nec to recv.nec, whatever happens on the way."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from nectar_node.packing.packed_folder import PackedKind
from testnet.model.folder_tree import FolderTree, TreeItem, read_tree, write_tree
from tests.end_to_end.lab import MIB, RECEIVER, SENDER, Lab, random_file

WHEN = 1_400_000_000_000_000_001


def made(root: Path, folders: int = 20, files: int = 50, size: int = 20_000) -> Path:
    """A folder with many small files, of several modes and times, and a link."""
    chance = random.Random(root.name)
    tree: FolderTree = {"": TreeItem(PackedKind.FOLDER, 0o755, WHEN)}
    for number in range(folders):
        tree[f"folder {number}"] = TreeItem(PackedKind.FOLDER, 0o750, WHEN + number)
        for file in range(files):
            mode = chance.choice((0o600, 0o644, 0o755))
            tree[f"folder {number}/{file}.bin"] = TreeItem(PackedKind.FILE, mode, WHEN - file, chance.randbytes(size))
    tree["latest"] = TreeItem(PackedKind.LINK, 0, WHEN, b"folder 0")
    write_tree(root, tree)
    return root


def send(lab: Lab, *sources: Path) -> Any:
    ended = lab.nectar("send", *sources, "--from", SENDER, "--to", RECEIVER, "--json")
    assert ended.code == 0, ended
    return ended.json


@pytest.mark.parametrize(
    "who", [RECEIVER, pytest.param(SENDER, marks=pytest.mark.long), pytest.param("ctrl-c", marks=pytest.mark.long)]
)
def test_a_folder_that_is_broken_off_goes_on_and_arrives_as_it_was(lab: Lab, tmp_path: Path, who: str) -> None:
    folder = made(tmp_path / f"broken by {who}")
    size = 20 * MIB
    with lab.sending(folder, size // 2) as command:
        if who == "ctrl-c":
            command.send_signal(signal.SIGINT)
            assert command.stdout is not None
            while "Stopping the transfer" not in command.stdout.readline():
                assert command.poll() is None
            lab.release()
            assert command.wait(30) == 130
        else:
            lab.nodes.kill(who)
            lab.release()
            assert command.wait(30) in (1, 3, 4)
    lab.mend()
    assert folder.name not in lab.arrived()
    result = send(lab, folder)
    assert (result["files"], result["left_out"]) == (1000, None)
    assert result["resumed_from"] > size // 8
    assert read_tree(lab.inbox / folder.name) == read_tree(folder)
    assert list((lab.inbox / ".partial").iterdir()) == []
    assert send(lab, folder)["sent"] == 0


def test_several_sources_go_to_several_nodes_and_each_is_told(lab: Lab, tmp_path: Path) -> None:
    third = "third.nec"
    lab.nodes.start((SENDER, RECEIVER, third))
    folder, file = made(tmp_path / "both", 2, 3, 10), random_file(tmp_path / "one.bin", 1000)
    to = ("--from", SENDER, "--to", RECEIVER, "--to", third)
    ended = lab.nectar("send", folder, file, *to, "--json")
    assert ended.code == 0, ended
    rows = [(Path(each["file"]).name, each["to"], each["name"]) for each in ended.json["transfers"]]
    both = [("both", "both"), ("one.bin", "one.bin")]
    assert rows == [(given, node, name) for node in (RECEIVER, third) for given, name in both]
    for node in (RECEIVER, third):
        inbox = lab.nodes.place(node).drives / "file_transfer:sys" / "inbox"
        assert read_tree(inbox / "both") == read_tree(folder)
        assert (inbox / "one.bin").read_bytes() == file.read_bytes()
    lab.nodes.kill(third)
    ended = lab.nectar("send", random_file(tmp_path / "two.bin", 10), folder, *to)
    assert ended.code == 3, ended
    assert "recv.nec has two.bin: 10 B" in ended.out
    assert "third.nec is offline" in ended.err.lower()
    assert "both → third.nec: It was not tried, since the one before was lost." in ended.err


def test_what_cannot_be_in_a_folder_is_one_sentence_and_what_is_left_out_another(lab: Lab, tmp_path: Path) -> None:
    folder = made(tmp_path / "odd", 1, 1, 10)
    (folder / "out").symlink_to("/etc/passwd")
    ended = lab.nectar("send", folder, "--from", SENDER, "--to", RECEIVER)
    assert ended.code == 0, ended
    assert "recv.nec has odd: 1 file, " in ended.out
    assert "odd: left out: 1 link that leads out of the folder, 'out'." in ended.err
    (folder / "back\\slash").touch()
    ended = lab.nectar("send", folder, "--from", SENDER, "--to", RECEIVER)
    assert ended.code == 1, ended
    assert "odd cannot be read on send.nec: a file in it, 'back\\\\slash', has a name that cannot be sent" in ended.err
