"""Blobs go between a client and its node as files of its user's, and as nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.client import Answer, ControlClient
from testnet.real.local import LocalTestnet

NODE = "blobs.nec"
DATA = bytes(range(256)) * 5000


@pytest.fixture
def client(network: LocalTestnet) -> Iterator[ControlClient]:
    """A connection to a node that runs as a process."""
    if network.pid(NODE) is None:
        network.add(NODE, BootOptions(packages=()))
    with network.connect(NODE) as client:
        ask(client, "drive", "CreateDrive")
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is this user's alone."""
    made = tmp_path / "mine"
    made.mkdir(mode=0o700)
    return made


def ask(client: ControlClient, path: str, action: object, blob_file: str = "", answer_file: str = "") -> Answer:
    body = json.dumps({"path": f"/terminal:sys/{path}", "action": action})
    return client.request(
        "message", target="our@vfs:distro:sys", body=body, blob_file=blob_file, answer_file=answer_file
    )


def test_a_blob_goes_there_and_back_through_files(client: ControlClient, folder: Path) -> None:
    there, back = folder / "there", folder / "back"
    there.write_bytes(DATA)
    back.touch()
    assert json.loads(ask(client, "drive/file", "Write", blob_file=str(there))["body"]) == "Ok"
    answer = ask(client, "drive/file", "Read", answer_file=str(back))
    assert (answer["blob"], back.read_bytes()) == (None, DATA)


def test_an_answer_without_a_blob_leaves_the_file_empty(client: ControlClient, folder: Path) -> None:
    back = folder / "back"
    back.touch()
    assert ask(client, "drive", "CreateDrive", answer_file=str(back))["blob"] is None
    assert back.read_bytes() == b""


def test_what_is_no_file_of_this_user_is_one_sentence(client: ControlClient, folder: Path) -> None:
    open_to_all = folder / "open"
    open_to_all.touch()
    open_to_all.chmod(0o666)
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/etc/hostname")
    for path in ("relative", "\0", str(folder), str(folder / "none"), str(folder / "pipe"), str(folder / "link")):
        with pytest.raises(NodeError):
            ask(client, "drive/file", "FreeSpace", blob_file=path)
    with pytest.raises(BadInput, match="cannot be read"):
        ask(client, "drive/file", "FreeSpace", blob_file=str(folder / "none"))
    with pytest.raises(NodeError, match="open"):
        ask(client, "drive/file", "FreeSpace", blob_file=str(open_to_all))
    there = folder / "there"
    there.write_bytes(DATA)
    ask(client, "drive/file", "Write", blob_file=str(there))
    for path in (str(folder / "none"), str(folder / "link"), "relative"):
        with pytest.raises(NodeError):
            ask(client, "drive/file", "Read", answer_file=path)
    assert not (folder / "none").exists()
