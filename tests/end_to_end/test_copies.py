"""A node that is copied and started elsewhere takes the place of the one before, which ends and says so: real nodes."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nectar_node.base.errors import NodeError
from nectar_node.cli.main import main
from nectar_node.contract.config import GENESIS_FILE, REGISTRAR_NAME, GenesisFile
from nectar_node.driver.name_lookup import look_up
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.peers.name_rows import decode_untrusted, row
from nectar_node.storage.database import Database
from net.names.directory import grant_record, sign_record
from net.names.keyfile import unlock_key_file
from testnet.real.local import LocalTestnet
from tests.commands import Ended, nectar
from tests.end_to_end.lab import command
from tests.waiting import LIMIT, until

NODE = "moved.nec"
BARE = BootOptions(packages=())


@contextmanager
def running(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The node in the foreground, as its user starts it."""
    words = command("boot", NODE, "--join", folder, "--no-packages", *options)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def is_ready(network: LocalTestnet) -> bool:
    """Whether the node answers its user, and so has booted."""
    with contextlib.suppress(NodeError):
        network.processes(NODE)
        return True
    return False


@pytest.mark.long
def test_of_two_copies_the_older_one_ends_with_what_to_do(fresh_network: LocalTestnet, tmp_path: Path) -> None:
    network, elsewhere = fresh_network, tmp_path / "elsewhere"
    network.options = BARE
    network.start()
    with running(network.folder) as older:
        until(lambda: is_ready(network))
        shutil.copytree(network.place(NODE).path, LocalNetwork(elsewhere).place(NODE).path, ignore=_running)
        shutil.copy(network.folder / GENESIS_FILE, elsewhere)
        with running(elsewhere) as newer:
            _, said = older.communicate(timeout=LIMIT)
            assert older.returncode == 1
            (sentence,) = [line for line in said.splitlines() if line.startswith(f"A copy of {NODE} at 127.0.0.1:")]
            assert "has taken its place since 20" in sentence
            assert sentence.endswith("stop the copy and boot this one with --take-over.")
            again = nectar("boot", NODE, "--join", network.folder, "--no-packages", "--detach")
            assert (again.code, again.err.strip().splitlines()[-1]) == (1, sentence)
            assert newer.poll() is None
            with running(network.folder, "--take-over"):
                _, said = newer.communicate(timeout=LIMIT)
                assert newer.returncode == 1
                assert f"A copy of {NODE} at 127.0.0.1:" in said


def _running(_: object, names: list[str]) -> set[str]:
    """What says how a node runs, and not what it is."""
    return {"lock", "control.sock"} & set(names)


def test_a_restore_refuses_a_remote_that_shows_less_than_the_network_knows(
    fresh_network: LocalTestnet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, remote, phrase = fresh_network, tmp_path / "remote", tmp_path / "phrase"
    network.options = BARE
    network.start((NODE,))
    network.stop(NODE)
    where = ["--node", NODE, "--dir", str(network.folder)]
    assert main(["backup", "add", "disk", str(remote), *where, "--json"]) == 0
    phrase.write_text(json.loads(capsys.readouterr().out)["phrase"])
    assert main(["backup", "run", *where]) == 0
    genesis = GenesisFile.load(network.folder)
    assert look_up(genesis, "nobody.nec") is None
    tell_of_copy(network, 2)
    record = look_up(genesis, NODE)
    assert record is not None
    assert (record.name, record.copy) == (NODE, 2)

    def restored(name: str, *options: str) -> Ended:
        return nectar("restore", remote, "--into", tmp_path / name, "--phrase-file", phrase, *options)

    refused = restored("refused", "--join", str(network.folder))
    assert (refused.code, refused.out) == (1, "")
    assert "has copy 1 as its newest, and moved.nec has told its network of copy 2" in refused.err
    assert not (tmp_path / "refused").exists()
    assert restored("accepted", "--join", str(network.folder), "--at-least", "1").code == 0
    network.close()
    unchecked = restored("unchecked", "--join", str(network.folder))
    assert unchecked.code == 0
    assert "does not answer. Whether" in unchecked.err


def tell_of_copy(network: LocalTestnet, number: int) -> None:
    """Let the registrar have granted a record of the node that tells of this copy."""
    network.stop(REGISTRAR_NAME)
    keys = {name: unlock_key_file(network.place(name).key, None).identity for name in (NODE, REGISTRAR_NAME)}
    database, contents = Database.open(str(network.place(REGISTRAR_NAME).store))
    (known,) = decode_untrusted(contents["names"], contents["registrar"]).records
    record = replace(known.read(), sequence=known.sequence + 1, copy=number)
    granted = grant_record(sign_record(record, keys[NODE]), keys[REGISTRAR_NAME])
    database.commit([row(granted.held())])
    database.close()
    network.start()
