"""A node's store at a boot: taken over from an older version, damaged, gone, rescued."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from socket import socket

import apsw
import cbor2
import pytest

from kernel.capabilities.grants import Grants
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from nectar_node.base import own_files
from nectar_node.base.errors import BadFolder
from nectar_node.base.folder import NodeFolder
from nectar_node.driver.node_store import open_store
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.peers.grant_rows import GrantRows
from nectar_node.peers.proofs import Proofs
from nectar_node.storage.operations import Row, StateRow, file_name
from testnet.real.local import LocalTestnet

FOLDERS = Path(__file__).parent / "folders"
PACKAGES = Path(__file__).resolve().parents[3] / "packages"
NAME = "a.nec"
HOLDER = ProcessId.parse("holder:app:x.nec")
ISSUER = ProcessId.parse("issuer:app:x.nec")
TICKET = Capability(Address(NAME, ISSUER), '{"door":1}')


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    """The folder of a node that has granted and revoked something, and does not run."""
    node = NodeFolder(tmp_path / NAME)
    node.create()
    opened = open_store(node, NAME)
    grants = Grants(NAME)
    rows = GrantRows(grants, Proofs(grants.is_held))
    grants.grant(HOLDER, [TICKET])
    grants.issue()
    grants.revoke(Address(NAME, ProcessId.parse("killed:app:x.nec")))
    opened.database.commit(rows.changes())
    opened.database.close()
    return node


def damage(folder: NodeFolder) -> None:
    """Flip one bit in the value of the row that says who holds what."""
    data = bytearray(folder.store.read_bytes())
    at = data.index(b'{"door":1}')
    data[at + 8] ^= 1
    folder.store.write_bytes(data)


def test_g21_what_is_held_and_revoked_is_there_at_the_next_boot(folder: NodeFolder) -> None:
    opened = open_store(folder, NAME)
    assert opened.kept.grants.held == {HOLDER: ((TICKET,), ())}
    assert opened.kept.grants.revoked.issuers == ((ProcessId.parse("killed:app:x.nec"), 1),)
    opened.database.close()


def test_g21_a_flipped_bit_is_a_sentence_that_says_what_to_do_and_changes_nothing(folder: NodeFolder) -> None:
    damage(folder)
    before = folder.store.read_bytes()
    with pytest.raises(BadFolder, match=r"store is damaged: .*holder:app:x.nec.* with --rescue") as raised:
        open_store(folder, NAME)
    assert "\n" not in str(raised.value)
    assert folder.store.read_bytes() == before


def test_g21_a_store_that_is_gone_is_missed(folder: NodeFolder) -> None:
    folder.store.unlink()
    with pytest.raises(BadFolder, match="store is damaged: the file is gone"):
        open_store(folder, NAME)
    assert not folder.store.exists()


def test_g21_a_store_that_was_emptied_is_no_new_one(folder: NodeFolder) -> None:
    folder.store.write_bytes(b"")
    with pytest.raises(BadFolder, match="store is damaged: the file is empty"):
        open_store(folder, NAME)
    assert folder.store.read_bytes() == b""


def test_g21_a_rescue_keeps_what_is_whole_puts_the_rest_aside_and_voids_every_ticket(
    folder: NodeFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = open_store(folder, NAME)
    other = ProcessId.parse("other:app:x.nec")
    grants = Grants(NAME)
    grants.grant(other, [TICKET])
    opened.database.commit(GrantRows(grants, Proofs(grants.is_held)).changes())
    opened.database.close()
    data = bytearray(folder.store.read_bytes())
    data[data.index(b"holder:app") + 60] ^= 1
    folder.store.write_bytes(data)
    rescued = open_store(folder, NAME, rescue=True)
    assert list(rescued.kept.grants.held) == [other]
    number, everything, *_ = rescued.kept.grants.revoked
    assert number > everything > 1_700_000_000_000
    again = Grants(NAME)
    again.restore(rescued.kept.grants.held, rescued.kept.grants.revoked)
    assert not again.is_issue(ISSUER, 1)
    assert again.is_issue(ISSUER, again.issue())
    (aside,) = folder.path.glob("damaged-*")
    assert (aside / "store").read_bytes() == data
    said = capsys.readouterr().err + capsys.readouterr().out
    assert said == "" or "1 rows are lost" in said
    rescued.database.close()
    open_store(folder, NAME).database.close()


def test_g21_a_node_that_was_restored_voids_every_ticket_once(folder: NodeFolder) -> None:
    opened = open_store(folder, NAME)
    before = opened.kept.grants
    opened.database.commit([Row("own", "successor", cbor2.dumps(["x", 1]))])
    opened.database.close()
    folder.restored.touch()
    restored = open_store(folder, NAME)
    number, everything, *rest = restored.kept.grants.revoked
    assert (rest, number) == ([(), ()], everything + 1)
    assert everything > 1_700_000_000_000
    assert restored.kept.grants.held == before.held
    assert restored.kept.own.successor is None
    restored.database.close()
    again = open_store(folder, NAME)
    assert again.kept.grants.revoked == restored.kept.grants.revoked
    again.database.close()


def test_a_store_of_a_newer_version_is_refused_by_its_number(folder: NodeFolder) -> None:
    import apsw

    connection = apsw.Connection(str(folder.store))
    list(connection.execute("PRAGMA user_version=7"))
    connection.close()
    with pytest.raises(BadFolder, match="its format is 7, and this program knows those up to 1"):
        open_store(folder, NAME)
    with pytest.raises(BadFolder, match="its format is 7"):
        open_store(folder, NAME, rescue=True)


def test_a_row_that_a_node_never_writes_is_damage(folder: NodeFolder) -> None:
    opened = open_store(folder, NAME)
    opened.database.commit([Row("processes", "a:b:c", b"not a process")])
    opened.database.close()
    with pytest.raises(BadFolder, match="the row of a:b:c does not describe a process"):
        open_store(folder, NAME)


def test_g21_a_damaged_file_of_an_older_version_is_no_empty_one(tmp_path: Path) -> None:
    node = NodeFolder(tmp_path / NAME)
    node.create()
    node.capabilities.write_bytes(b"\x80")
    with pytest.raises(BadFolder, match="the file is not a capability store"):
        open_store(node, NAME)
    assert node.capabilities.exists()


LONG = ProcessId("n" * 63, "k" * 63, ".".join("p" * 63 for _ in range(4))[:253])


def lay_states(folder: NodeFolder) -> dict[str, bytes]:
    """Leave saved states as the first version did; return them by name."""
    folder.state.mkdir(mode=0o700)
    states = {str(HOLDER): b"holder's", str(ISSUER): b"", file_name(str(LONG)): b"of a long id" * 1000}
    for name, data in states.items():
        own_files.write(folder.state / name, data)
    return states


def test_g27_states_that_were_files_are_taken_over_and_the_files_are_gone(tmp_path: Path) -> None:
    node = NodeFolder(tmp_path / NAME)
    node.create()
    states = lay_states(node)
    opened = open_store(node, NAME)
    assert opened.kept.states == {name: len(data) for name, data in states.items()}
    assert {name: opened.database.state(name) for name in states} == states
    opened.database.close()
    assert not node.state.exists()


def test_g27_a_crash_while_they_are_taken_over_loses_none_and_brings_no_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = NodeFolder(tmp_path / NAME)
    node.create()
    states = lay_states(node)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for place in ("_write_states", "_mark", "_remove_former"):
        with monkeypatch.context() as broken:
            broken.setattr(f"nectar_node.driver.node_store.{place}", crash)
            with pytest.raises(KeyboardInterrupt):
                open_store(node, NAME)
        assert {each.name for each in node.state.iterdir()} == states.keys()
        connections = [each for each in apsw.connections() if each.filename == str(node.store)]
        for connection in connections:
            connection.close(True)
    opened = open_store(node, NAME)
    opened.database.commit((), [StateRow(str(HOLDER), b"newer")])
    opened.database.close()
    lay_states(node)  # as if the files had been there still
    again = open_store(node, NAME)
    assert again.database.state(str(HOLDER)) == b"newer"
    assert not node.state.exists()
    again.database.close()


def test_g27_what_is_whole_of_saved_states_is_rescued(folder: NodeFolder) -> None:
    opened = open_store(folder, NAME)
    states = {f"n{number}:app:x.nec": b"state %d" % number * 100 for number in range(50)}
    opened.database.commit((), [StateRow(*row) for row in states.items()])
    opened.database.close()
    damage(folder)
    damaged = bytearray(folder.store.read_bytes())
    damaged[damaged.index(b"state 7" * 5)] ^= 1
    folder.store.write_bytes(damaged)
    rescued = open_store(folder, NAME, rescue=True)
    assert rescued.kept.states.keys() == states.keys() - {"n7:app:x.nec"}
    assert all(rescued.database.state(key) == states[key] for key in rescued.kept.states)
    rescued.database.close()


def test_g26_a_network_of_the_first_version_boots_and_has_lost_nothing(tmp_path: Path) -> None:
    net = tmp_path / "net"
    shutil.copytree(FOLDERS / "before_the_store", net)
    for path in (net, *net.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    # Another program may have the registrar's port by now.
    genesis = json.loads((net / "testnet.json").read_text())
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        genesis["port"] = free.getsockname()[1]
    (net / "testnet.json").write_text(json.dumps(genesis))
    handoff = BootOptions(packages=(PACKAGES / "handoff" / "pkg",))
    chosen = tuple(PACKAGES / each / "pkg" for each in ("handoff", "store", "file_transfer"))
    with LocalTestnet(net) as nodes:
        nodes.boot({"a.nec": handoff, "b.nec": BootOptions(packages=chosen)})
        opened = nodes.message("b.nec", "our@guest:handoff:sys", '{"Open":{"node":"a.nec","door":3}}')
        assert json.loads(str(opened["body"])) == {"Door": {"Opened": {"door": 3, "times": 1}}}, "with its old ticket"
        assert not nodes.place("b.nec").state.exists(), "the state of store:store:sys is in the store now"
        value = nodes.message("b.nec", "our@store:store:sys", '{"Get":{"key":"k"}}')
        assert json.loads(str(value["body"])) == {"Value": {"value": "v", "version": 1}}
        for name in ("a.nec", "b.nec", "registrar.nec"):
            assert nodes.place(name).store.exists()
            assert not nodes.place(name).capabilities.exists()
    sent = net / "nodes" / "b.nec" / "vfs" / "file_transfer:sys" / "inbox" / "upgrade.txt"
    assert sent.read_text() == "kept over an upgrade\n"
