"""A folder that somebody else has prepared is refused, with what to do, and nothing in it is touched or followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import GENESIS_FILE
from tests.commands import nectar

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
COMMANDS = (("testnet", "up", "--nodes", "a.nec", "--detach"), ("boot", "a.nec"), ("ps", "--node", "a.nec"))


def prepared(folder: Path) -> tuple[NodeFolder, Path]:
    """The folder of a node whose log and lock lead to a file elsewhere; that file."""
    precious = folder.parent / "precious"
    precious.write_bytes(b"precious")
    node = NodeFolder(folder / "nodes" / "a.nec")
    node.path.mkdir(parents=True, mode=0o700)
    for path in (node.log, node.lock, node.key, node.boot, node.path / ".boot.json.new", folder / "nodes" / ".new"):
        path.symlink_to(precious)
    return node, precious


def give_away(folder: Path) -> None:
    """All that is in it, and it, belong to another user from now on."""
    for path in (folder, *folder.rglob("*")):
        os.lchown(path, NOBODY, NOBODY)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A folder for a testnet, in which nothing runs at the end."""
    yield tmp_path / "testnet"
    for path in (tmp_path / "testnet").rglob("*"):
        assert not path.is_socket()


def below(folder: Path) -> dict[str, tuple[int, int]]:
    """All that is there, with modes and owners."""
    return {str(path): (path.lstat().st_mode, path.lstat().st_uid) for path in folder.rglob("*")}


@AS_ROOT
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_folder_of_another_user_is_refused(fresh: Path, words: tuple[str, ...]) -> None:
    _, precious = prepared(fresh)
    (fresh / GENESIS_FILE).write_text("{}")
    give_away(fresh)
    before = below(fresh)
    refused = nectar(*words, folder=fresh)
    assert refused.code == 1
    assert refused.err.startswith(f"{fresh} belongs to user ")
    assert refused.err.endswith(": choose another --dir.\n")
    assert below(fresh) == before
    assert precious.read_bytes() == b"precious"


@AS_ROOT
def test_a_nodes_folder_of_another_user_is_refused_in_a_network_of_ours(fresh: Path) -> None:
    node, precious = prepared(fresh)
    give_away(node.path)
    refused = nectar("testnet", "up", "--nodes", "a.nec", "--detach", folder=fresh)
    assert (refused.code, precious.read_bytes()) == (1, b"precious")
    assert refused.err.startswith(f"{node.path} belongs to user ")


def test_no_link_in_a_folder_of_ours_is_followed_either(fresh: Path) -> None:
    node, precious = prepared(fresh)
    refused = nectar("testnet", "up", "--nodes", "a.nec", "--detach", "--direct", folder=fresh)
    assert refused.code == 1
    assert refused.err == f"{node.lock} is a link, which is not followed here: remove it, or choose another --dir.\n"
    node.lock.unlink()
    refused = nectar("testnet", "up", "--nodes", "a.nec", "--detach", "--direct", folder=fresh)
    assert refused.err.startswith(f"{node.boot} is a link")
    assert precious.read_bytes() == b"precious"


def test_a_folder_that_a_former_version_has_made_too_open_is_tightened(fresh: Path) -> None:
    (fresh / "nodes").mkdir(parents=True)
    for path in (fresh, fresh / "nodes"):
        path.chmod(0o777)
    assert nectar("testnet", "status", folder=fresh).code == 0
    assert [stat.S_IMODE(path.stat().st_mode) for path in (fresh, fresh / "nodes")] == [0o755, 0o755]
