"""What every remote owes the engine, shown by each of them: memory, a folder, and two S3 servers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from nectar_node.backup.format.errors import ObjectExists, ObjectMissing, RemoteFailed
from nectar_node.backup.format.heads import Head
from nectar_node.backup.format.keys import phrase_key
from nectar_node.backup.operations import Remote
from nectar_node.backup.restore import restore
from nectar_node.backup.run import back_up
from nectar_node.backup.stores import s3
from nectar_node.backup.stores.driver import drive
from nectar_node.backup.stores.folder import FolderRemote
from nectar_node.backup.stores.memory import MemoryRemote
from nectar_node.backup.stores.urls import full_url, open_remote
from nectar_node.backup.verify import verify
from nectar_node.base.errors import BadInput
from tests.nectar_node.backup.lab import Files, Lab
from tests.s3_servers import url, use_credentials

NAMES = Random(7)
KINDS = ("memory", "folder", "moto", "nanio")


@pytest.fixture(params=KINDS)
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    match request.param:
        case "memory":
            return MemoryRemote()
        case "folder":
            return open_remote(str(tmp_path / "remote"), makes=True)
    use_credentials(monkeypatch)
    endpoint = request.getfixturevalue(request.param)
    prefix = f"{request.node.name}-{NAMES.randbytes(4).hex()}".replace("[", "-").replace("]", "")
    return open_remote(full_url(url(endpoint, prefix)))


def name(kind: str = "packs/", size: int = 16) -> str:
    return kind + NAMES.randbytes(size).hex()


def test_what_was_put_is_there_whole_and_in_parts(remote: Remote) -> None:
    one, data = name(), Random(1).randbytes(200_000)
    remote.put(one, data)
    assert remote.get(one, 0, len(data) + 1) == data
    assert remote.get(one, 1000, 50) == data[1000:1050]
    assert remote.get(one, len(data) - 5, 50) == data[-5:]
    assert remote.get(one, len(data), 10) == b""
    assert remote.get(one, len(data) + 100, 10) == b""


def test_what_is_not_there_is_missing(remote: Remote) -> None:
    with pytest.raises(ObjectMissing):
        remote.get(name(), 0, 10)
    remote.delete(name())


def test_a_head_that_is_there_is_not_replaced(remote: Remote) -> None:
    head = name("heads/", 24)
    remote.put(head, b"first")
    with pytest.raises(ObjectExists):
        remote.put(head, b"second")
    assert remote.get(head, 0, 10) == b"first"


def test_a_list_has_the_names_and_sizes_of_one_kind(remote: Remote) -> None:
    packs = {name(): NAMES.randbytes(size) for size in (1, 10, 5000)}
    for each, data in packs.items():
        remote.put(each, data)
    remote.put(name("heads/", 24), b"head")
    assert dict(remote.list("packs/")) == {each: len(data) for each, data in packs.items()}
    assert remote.list("index/") == []


def test_what_was_deleted_is_gone(remote: Remote) -> None:
    one = name()
    remote.put(one, b"data")
    remote.delete(one)
    assert remote.list("packs/") == []
    remote.put(one, b"again")


def test_a_backup_is_made_checked_and_restored(remote: Remote) -> None:
    lab = Lab(3)
    lab.fill(0, 500, 300_000, 3_000_000)
    for _ in range(2):
        report = drive(back_up(lab.job(), lab.files, lab.place.cache), remote)
        lab.learn(report.link)
        lab.fill(700, 300_000)
    lab.files.files = dict(lab.files.files)
    drive(back_up(lab.job(), lab.files, report.cache), remote)
    assert drive(verify("disk", lab.ring, lab.sealed), remote).damages == ()
    files = Files()

    def target(head: Head) -> Files:
        return files

    drive(restore("disk", phrase_key(lab.phrase), target), remote)
    assert files.files == lab.files.files


# --- a folder ------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_no_empty_remote(tmp_path: Path) -> None:
    remote = open_remote(str(tmp_path / "not mounted"), writes=True)
    with pytest.raises(RemoteFailed, match="is its disk there"):
        remote.list("heads/")
    assert not (tmp_path / "not mounted").exists()


def test_what_an_interrupted_put_left_is_not_listed_and_goes(tmp_path: Path) -> None:
    remote = FolderRemote(tmp_path)
    remote.make()
    left, written = (tmp_path / "packs" / (".new-" + letter * 32) for letter in "ab")
    for path in (left, written):
        path.write_bytes(b"half")
    os.utime(left, (1, 1))
    assert remote.list("packs/") == []
    open_remote(str(tmp_path), writes=True)
    assert not left.exists()
    assert written.exists()  # somebody else may be at it


def test_a_link_in_a_folder_is_no_object(tmp_path: Path) -> None:
    remote = FolderRemote(tmp_path / "remote")
    remote.make()
    (tmp_path / "remote" / "packs" / ("ab" * 16)).symlink_to("/etc/passwd")
    assert remote.list("packs/") == []
    with pytest.raises(RemoteFailed):
        remote.get("packs/" + "ab" * 16, 0, 10)


def test_a_pipe_in_a_folder_hangs_nobody(tmp_path: Path) -> None:
    remote = FolderRemote(tmp_path)
    remote.make()
    one = name()
    os.mkfifo(tmp_path / one)
    assert remote.list("packs/") == []
    with pytest.raises(ObjectMissing):
        remote.get(one, 0, 10)


def test_two_puts_of_one_name_at_the_same_time_leave_one_of_them_whole(tmp_path: Path) -> None:
    remote = FolderRemote(tmp_path)
    remote.make()
    one, outcomes = name("heads/", 24), []

    def put(letter: bytes) -> None:
        try:
            remote.put(one, letter * 100_000)
            outcomes.append(letter)
        except (ObjectExists, RemoteFailed):
            pass

    threads = [threading.Thread(target=put, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert remote.get(one, 0, 200_000) == outcomes[0] * 100_000


# --- URLs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("ftp://host/path", "not a place for backups"),
        ("s3:///prefix", "names no bucket"),
        ("file://", "names no folder"),
    ],
)
def test_a_url_of_no_remote_is_refused(wrong: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        full_url(wrong)


def test_an_unknown_option_of_a_bucket_is_refused() -> None:
    with pytest.raises(BadInput, match="unknown option 'endpiont'"):
        open_remote("s3://bucket?endpiont=http://127.0.0.1:1")


def test_a_store_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use_credentials(monkeypatch)
    monkeypatch.setattr(s3, "_MAX_RETRIES", 0)
    remote = open_remote("s3://bucket/prefix?endpoint=http://127.0.0.1:9&region=us-east-1")
    with pytest.raises(RemoteFailed, match="s3://bucket/prefix cannot be used"):
        remote.list("heads/")


def callers(remote: Remote) -> list[Callable[[], object]]:
    return [lambda: remote.list("packs/"), lambda: remote.get(name(), 0, 1), lambda: remote.delete(name())]


def test_a_remote_that_is_down_fails_whatever_it_is_asked_for() -> None:
    remote = MemoryRemote(down=True)
    for call in callers(remote):
        with pytest.raises(RemoteFailed, match="cannot be reached"):
            call()
