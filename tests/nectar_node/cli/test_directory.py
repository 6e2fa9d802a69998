"""`nectar directory sign`: the file of a network without a registrar."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.cli.directory import _replace, parse_nodes
from nectar_node.launcher.arguments import parse_directory
from net.names.directory import Endpoint, decode_static_directory_untrusted
from net.names.keyfile import unlock_key_file
from tests.commands import Ended, nectar


def sign(folder: Path, *words: str) -> Ended:
    return nectar("directory", "sign", folder / "out", "--authority", "a.nec", *words, folder=folder)


def key_of(folder: Path, name: str) -> bytes:
    return unlock_key_file(folder / "nodes" / name / "key", None).identity.public_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network with two keys."""
    for name in ("a.nec", "b.nec"):
        assert nectar("keys", "new", name, "--no-password", folder=tmp_path).code == 0
    return tmp_path


def test_the_file_says_who_is_where_until_when_and_is_signed_by_its_authority(folder: Path) -> None:
    assert sign(folder, "--node", "b.nec=h:1", "--node", "a.nec=h:2", "--node", "b.nec=::1:3").code == 0
    read = decode_static_directory_untrusted((folder / "out").read_bytes(), key_of(folder, "a.nec"))
    found = read.find("b.nec")
    assert found is not None
    assert (found.endpoints, found.public_key) == ((Endpoint("h", 1), Endpoint("::1", 3)), key_of(folder, "b.nec"))
    assert (read.find("c.nec"), read.next_expiry()) == (None, None)
    assert sign(folder, "--node", "b.nec=h:1", "--days", "2").code == 0
    read = decode_static_directory_untrusted((folder / "out").read_bytes(), key_of(folder, "a.nec"))
    found = read.find("b.nec")
    assert found is not None
    assert read.next_expiry() == found.expires_at == found.issued_at + 2 * 24 * 3600
    read.expire(found.expires_at)
    assert read.find("b.nec") is None


def test_a_node_without_a_key_is_not_signed_for(folder: Path) -> None:
    ended = sign(folder, "--node", "c.nec=h:1")
    assert (ended.code, "There is no node c.nec" in ended.err) == (2, True)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("place", "reason"), [("", "is a folder"), (".", "is a folder"), ("nowhere/out", "No such file or directory")]
)
def test_where_no_file_can_be_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, reason: str
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    ended = nectar("directory", "sign", place, "--authority", "a.nec", "--node", "a.nec=h:1", folder=folder)
    assert (ended.code, reason in ended.err, ended.err.count("\n")) == (2, True, 1)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("word", ["a.nec", "a.nec=h", "=h:1", "A=h:1", "a.nec=h h:1", f"a.nec={'h' * 300}:1"])
def test_what_is_no_node_with_its_endpoint_is_bad_input(word: str) -> None:
    with pytest.raises(BadInput):
        parse_nodes([word])


def test_file_and_authority_belong_together(tmp_path: Path) -> None:
    assert parse_directory(None, "") is None
    assert parse_directory(tmp_path, "11" * 32) == (tmp_path, b"\x11" * 32)
    for file, authority in ((None, "11" * 32), (tmp_path, ""), (tmp_path, "11" * 31), (tmp_path, "x")):
        with pytest.raises(BadInput, match="--authority"):
            parse_directory(file, authority)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=f"Cannot write {tmp_path}/file/signed: Not a directory"):
        _replace(tmp_path / "file" / "signed", b"names")
