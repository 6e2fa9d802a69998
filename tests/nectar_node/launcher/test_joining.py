"""Who has a text of `nectar testnet invite` gets that network's folder, and no other network's folder is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.cli.main import main
from nectar_node.contract.config import REGISTRAR_NAME, GenesisFile
from nectar_node.launcher.arguments import parse_invitation
from nectar_node.launcher.joining import host_towards, join_network, join_text_of, read_join_text
from nectar_node.launcher.local_network import DIRECTORY_VARIABLE, LocalNetwork
from net.names.directory import Genesis
from net.names.joining import JoinText, encode_join_text

KEY = b"k" * 32
JOINING = JoinText(Genesis(REGISTRAR_NAME, KEY, "127.0.0.1", 9000), by_invitation=True, invitation=b"token")
FILE = GenesisFile(REGISTRAR_NAME, KEY, "127.0.0.1", 9000, by_invitation=True)


def test_the_text_makes_the_folder_and_a_newer_one_tells_where_the_registrar_is_now(tmp_path: Path) -> None:
    network = LocalNetwork(tmp_path / "net")
    join_network(network, JOINING)
    assert GenesisFile.load(network.folder) == FILE
    moved = JoinText(Genesis(REGISTRAR_NAME, KEY, "10.0.0.9", 1), by_invitation=False, invitation=None)
    join_network(network, moved)
    assert GenesisFile.load(network.folder) == GenesisFile(REGISTRAR_NAME, KEY, "10.0.0.9", 1)


def test_the_folder_of_another_network_stays_as_it_is(tmp_path: Path) -> None:
    other = GenesisFile(REGISTRAR_NAME, b"o" * 32, "127.0.0.1", 1)
    other.save(tmp_path)
    with pytest.raises(BadInput, match="belongs to another network: name another folder with --dir"):
        join_network(LocalNetwork(tmp_path), JOINING)
    assert GenesisFile.load(tmp_path) == other


def test_a_text_is_read_as_it_is_or_from_a_file_and_anything_else_names_a_folder(tmp_path: Path) -> None:
    text = encode_join_text(JOINING)
    (tmp_path / "text").write_text(f"\n {text}\n")
    assert read_join_text(text) == read_join_text(f"@{tmp_path / 'text'}") == JOINING
    assert read_join_text(".nectar") is None
    assert parse_invitation(text) == b"token"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a.nec", "--join", "nectar-join-1.AAAA"), "copy it as `nectar testnet invite` has printed it"),
        (("a.nec", "--join", "nectar-joi"), "There is no testnet in nectar-joi"),
        (("a.nec", "--join", "@nowhere"), "Cannot read the text in nowhere"),
        (("a.nec", "--join", "here", "--dir", "there"), "Both --join and --dir name a folder"),
        ((REGISTRAR_NAME, "--join", encode_join_text(JOINING)), "cannot join a network: it makes one"),
    ],
)
def test_what_cannot_be_meant_is_said_and_nothing_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["boot", "--detach", *words]) in (1, 2)
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_named_counts_more_than_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "usual"))
    assert main(["boot", "--detach", "a.nec", "--join", str(tmp_path / "named")]) == 1
    assert f"There is no testnet in {tmp_path / 'named'}" in capsys.readouterr().err


def test_a_registrar_that_listens_everywhere_must_say_where_others_reach_it(tmp_path: Path) -> None:
    GenesisFile(REGISTRAR_NAME, KEY, "0.0.0.0", 9000).save(tmp_path)
    with pytest.raises(BadInput, match="say with --at HOST:PORT"):
        join_text_of(LocalNetwork(tmp_path), b"token", None)
    joining = join_text_of(LocalNetwork(tmp_path), b"token", ("net.example", 7))
    assert joining == JoinText(Genesis(REGISTRAR_NAME, KEY, "net.example", 7), False, b"token")


def test_a_node_listens_at_the_address_from_which_it_reaches_the_registrar() -> None:
    assert host_towards(JOINING) == "127.0.0.1"
    assert host_towards(JoinText(Genesis(REGISTRAR_NAME, KEY, "127.0.0.7", 1), False, None)) == "127.0.0.1"
