"""A node is lost with its machine, and comes back from one remote and the recovery phrase: a real node, real files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.cli.main import main
from nectar_node.launcher.arguments import check_package
from nectar_node.launcher.boot_options import BootOptions
from net.names.keyfile import read_key_file
from testnet.real.local import LocalTestnet
from tests import s3_servers
from tests.end_to_end.lab import random_file

PACKAGES = Path(__file__).resolve().parents[2] / "packages"
OPTIONS = BootOptions(packages=tuple(check_package(PACKAGES / name) for name in ("store", "file_transfer", "hello")))
LOST, OTHER = "lost.nec", "other.nec"
STORE = "our@store:store:sys"
INBOX = Path("file_transfer:sys") / "inbox" / "holiday"


def ask(network: LocalTestnet, node: str, target: str, body: object) -> object:
    """The answer to a request."""
    answer = network.message(node, target, json.dumps(body))
    assert answer["outcome"] == "response", answer
    return json.loads(answer["body"])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A remote in a real S3 server."""
    s3_servers.use_credentials(monkeypatch)
    with s3_servers.moto() as endpoint:
        yield s3_servers.url(endpoint, "lost")


def test_a_restored_node_boots_with_its_identity_state_and_files(
    fresh_network: LocalTestnet, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, phrase = fresh_network, tmp_path / "phrase"
    network.options = OPTIONS
    network.start((LOST, OTHER))
    file = random_file(tmp_path / "holiday", 3_000_000)
    where = ["--dir", str(network.folder)]
    assert main(["send", str(file), "--from", OTHER, "--to", LOST, *where]) == 0
    ask(network, LOST, STORE, {"Lead": {"replica": "nobody.nec"}})
    ask(network, LOST, STORE, {"Put": {"key": "a", "value": "remembered"}})
    network.stop(LOST)
    before = read_key_file(network.place(LOST).key).key.public_key
    capsys.readouterr()

    remotes = {"disk": str(tmp_path / "remote"), "bucket": bucket}
    for name, remote in remotes.items():
        assert main(["backup", "add", name, remote, "--node", LOST, *where, "--json"]) == 0
        phrase.write_text(json.loads(capsys.readouterr().out)["phrase"] or phrase.read_text())
    assert main(["backup", "run", "--node", LOST, *where]) == 0
    shutil.rmtree(network.place(LOST).path)

    machines = {name: tmp_path / f"machine-{name}" for name in remotes}
    for name, new in machines.items():
        assert main(["restore", remotes[name], "--into", str(new), "--phrase-file", str(phrase)]) == 0
    assert files(machines["disk"]) == files(machines["bucket"])
    with LocalTestnet(machines["bucket"], OPTIONS) as machine:
        machine.add(LOST)
        assert read_key_file(machine.place(LOST).key).key.public_key == before
        assert ask(machine, LOST, STORE, {"Get": {"key": "a"}}) == {"Value": {"value": "remembered", "version": 1}}
        assert (machine.place(LOST).drives / INBOX).read_bytes() == file.read_bytes()
        assert ask(network, OTHER, f"{LOST}@hello:hello:sys", {"Greet": "x"}) == {"Greeting": f"Hello, x, from {LOST}"}


def files(folder: Path) -> dict[str, bytes]:
    """All that was restored, but for what each restored node has of its own."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if "/backup/" not in path}
