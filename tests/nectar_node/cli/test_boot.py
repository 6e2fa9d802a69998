"""What `nectar boot` makes of what the user typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, CannotJoin
from nectar_node.cli.main import main
from nectar_node.cli.starting.reached import await_places, tell_places
from nectar_node.contract.config import GenesisFile
from nectar_node.driver.listening import open_to_all
from nectar_node.launcher.arguments import check_package, parse_endpoint, parse_invitation
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.launcher.node_config import make_config, shipped_packages
from nectar_node.launcher.passwords import with_password
from net.names.invitation import invitation_text
from tests.nectar_node.cli.served_node import make_network, serve_node

GENESIS = GenesisFile("registrar.nec", bytes(range(32)), "127.0.0.1", 4000)


def test_a_node_is_told_who_grants_names_and_the_registrar_needs_nobody(tmp_path: Path) -> None:
    with pytest.raises(CannotJoin, match="There is no testnet"):
        make_config(LocalNetwork(tmp_path), "a.nec", BootOptions())
    GENESIS.save(tmp_path)
    config = make_config(LocalNetwork(tmp_path), "a.nec", BootOptions(port=9))
    assert config.genesis == GENESIS
    assert (config.name, config.port, config.folder.path) == ("a.nec", 9, tmp_path / "nodes" / "a.nec")
    config = make_config(LocalNetwork(tmp_path), "registrar.nec", BootOptions())
    assert (config.genesis, config.packages) == (None, ())


def test_the_packages_that_come_with_the_node_have_a_manifest_each() -> None:
    names = {path.parent.name for path in shipped_packages()}
    assert {"file_transfer", "hello"} <= names
    for folder in shipped_packages(with_pages=True):
        assert isinstance(json.loads((folder / "manifest.json").read_text()), list)


def test_a_node_that_serves_browsers_runs_the_homepage_too(tmp_path: Path) -> None:
    GENESIS.save(tmp_path)
    place = LocalNetwork(tmp_path)
    bare, serving = (make_config(place, "a.nec", BootOptions(http=http)) for http in (None, ("127.0.0.1", 0)))
    assert {folder.parent.name for folder in set(serving.packages) - set(bare.packages)} == {"homepage"}
    assert make_config(place, "a.nec", BootOptions(http=("127.0.0.1", 0), packages=())).packages == ()


def test_a_package_is_found_by_its_manifest_or_by_its_source(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no manifest\.json"):
        check_package(tmp_path)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "manifest.json").write_text("[]")
    assert check_package(tmp_path) == check_package(tmp_path / "pkg") == (tmp_path / "pkg").resolve()


@pytest.mark.parametrize("text", ["here", ":1", "here:", "here:0", "here:65536", "here:-1", "here:٣"])
def test_what_is_no_endpoint_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="expected HOST:PORT"):
        parse_endpoint(text)


def test_an_endpoint_has_a_host_and_a_port() -> None:
    assert parse_endpoint("::1:80") == ("::1", 80)


def test_a_password_is_a_file_without_its_line_end_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret word\n")
    options = BootOptions(password_file=tmp_path / "password")
    network = LocalNetwork(tmp_path)
    config = make_config(network, "registrar.nec", with_password(network.place("registrar.nec"), options))
    assert config.password == b"secret word"
    assert "secret" not in repr(config)
    options = BootOptions(password_file=tmp_path / "none")
    with pytest.raises(BadInput, match="Cannot read the password file"):
        with_password(LocalNetwork(tmp_path).place("registrar.nec"), options)


@pytest.mark.parametrize("name", ["nec", "a b.nec", "../a.nec", "A.nec", "a.nec/.."])
def test_a_name_that_is_no_node_name_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["boot", name, "--join", str(tmp_path)]) == 2
    assert "is not a node name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--routers", ","), "does not name a router"),
        (("--routers", "a.nec"), "names a.nec itself"),
        (("--routers", "b.nec,b.nec"), "a router twice"),
        (("--routers", "b.nec", "--advertise", "h:1"), "leave out one of them"),
        (("--package", "nowhere"), "is not a package"),
        (("--invitation", "nectar-invitation-1.$"), "That is not an invitation"),
        (("--invitation", "@nowhere"), "Cannot read the invitation in nowhere"),
        (("--invite-only",), "Only registrar.nec gives names away"),
    ],
)
def test_what_cannot_be_meant_is_said_before_there_is_a_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], told: str
) -> None:
    GENESIS.save(tmp_path)
    assert main(["boot", "a.nec", "--detach", "--join", str(tmp_path), *options]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "nodes").exists()


# --- invitations, and who reaches the node ----------------------------------------------------------------------------


def test_a_node_shows_its_invitation_which_is_a_token_or_a_file_that_holds_one_and_only_the_registrar_demands_any(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text(invitation_text(b"token") + "\n")
    for text in (invitation_text(b"token"), f"@{tmp_path / 'token'}"):
        assert parse_invitation(text) == b"token"
    GENESIS.save(tmp_path)
    options = BootOptions(invitation=b"token", invite_only=True)
    node, registrar = (make_config(LocalNetwork(tmp_path), name, options) for name in ("a.nec", "registrar.nec"))
    assert (node.invitation, node.by_invitation, registrar.by_invitation) == (b"token", False, True)
    assert "token" not in repr(node)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_registrar_that_only_this_machine_reaches_is_not_warned(host: str, tmp_path: Path) -> None:
    config = make_config(LocalNetwork(tmp_path), "registrar.nec", BootOptions(host=host))
    assert open_to_all(config) is None


def test_a_registrar_that_strangers_reach_is_warned_unless_it_demands_invitations(tmp_path: Path) -> None:
    for options in (BootOptions(host="0.0.0.0"), BootOptions(advertise=("192.0.2.1", 1))):
        told = open_to_all(make_config(LocalNetwork(tmp_path), "registrar.nec", options))
        assert told is not None
        assert "--invite-only" in told
        by_invitation = replace(options, invite_only=True)
        assert open_to_all(make_config(LocalNetwork(tmp_path), "registrar.nec", by_invitation)) is None


def test_a_node_is_said_to_be_reached_through_those_routers_alone_that_keep_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_network(tmp_path)
    looks = iter((["awaited", "awaited", "held"], ["held", "refused", "held"]))

    def status(_: object) -> dict[str, object]:
        places = zip(("r1.nec", "r2.nec", "r3.nec"), next(looks), strict=True)
        return {"ok": {"routers": [{"name": name, "place": place} for name, place in places]}}

    with serve_node(tmp_path, "a.nec", status):
        tell_places("a.nec", 12, await_places(LocalNetwork(tmp_path), "a.nec"))
    told = capsys.readouterr()
    assert told.out == "a.nec runs as process 12 and is reached through r1.nec and r3.nec.\n"
    assert told.err == "r2.nec has no place for it: a.nec asks it again.\n"
    tell_places("a.nec", 12, {"r1.nec": "unreachable", "r2.nec": "awaited"})
    told = capsys.readouterr()
    assert told.out == "a.nec runs as process 12 and cannot be reached yet.\n"
    assert told.err.splitlines() == [
        "r1.nec cannot be reached: a.nec asks it again.",
        "r2.nec has not answered yet: a.nec asks it again.",
    ]
