"""A node that works is copied, again and again, without being stopped: each copy is what it had at one instant."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nectar_node.base.errors import NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import NODES_FOLDER
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.storage.database import Database
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.conformance.lab import OUR, PACKAGE, PATIENCE, SocketLab, SocketProbe
from tests.conformance.steps import GET_STATE, Step, blob, respond, set_state, wait_for
from tests.end_to_end.lab import command
from tests.waiting import LIMIT, until

VFS = "our@vfs:distro:sys"
DRIVE = f"/{PACKAGE}/data"
FAR = 6_000_000
"""Where the second number of the file `pair` lies: a copy reads the first one long before."""
COPIES = 3


def act(name: str, action: object, text: str | None = None) -> Step:
    """A request to the vfs."""
    body = json.dumps({"path": f"{DRIVE}/{name}" if name else DRIVE, "action": action})
    return wait_for(VFS, body, expects=PATIENCE, **({} if text is None else {"blob": blob(text)}))


def rounds(number: int) -> tuple[Step, ...]:
    """What a guest does in its round of this number: at any instant, the file that its state names is there, and the
    second number in `pair` is the first one or the one before.
    """
    text = f"{number:08}"
    return (
        act("pair", {"WriteAt": {"offset": 0}}, text),
        act("pair", {"WriteAt": {"offset": FAR}}, text),
        act(f"f{number}", "Write", f"what round {number} has written"),
        set_state(text),
        act(f"f{number - 1}", "RemoveFile"),
    )


class Working:
    """A node with a guest that never rests."""

    def __init__(self, network: LocalTestnet) -> None:
        self.network = network
        self.number = 0
        self._probe = SocketProbe(network, OUR, "a")
        assert self._ask(act("", "CreateDrive"), act("pair", "CreateFile"))
        for place in range(0, FAR, 1_000_000):
            assert self._ask(act("pair", {"WriteAt": {"offset": place}}, "x" * 1_000_000))
        self.round()

    def round(self) -> None:
        self.number += 1
        assert self._ask(*rounds(self.number))

    def _ask(self, *steps: Step) -> bool:
        return self._probe.ask(*steps, respond("done"), timeout=PATIENCE).body == "done"

    @contextmanager
    def on(self) -> Iterator[None]:
        """Go on working meanwhile."""
        ended = threading.Event()

        def work() -> None:
            try:
                while not ended.is_set():
                    self.round()
            except (NodeError, OSError):
                pass  # the node was killed

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@pytest.fixture
def network(fresh: Path, tmp_path: Path) -> Iterator[LocalTestnet]:
    options: BootOptions = SocketLab.options(tmp_path / "package")
    manifest = next((tmp_path / "package").rglob("manifest.json"))
    entries = json.loads(manifest.read_text())
    for entry in entries:
        entry["request_capabilities"] = ["vfs:distro:sys"]
    manifest.write_text(json.dumps(entries))
    with LocalTestnet(fresh, options) as nodes:
        nodes.start([OUR])
        yield nodes


@pytest.fixture
def phrase(network: LocalTestnet, tmp_path: Path) -> Path:
    """The file with the phrase of the node's backups, which go to two folders."""
    path = tmp_path / "phrase"
    for name in ("one", "two"):
        ended = nectar("backup", "add", name, tmp_path / name, "--node", OUR, "--json", folder=network.folder)
        path.write_text(ended.json["phrase"] or path.read_text())
    return path


def fill(network: LocalTestnet) -> None:
    """Give the node a file that takes a copy a second: time enough to stop it."""
    (network.place(OUR).drives / PACKAGE / "data" / "large").write_bytes(os.urandom(100_000_000))


def restored(remote: Path, phrase: Path, into: Path) -> NodeFolder:
    ended = nectar("restore", remote, "--into", into, "--phrase-file", phrase)
    assert ended.code == 0, ended.err
    return NodeFolder(into / NODES_FOLDER / OUR)


def check(node: NodeFolder) -> int:
    """Check that a restored node's store and files are of one instant; return the number of its guest's round."""
    data = node.drives / PACKAGE / "data"
    pair = (data / "pair").read_bytes()
    first, second = (int(pair[place : place + 8]) for place in (0, FAR))
    database, _ = Database.open(str(node.store), may_be_empty=False)
    state = database.state(f"a:{PACKAGE}")
    database.close()
    number = int(state[-8:])
    there = {int(path.name[1:]) for path in data.glob("f*")}
    assert first - 1 <= second <= first
    assert number in there
    assert there <= {number - 1, number, number + 1}
    assert first - 1 <= number <= first
    assert (data / f"f{number}").read_text() == f"what round {number} has written"
    return number


def test_each_copy_of_a_node_that_works_is_what_it_had_at_one_instant(
    network: LocalTestnet, phrase: Path, tmp_path: Path
) -> None:
    working = Working(network)
    seen: list[int] = []
    for copy in range(COPIES):
        with working.on():
            ended = nectar("backup", "run", "--node", OUR, "--json", folder=network.folder)
        assert ended.code == 0, ended.out
        assert [each["unsettled"] for each in ended.json] == [0, 0]
        numbers = {check(restored(tmp_path / name, phrase, tmp_path / f"{name}{copy}")) for name in ("one", "two")}
        assert len(numbers) == 1  # both got the same state
        seen += numbers
    assert seen == sorted(seen)
    assert seen[-1] > COPIES
    assert not (network.place(OUR).path / "backup" / "snapshot").exists()
    network.stop(OUR)
    with LocalTestnet(tmp_path / f"two{COPIES - 1}", network.options) as machine:
        machine.add(OUR)
        probe = SocketProbe(machine, OUR, "a")
        probe.ask(GET_STATE, respond(), timeout=PATIENCE)
        assert int(str(probe.seen("state")[-1].body)) == seen[-1]


def test_a_copy_ends_with_a_sentence_for_each_place_when_the_node_is_killed_and_the_next_one_is_whole(
    network: LocalTestnet, phrase: Path, tmp_path: Path
) -> None:
    working = Working(network)
    fill(network)
    words = command("backup", "run", "--node", OUR, "--json", folder=network.folder)
    with working.on(), subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        until(lambda: any((tmp_path / "one" / "packs").iterdir()))
        os.kill(process.pid, signal.SIGSTOP)
        network.kill(OUR)
        os.kill(process.pid, signal.SIGCONT)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    results = json.loads(out)
    assert {each["name"] for each in results} == {"one", "two"}
    assert all("went down" in each["failure"] for each in results)
    network.start([OUR])
    assert not (network.place(OUR).path / "backup" / "snapshot").exists()
    assert nectar("backup", "run", "--node", OUR, folder=network.folder).code == 0
    check(restored(tmp_path / "one", phrase, tmp_path / "new"))


def test_a_copy_that_is_killed_leaves_nothing_in_the_node_and_no_second_one_begins_beside_it(
    network: LocalTestnet, phrase: Path, tmp_path: Path
) -> None:
    working = Working(network)
    fill(network)
    snapshot = network.place(OUR).path / "backup" / "snapshot"
    words = command("backup", "run", "--node", OUR, folder=network.folder)
    with working.on(), subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: any((tmp_path / "one" / "packs").iterdir()))
        os.kill(process.pid, signal.SIGSTOP)
        before = working.number
        until(lambda: working.number > before + 2)  # nobody waits for it
        other = nectar("backup", "run", "--node", OUR, folder=network.folder)
        assert (other.code, str(process.pid) in other.err) == (1, True)
        assert nectar("backup", "status", "--node", OUR, folder=network.folder).code == 0
        process.kill()
        process.communicate(timeout=LIMIT)
        until(lambda: not snapshot.exists())
        assert nectar("backup", "run", "--node", OUR, folder=network.folder).code == 0
    check(restored(tmp_path / "one", phrase, tmp_path / "new"))
