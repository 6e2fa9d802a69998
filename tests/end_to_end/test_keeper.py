"""One node keeps another's backup, and gives it back to a machine that has only the phrase: real nodes, real files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from nectar_node.backup.format.keys import new_phrase
from nectar_node.cli.main import main
from nectar_node.launcher.arguments import check_package
from nectar_node.launcher.boot_options import BootOptions
from net.names.keyfile import read_key_file
from testnet.real.local import LocalTestnet
from tests.end_to_end.lab import random_file
from tests.waiting import until

PACKAGES = Path(__file__).resolve().parents[2] / "packages"
OPTIONS = BootOptions(packages=tuple(check_package(PACKAGES / name) for name in ("store", "file_transfer", "hello")))
LOST, KEEPER = "lost.nec", "keeper.nec"
STORE = "our@store:store:sys"
INBOX = Path("file_transfer:sys") / "inbox" / "holiday"
SECRET = "words that the keeper must not be able to read"


def ask(network: LocalTestnet, node: str, target: str, body: object) -> object:
    """The answer to a request."""
    answer = network.message(node, target, json.dumps(body))
    assert answer["outcome"] == "response", answer
    return json.loads(answer["body"])


def test_a_node_that_is_lost_comes_back_from_another_node(
    fresh_network: LocalTestnet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, phrase, wrong = fresh_network, tmp_path / "phrase", tmp_path / "wrong"
    network.options = OPTIONS
    network.start((LOST, KEEPER))
    where = ["--dir", str(network.folder)]

    def said(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main([*words]) == code, capsys.readouterr()
        out, err = capsys.readouterr()
        return out if code == 0 else err

    def told(*words: str) -> Any:
        return json.loads(said(*words, *where, "--json"))

    assert "keeps no backup" in said("backup", "add", "vault", f"node://{KEEPER}", "--node", LOST, *where, code=1)
    told("backup", "accept", LOST, "--quota", "1GiB", "--node", KEEPER)
    phrase.write_text(told("backup", "add", "vault", f"node://{KEEPER}", "--node", LOST)["phrase"])
    wrong.write_text(new_phrase(os.urandom))
    file = random_file(tmp_path / "holiday", 12_000_000)
    said("send", str(file), "--from", KEEPER, "--to", LOST, *where)
    ask(network, LOST, STORE, {"Lead": {"replica": "nobody.nec"}})
    ask(network, LOST, STORE, {"Put": {"key": "a", "value": SECRET}})
    network.stop(LOST)
    public_key = read_key_file(network.place(LOST).key).key.public_key
    assert f"{KEEPER} is reached through {LOST}, which is not running" in said(
        "backup", "verify", "vault", "--node", LOST, *where, code=1
    )
    network.add(LOST)

    restore = ["restore", f"node://{KEEPER}/{LOST}", "--join", str(network.folder), "--into", str(tmp_path / "new")]
    said("backup", "run", "--wait", "--node", LOST, *where)
    said("backup", "verify", "vault", "--node", LOST, *where)
    said("backup", "run", "--wait", "--node", LOST, *where)
    told_of = said("backup", "status", "--node", LOST, *where)  # on a busy machine the node has made one by itself, too
    assert "vault: complete copy" in told_of
    prune = ["backup", "prune", "vault", "--keep", "1", "--days", "0", "--node", LOST, *where]
    until(lambda: main(prune) == 0)  # it waits for no copy that the node makes just then
    (row,) = told("backup", "keeps", "--node", KEEPER)["keeps"]
    kept = {path: path.read_bytes() for path in network.place(KEEPER).kept.rglob("*") if path.is_file()}
    assert (row["owner"], row["objects"], row["bytes"]) == (LOST, len(kept), sum(map(len, kept.values())))
    assert told("df", "--node", KEEPER)["keeps_bytes"] == row["bytes"]
    plain = (SECRET.encode(), b"holiday", LOST.encode(), file.read_bytes()[:64], public_key)
    assert not any(each in data for data in kept.values() for each in plain)

    network.stop(LOST)
    shutil.rmtree(network.place(LOST).path)
    assert "does not take this recovery phrase" in said(*restore, "--phrase-file", str(wrong), code=2)
    said(*restore, "--phrase-file", str(phrase))
    nodes = sorted(path.name for path in (network.folder / "nodes").iterdir())
    assert nodes == [KEEPER, "registrar.nec"]
    with LocalTestnet(tmp_path / "new", OPTIONS) as machine:
        machine.add(LOST)
        assert read_key_file(machine.place(LOST).key).key.public_key == public_key
        assert ask(machine, LOST, STORE, {"Get": {"key": "a"}}) == {"Value": {"value": SECRET, "version": 1}}
        assert (machine.place(LOST).drives / INBOX).read_bytes() == file.read_bytes()
        there = ["--dir", str(machine.folder)]
        assert "vault" in said("backup", "list", "--node", LOST, *there)
        said("backup", "verify", "vault", "--node", LOST, *there)
    network.stop(KEEPER)
    assert f"{KEEPER} cannot be reached" in said(
        *restore[:-1], str(tmp_path / "x"), "--phrase-file", str(phrase), code=1
    )
    by_hand = str(network.place(KEEPER).kept / LOST)
    said("restore", by_hand, "--into", str(tmp_path / "by-hand"), "--phrase-file", str(phrase))
