"""Invitations are made where the registrar's key is, and the testnet's own nodes need nobody to give them one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.cli.main import main
from nectar_node.contract.config import REGISTRAR_NAME, GenesisFile
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, BootOptions, keep_options
from nectar_node.launcher.local_network import LocalNetwork
from net.names.invitation import parse_invitation_untrusted, read_invitation_untrusted
from net.names.joining import parse_join_text_untrusted
from net.names.keyfile import read_key_file
from testnet.cli.invite import invited, parse_period


@pytest.fixture
def network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> LocalNetwork:
    """A testnet whose registrar, which is down, demands invitations."""
    assert main(["keys", "new", REGISTRAR_NAME, "--no-password", "--dir", str(tmp_path)]) == 0
    network = LocalNetwork(tmp_path)
    GenesisFile(REGISTRAR_NAME, owner(network), "127.0.0.1", 1, by_invitation=True).save(tmp_path)
    capsys.readouterr()
    return network


def owner(network: LocalNetwork) -> bytes:
    """The registrar's public key."""
    return read_key_file(network.place(REGISTRAR_NAME).key).key.public_key


def test_an_invitation_says_what_it_was_made_for_and_whether_it_is_needed(
    network: LocalNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, uses, name in ((["--uses", "3"], 3, None), (["--name", "ann.nec", "--expires", "2h"], 1, "ann.nec")):
        assert main(["testnet", "invite", "--dir", str(network.folder), *words]) == 0
        told = capsys.readouterr()
        joining = parse_join_text_untrusted(told.out)
        assert joining.genesis == GenesisFile.load(network.folder).genesis()
        assert joining.invitation is not None
        invitation = read_invitation_untrusted(joining.invitation, owner(network))
        assert (invitation.uses, invitation.name) == (uses, name)
        assert "listens on this machine only" in told.err
        assert "Anyone can join" not in told.err
        assert 0 < invitation.expires_at - time.time() <= 7 * 24 * 3600
    GenesisFile(REGISTRAR_NAME, owner(network), "127.0.0.1", 1).save(network.folder)
    assert main(["testnet", "invite", "--dir", str(network.folder)]) == 0
    assert "Anyone can join" in capsys.readouterr().err


def test_no_two_invitations_are_the_same_and_programs_can_read_them(
    network: LocalNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    for _ in range(2):
        assert main(["testnet", "invite", "--dir", str(network.folder), "--json"]) == 0
        made.append(json.loads(capsys.readouterr().out))
    assert made[0]["invitation"] != made[1]["invitation"]
    token = parse_invitation_untrusted(made[0]["invitation"])
    assert parse_join_text_untrusted(made[0]["join"]).invitation == token
    assert (made[0]["uses"], made[0]["name"]) == (1, None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--expires", "soon"), "is not a valid time"),
        (("--name", "no name"), "is not a node name"),
        (("--name", "a.nec", "--uses", "2"), "valid for one name"),
        (("--at", "nowhere"), "expected HOST:PORT"),
    ],
)
def test_what_cannot_be_meant_is_bad_usage(
    network: LocalNetwork, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert main(["testnet", "invite", "--dir", str(network.folder), *words]) == 2
    assert told in capsys.readouterr().err


def test_without_the_registrars_key_nobody_can_be_invited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    GenesisFile(REGISTRAR_NAME, b"k" * 32, "127.0.0.1", 1, by_invitation=True).save(tmp_path)
    assert main(["testnet", "invite", "--dir", str(tmp_path)]) == 2
    assert "where the registrar runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800), ("2w", 1209600)]
)
def test_a_period_has_a_unit(text: str, seconds: int) -> None:
    assert parse_period(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "7", "d", "0d", "-1d", "1.5d", "7 days", "999999999w", "\N{ARABIC-INDIC DIGIT SEVEN}d"]
)
def test_what_is_no_period_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        parse_period(text)


# --- the nodes that the owner starts ----------------------------------------------------------------------------------


def booting(*names: str) -> dict[str, BootOptions]:
    """Nodes that are to be started, with the usual options."""
    return dict.fromkeys(names, DEFAULT_OPTIONS)


def test_a_testnet_by_invitation_invites_its_own_nodes_until_it_is_opened(tmp_path: Path) -> None:
    options = invited(LocalNetwork(tmp_path), booting(REGISTRAR_NAME, "a.nec"), invite_only=None)
    assert (options[REGISTRAR_NAME].invite_only, options["a.nec"].invitation) == (False, None)
    assert not list(tmp_path.iterdir())
    network = LocalNetwork(tmp_path)
    options = invited(network, booting(REGISTRAR_NAME, "a.nec", "b.nec"), invite_only=True)
    assert (options[REGISTRAR_NAME].invite_only, options[REGISTRAR_NAME].invitation) == (True, None)
    token = options["a.nec"].invitation
    assert token is not None
    assert token == options["b.nec"].invitation
    assert read_invitation_untrusted(token, owner(network)).uses == 2


def test_a_testnet_goes_on_as_it_was_and_can_be_opened(network: LocalNetwork) -> None:
    assert invited(network, booting(REGISTRAR_NAME, "a.nec"), None)["a.nec"].invitation is not None
    keep_options(network.place(REGISTRAR_NAME), BootOptions(invite_only=False))
    for told in (None, False):
        assert invited(network, booting(REGISTRAR_NAME, "a.nec"), told)["a.nec"].invitation is None


def test_a_node_that_joins_a_running_registrar_is_invited_and_that_cannot_change_meanwhile(
    network: LocalNetwork,
) -> None:
    for told in (None, True):
        assert invited(network, booting("a.nec"), told)["a.nec"].invitation is not None
    with pytest.raises(BadInput, match="runs already: stop it first"):
        invited(network, booting("a.nec"), invite_only=False)
