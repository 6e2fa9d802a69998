"""A folder where a file or a socket belongs, or a file where a folder belongs, is one sentence that names its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.folder import NodeFolder
from testnet.real.links.claim import links_folder
from tests.commands import nectar
from tests.seeds import sample

FOLDERS = ("control.sock", "lock", "log", "boot.json", "store", "format")
FILES = ("vfs", "records", "code")


@pytest.fixture
def node(tmp_path: Path) -> NodeFolder:
    folder = NodeFolder(tmp_path / "net" / "nodes" / "registrar.nec")
    folder.path.mkdir(parents=True, mode=0o700)
    return folder


def refusal(folder: Path, *words: str) -> str:
    """The one line with which a command is refused."""
    done = nectar(*words, folder=folder)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done.err
    return done.err


@pytest.mark.parametrize("name", sample(FOLDERS, 2))
def test_a_folder_in_the_place_of_a_file_is_named(node: NodeFolder, tmp_path: Path, name: str) -> None:
    (node.path / name).mkdir(mode=0o700)
    said = refusal(tmp_path / "net", "boot", "registrar.nec", "--detach")
    assert said == f"{node.path / name} is not a file: move it away, or choose another --dir.\n"
    assert (node.path / name).is_dir()


@pytest.mark.parametrize("name", sample(FILES))
def test_a_file_in_the_place_of_a_folder_is_named(node: NodeFolder, tmp_path: Path, name: str) -> None:
    (node.path / name).write_text("precious")
    said = refusal(tmp_path / "net", "boot", "registrar.nec", "--detach")
    assert said == f"{node.path / name} is not a folder: move it away, or choose another --dir.\n"
    assert (node.path / name).read_text() == "precious"


@pytest.mark.parametrize("name", sample(["lock", "control.sock", "log"]))
def test_a_folder_in_the_place_of_a_file_of_the_links_is_named(tmp_path: Path, name: str) -> None:
    links = links_folder(tmp_path / "net")
    (links.path / name).mkdir(parents=True, mode=0o700)
    for folder in (tmp_path / "net", links.path):
        folder.chmod(0o700)
    said = refusal(tmp_path / "net", "testnet", "up", "--nodes", "a.nec", "--detach")
    assert said == f"{links.path / name} is not a file: move it away, or choose another --dir.\n"


def test_to_end_a_testnet_with_a_folder_in_the_place_of_a_socket_is_refused_too(
    node: NodeFolder, tmp_path: Path
) -> None:
    node.control.mkdir(mode=0o700)
    said = refusal(tmp_path / "net", "testnet", "down")
    assert said == f"{node.control} is not a file: move it away, or choose another --dir.\n"
