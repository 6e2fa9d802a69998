"""A node that works is copied, again and again, without being stopped: each copy is what it had at one instant."""

from __future__ import annotations

import json
import os
import resource
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
from tests.commands import Ended, nectar
from tests.conformance.lab import OUR, PACKAGE, PATIENCE, SocketLab, SocketProbe
from tests.conformance.steps import GET_STATE, Step, blob, respond, set_state, wait_for
from tests.end_to_end.lab import command
from tests.waiting import LIMIT, until

VFS = "our@vfs:distro:sys"
FAR = 6_000_000
"""Where the second number of the file `pair` lies: a copy reads the first one long before."""
COPIES = 2
NAMES = ("one", "two")
BREATH = 0.02
"""Seconds between a guest's rounds: without, it would take a whole core from what copies it."""


def act(path: str, action: object, text: str | None = None) -> Step:
    """A request to the vfs."""
    body = json.dumps({"path": path, "action": action})
    return wait_for(VFS, body, expects=PATIENCE, **({} if text is None else {"blob": blob(text)}))


def rounds(drive: str, number: int) -> tuple[Step, ...]:
    """What a guest does in its round of this number: at any instant, the file that its state names is there, and the
    second number in `pair` is the first one or the one before.
    """
    text = f"{number:08}"
    return (
        act(f"{drive}/pair", {"WriteAt": {"offset": 0}}, text),
        act(f"{drive}/pair", {"WriteAt": {"offset": FAR}}, text),
        act(f"{drive}/f{number}", "Write", f"what round {number} has written"),
        set_state(text),
        act(f"{drive}/f{number - 1}", "RemoveFile"),
    )


class Working:
    """A node with a guest that goes on writing."""

    def __init__(self, network: LocalTestnet, name: str) -> None:
        self.network = network
        self.number = 0
        self.probe = SocketProbe(network, OUR, name)
        self._drive = f"/{PACKAGE}/{name}"
        pair = f"{self._drive}/pair"
        assert self._ask(act(self._drive, "CreateDrive"), act(pair, "CreateFile"))
        for place in range(0, FAR, 1_000_000):
            assert self._ask(act(pair, {"WriteAt": {"offset": place}}, "x" * 1_000_000))
        self.round()

    def round(self) -> None:
        self.number += 1
        assert self._ask(*rounds(self._drive, self.number))

    def _ask(self, *steps: Step) -> bool:
        return self.probe.ask(*steps, respond("done"), timeout=PATIENCE).body == "done"

    @contextmanager
    def on(self) -> Iterator[None]:
        """Go on working meanwhile."""
        ended = threading.Event()

        def work() -> None:
            try:
                while not ended.wait(BREATH):
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


class Copied:
    """A node with backups in two folders, which are made when a test says so."""

    def __init__(self, network: LocalTestnet, folder: Path) -> None:
        self.network = network
        self.node = network.place(OUR)
        self.folder = folder
        self._phrase = folder / "phrase"
        self._restored = 0
        for name in NAMES:
            ended = self.backup("add", name, folder / name, "--manual", "--json")
            self._phrase.write_text(ended.json["phrase"] or self._phrase.read_text())

    def backup(self, command: str, *words: str | Path) -> Ended:
        return nectar("backup", command, *words, "--node", OUR, folder=self.network.folder)

    def restored(self, name: str) -> NodeFolder:
        """The node as it comes back from one of the folders."""
        self._restored += 1
        into = self.folder / f"new{self._restored}"
        ended = nectar("restore", self.folder / name, "--into", into, "--phrase-file", self._phrase)
        assert ended.code == 0, ended.err
        return NodeFolder(into / NODES_FOLDER / OUR)

    @contextmanager
    def copying(self) -> Iterator[subprocess.Popen[str]]:
        """A run that stands still (SIGSTOP) in the middle."""
        large = self.node.drives / PACKAGE / "large"
        large.write_bytes(os.urandom(60_000_000))
        packs, pipe = self.folder / NAMES[0] / "packs", subprocess.PIPE
        before = len([*packs.iterdir()])
        words = command("backup", "run", "--node", OUR, "--json", folder=self.network.folder)
        with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                until(lambda: len([*packs.iterdir()]) > before)
                os.kill(process.pid, signal.SIGSTOP)
                assert self.snapshot.exists()
                yield process
            finally:
                process.kill()
                large.unlink()

    @property
    def snapshot(self) -> Path:
        return self.node.path / "backup" / "snapshot"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copied]:
    folder = tmp_path_factory.mktemp("copied")
    options: BootOptions = SocketLab.options(folder / "package")
    manifest = next((folder / "package").rglob("manifest.json"))
    entries = json.loads(manifest.read_text())
    for entry in entries:
        entry["request_capabilities"] = ["vfs:distro:sys"]
    manifest.write_text(json.dumps(entries))
    with LocalTestnet(folder / "testnet", options) as nodes:
        nodes.start([OUR])
        yield Copied(nodes, folder)


def check(node: NodeFolder, name: str) -> int:
    """Check that a restored node's store and files are of one instant; return the number of its guest's round."""
    data = node.drives / PACKAGE / name
    pair = (data / "pair").read_bytes()
    first, second = (int(pair[place : place + 8]) for place in (0, FAR))
    database, _ = Database.open(str(node.store), may_be_empty=False)
    state = database.state(f"{name}:{PACKAGE}")
    database.close()
    number = int(state[-8:])
    there = {int(path.name[1:]) for path in data.glob("f*")}
    assert first - 1 <= second <= first
    assert number in there
    assert there <= {number - 1, number, number + 1}
    assert first - 1 <= number <= first
    assert (data / f"f{number}").read_text() == f"what round {number} has written"
    return number


def test_each_copy_of_a_node_that_works_is_what_it_had_at_one_instant(copied: Copied) -> None:
    working = Working(copied.network, "a")
    seen: list[int] = []
    for _ in range(COPIES):
        with working.on():
            ended = copied.backup("run", "--json")
        assert ended.code == 0, ended.out
        assert [each["unsettled"] for each in ended.json] == [0, 0]
        nodes = [copied.restored(NAMES[0])]
        seen.append(check(nodes[-1], "a"))
    nodes.append(copied.restored(NAMES[1]))
    assert check(nodes[-1], "a") == seen[-1]  # both got the same state
    assert seen == sorted(seen)
    assert seen[-1] > COPIES
    until(lambda: not copied.snapshot.exists())
    copied.network.stop(OUR)
    with LocalTestnet(nodes[-1].path.parents[1], copied.network.options) as machine:
        machine.add(OUR)
        probe = SocketProbe(machine, OUR, "a")
        probe.ask(GET_STATE, respond(), timeout=PATIENCE)
        assert int(str(probe.seen("state")[-1].body)) == seen[-1]
    copied.network.start([OUR])


def test_a_copy_ends_with_a_sentence_for_each_place_when_the_node_is_killed(copied: Copied) -> None:
    working = Working(copied.network, "b")
    with working.on(), copied.copying() as process:
        copied.network.kill(OUR)
        os.kill(process.pid, signal.SIGCONT)
        out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    results = json.loads(out)
    assert {each["name"] for each in results} == {*NAMES}
    assert all("went down" in each["failure"] for each in results)
    copied.network.start([OUR])
    assert not copied.snapshot.exists()
    assert copied.backup("run").code == 0
    check(copied.restored(NAMES[0]), "b")


def test_a_copy_that_is_stopped_or_killed_holds_nobody_up_and_leaves_nothing(copied: Copied) -> None:
    working = Working(copied.network, "c")
    with working.on(), copied.copying() as process:
        before = working.number
        until(lambda: working.number > before + 2)
        other = copied.backup("run")
        assert (other.code, str(process.pid) in other.err) == (1, True)
        assert copied.backup("status").code == 0
        process.kill()
        process.communicate(timeout=LIMIT)
        until(lambda: not copied.snapshot.exists())
        assert copied.backup("run").code == 0
    check(copied.restored(NAMES[0]), "c")


def test_a_copy_for_which_there_is_no_room_fails_with_a_sentence_and_the_node_goes_on(copied: Copied) -> None:
    words = command("backup", "run", "--node", OUR, folder=copied.network.folder)
    ended = subprocess.run(
        words, capture_output=True, text=True, timeout=LIMIT, check=False, preexec_fn=_no_file_may_be_long
    )
    assert ended.returncode == 1
    assert {line.partition(":")[0] for line in ended.stderr.splitlines()} == {*NAMES}
    assert "File too large" in ended.stderr
    until(lambda: not copied.snapshot.exists())
    assert copied.backup("run").code == 0


def _no_file_may_be_long() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
