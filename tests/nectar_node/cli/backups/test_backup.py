"""`nectar backup` and `nectar restore`: a stopped node is copied, checked, and brought back by its phrase alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nectar_node.backup.stores.settings import BackupSettings
from nectar_node.base.folder import NodeFolder
from nectar_node.cli.backups.restore import PHRASE_VARIABLE
from nectar_node.cli.main import main
from nectar_node.contract.config import GENESIS_FILE, NODES_FOLDER

Nectar = Callable[..., str]
NAME = "a.nec"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeFolder:
    """A stopped node with some files."""
    monkeypatch.delenv(PHRASE_VARIABLE, raising=False)
    folder = NodeFolder(tmp_path / "net" / NODES_FOLDER / NAME)
    folder.create()
    folder.key.write_bytes(b"a key")
    folder.key.chmod(0o600)
    files_of(folder).mkdir(mode=0o700)
    for number in range(5):
        (files_of(folder) / f"state{number}").write_bytes(os.urandom(2000))
    (tmp_path / "net" / GENESIS_FILE).write_text("{}")
    return folder


def files_of(node: NodeFolder) -> Path:
    """The folder with its files."""
    return node.drives / "app:x.nec"


@pytest.fixture
def nectar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Nectar:
    """Run `nectar …` and return its output; with a `code`, it must fail so, and its one sentence is returned."""

    def run(*words: str | Path, code: int = 0) -> str:
        where = ["--dir", str(tmp_path / "net")] if words[0] == "backup" else []
        assert main([*map(str, words), *where]) == code
        out, err = capsys.readouterr()
        return err if code else out

    return run


@pytest.fixture
def phrase(nectar: Nectar, node: NodeFolder, tmp_path: Path) -> Path:
    """The file with the phrase of the node's backups, which go to the folder `remote`."""
    told = json.loads(nectar("backup", "add", "disk", tmp_path / "remote", "--json"))
    path = tmp_path / "phrase"
    path.write_text(told["phrase"])
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in ("backup", "lock")
    }


def test_a_node_comes_back_from_its_phrase_and_one_remote(
    nectar: Nectar, node: NodeFolder, phrase: Path, tmp_path: Path
) -> None:
    assert "disk: copy 1 is complete" in nectar("backup", "run")
    before = contents(node.path)
    shutil.rmtree(tmp_path / "net")
    said = nectar("restore", tmp_path / "remote", "--into", tmp_path / "new", "--phrase-file", phrase)
    assert f"nectar boot {NAME} --join {tmp_path / 'new'}" in said
    assert contents(tmp_path / "new" / NODES_FOLDER / NAME) == {**before, "restored": b""}


def test_the_phrase_is_shown_once(nectar: Nectar, node: NodeFolder, tmp_path: Path) -> None:
    first = nectar("backup", "add", "one", tmp_path / "one")
    assert first.count(". ") >= 12
    assert "Write it down" in first
    assert "Write it down" not in nectar("backup", "add", "two", tmp_path / "two")


def test_the_environment_names_the_file_with_the_phrase(
    nectar: Nectar, phrase: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nectar("backup", "run")
    monkeypatch.setenv(PHRASE_VARIABLE, str(phrase))
    nectar("restore", tmp_path / "remote", "--into", tmp_path / "new", "--json")
    assert (tmp_path / "new" / NODES_FOLDER / NAME / "key").read_bytes() == b"a key"


def test_every_remote_gets_a_copy_and_one_that_fails_keeps_no_other_from_it(
    nectar: Nectar, node: NodeFolder, phrase: Path, tmp_path: Path
) -> None:
    nectar("backup", "add", "gone", tmp_path / "gone")
    nectar("backup", "add", "third", tmp_path / "third")
    shutil.rmtree(tmp_path / "gone")
    said = nectar("backup", "run", code=1)
    assert "is its disk there" in said
    rows = {row["name"]: row for row in json.loads(nectar("backup", "list", "--json"))}
    assert [rows[name]["copy"] for name in ("disk", "gone", "third")] == [1, None, 1]
    assert "The last attempt failed" in nectar("backup", "status")


def test_status_says_what_has_changed_since(nectar: Nectar, node: NodeFolder, phrase: Path) -> None:
    assert "no complete copy yet; 8 changed files wait" in nectar("backup", "status")
    for path in (node.key, *files_of(node).iterdir()):
        os.utime(path, ns=(1, 1))
    nectar("backup", "run")
    (files_of(node) / "state0").write_bytes(b"x" * 100)
    (told,) = json.loads(nectar("backup", "status", "--json"))
    assert told["copy"] == 1
    assert told["waiting_files"] >= 1


def test_a_second_run_is_refused_and_nothing_else_waits_for_the_first(
    nectar: Nectar, node: NodeFolder, phrase: Path, tmp_path: Path
) -> None:
    with BackupSettings(node.path).running():
        assert f"under way already, as process {os.getpid()}" in nectar("backup", "run", code=1)
        assert "no complete copy yet" in nectar("backup", "status")
        nectar("backup", "add", "other", tmp_path / "other")
        assert [each["name"] for each in json.loads(nectar("backup", "list", "--json"))] == ["disk", "other"]
        assert "under way already" in nectar("backup", "prune", "disk", code=1)
    nectar("backup", "run", "--wait")


def test_one_place_that_fails_keeps_no_other_from_its_copy(
    nectar: Nectar, node: NodeFolder, phrase: Path, tmp_path: Path
) -> None:
    nectar("backup", "add", "gone", tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    assert "There is no folder" in nectar("backup", "run", code=1)
    disk, gone = json.loads(nectar("backup", "list", "--json"))
    assert (disk["copy"], disk["failure"]) == (1, None)
    assert gone["copy"] is None
    assert "There is no folder" in gone["failure"]


def test_a_copy_of_an_earlier_time_can_be_had(nectar: Nectar, node: NodeFolder, phrase: Path, tmp_path: Path) -> None:
    nectar("backup", "run")
    (files_of(node) / "state0").write_bytes(b"new")
    nectar("backup", "run")
    second, first = json.loads(nectar("backup", "list", "disk", "--json"))
    assert (first["copy"], second["copy"]) == (1, 2)
    nectar(
        *("restore", tmp_path / "remote", "--into", tmp_path / "new", "--phrase-file", phrase, "--at", first["time"])
    )
    assert (tmp_path / "new" / NODES_FOLDER / NAME / "vfs" / "app:x.nec" / "state0").read_bytes() != b"new"


def test_a_restored_node_goes_on_with_its_backups_and_the_old_one_is_refused(
    nectar: Nectar, node: NodeFolder, phrase: Path, tmp_path: Path
) -> None:
    nectar("backup", "run")
    nectar("restore", tmp_path / "remote", "--into", tmp_path / "new", "--phrase-file", phrase)
    assert main(["backup", "run", "--dir", str(tmp_path / "new")]) == 0
    assert "only one may go on" in nectar("backup", "run", code=1)
    nectar("backup", "run", "--take-over")
    assert main(["backup", "run", "--dir", str(tmp_path / "new")]) == 1


def test_an_older_state_of_a_remote_is_refused(nectar: Nectar, phrase: Path, tmp_path: Path) -> None:
    nectar("backup", "run")
    said = nectar(
        *("restore", tmp_path / "remote", "--into", tmp_path / "new", "--phrase-file", phrase, "--at-least", "2"),
        code=1,
    )
    assert "must have copy 2" in said
    assert not (tmp_path / "new").exists()


def test_verify_names_what_is_damaged(nectar: Nectar, phrase: Path, tmp_path: Path) -> None:
    nectar("backup", "run")
    assert "every byte" in nectar("backup", "verify", "disk")
    (pack,) = (tmp_path / "remote" / "packs").iterdir()
    data = bytearray(pack.read_bytes())
    data[-1] ^= 1
    pack.write_bytes(data)
    assert pack.name in nectar("backup", "verify", "disk", code=1)
    assert "everything is there" in nectar("backup", "verify", "disk", "--quick")


def test_pruning_keeps_as_many_as_said(nectar: Nectar, node: NodeFolder, phrase: Path) -> None:
    for number in range(4):
        (files_of(node) / "state0").write_bytes(b"%d" % number * 2000)
        nectar("backup", "run")
    told = json.loads(nectar("backup", "prune", "disk", "--keep", "2", "--days", "0", "--json"))
    assert (told["kept"], told["removed"]) == (2, 2)
    assert len(json.loads(nectar("backup", "list", "disk", "--json"))) == 2


def test_a_new_phrase_replaces_the_old_one(nectar: Nectar, phrase: Path, tmp_path: Path) -> None:
    nectar("backup", "run")
    new = json.loads(nectar("backup", "rotate", "--json"))["phrase"]
    (run,) = json.loads(nectar("backup", "run", "--json"))
    assert run["new_bytes"] == 0
    where = ("restore", tmp_path / "remote", "--into", tmp_path / "new", "--phrase-file", phrase)
    assert "is the phrase old" in nectar(*where, code=1)
    phrase.write_text(new)
    nectar(*where)


def test_a_new_phrase_opens_every_place_at_once(nectar: Nectar, phrase: Path, tmp_path: Path) -> None:
    """Not only after the next copy: the old one may be thrown away when the new one is written down."""
    nectar("backup", "run")
    phrase.write_text(json.loads(nectar("backup", "rotate", "--json"))["phrase"])
    nectar("restore", tmp_path / "remote", "--into", tmp_path / "new", "--phrase-file", phrase)


def test_keys_stay_as_they_are_if_a_place_cannot_have_the_new_ones(
    nectar: Nectar, node: NodeFolder, phrase: Path, tmp_path: Path
) -> None:
    nectar("backup", "run")
    (tmp_path / "remote").rename(tmp_path / "elsewhere")
    nectar("backup", "rotate", code=1)
    (tmp_path / "elsewhere").rename(tmp_path / "remote")
    nectar("backup", "run")
    nectar("restore", tmp_path / "remote", "--into", tmp_path / "new", "--phrase-file", phrase)


def test_a_removed_remote_keeps_its_copies(nectar: Nectar, phrase: Path, tmp_path: Path) -> None:
    nectar("backup", "run")
    nectar("backup", "remove", "disk")
    assert json.loads(nectar("backup", "list", "--json")) == []
    nectar("restore", tmp_path / "remote", "--into", tmp_path / "new", "--phrase-file", phrase)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("backup", "run", "other"), "There is no remote other"),
        (("backup", "add", "Disk!", "/tmp/x"), "cannot be a remote's name"),
        (("backup", "add", "disk", "/tmp/x"), "There is a remote disk already"),
        (("backup", "add", "more", "ftp://x"), "not a place for backups"),
        (("restore", "/nowhere", "--into", "new", "--at", "yesterday"), "is not a time"),
        (("restore", "/nowhere", "--into", "new", "--phrase-file", "/nowhere"), "Cannot read the recovery phrase"),
        (("restore", "/nowhere", "--into", "new"), "there is no terminal"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    nectar: Nectar, phrase: Path, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = nectar(*words, code=2)
    assert said in answer
    assert len(answer.splitlines()) == 1


def test_a_place_in_the_node_or_of_another_node_is_refused(
    nectar: Nectar, node: NodeFolder, phrase: Path, tmp_path: Path
) -> None:
    assert "belongs on another disk" in nectar("backup", "add", "in", node.path / "copies", code=2)
    nectar("backup", "run")
    other = NodeFolder(node.path.parent / "b.nec")
    other.create()
    assert "copies of another node" in nectar("backup", "add", "x", tmp_path / "remote", "--node", "b.nec", code=2)


def test_nothing_is_restored_over_what_is_there(nectar: Nectar, phrase: Path, tmp_path: Path) -> None:
    nectar("backup", "run")
    assert "is not empty" in nectar(
        *("restore", tmp_path / "remote", "--into", tmp_path / "net", "--phrase-file", phrase), code=2
    )
