"""What a node keeps of its backups: written whole, read with suspicion, and the cache is only a cache."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import cbor2
import pytest

from nectar_node.backup.cache import Cache, FileRow
from nectar_node.backup.format.heads import HeadLink
from nectar_node.backup.format.keys import new_phrase, phrase_key
from nectar_node.backup.format.streams import ChunkStream
from nectar_node.backup.schedule import CONTINUOUS, NEVER, RemotePlan
from nectar_node.backup.source import Stamp
from nectar_node.backup.stores.cache_file import CacheWriter, open_cache
from nectar_node.backup.stores.settings import BackupSettings, Remotes, RemoteState, new_keys
from nectar_node.base import own_files
from nectar_node.base.errors import BadFolder, NotOurs

STATE = RemoteState("/somewhere", HeadLink(7, b"h" * 32), 123, 4, 500, "It was down.", RemotePlan(3600, 5), 99)


@pytest.fixture
def settings(tmp_path: Path) -> BackupSettings:
    kept = BackupSettings(tmp_path / "a.nec")
    with kept.changing():
        pass
    return kept


def test_what_was_saved_is_read(settings: BackupSettings) -> None:
    assert (settings.keys(), settings.remotes()) == (None, Remotes())
    keys = new_keys(phrase_key(new_phrase(os.urandom)), os.urandom)
    settings.save_keys(keys)
    settings.save_remotes(Remotes({"disk": STATE, "new": RemoteState("s3://bucket")}, 9))
    assert settings.keys() == keys
    assert settings.remotes() == Remotes({"disk": STATE, "new": RemoteState("s3://bucket")}, 9)


def test_keys_of_the_first_version_are_read(settings: BackupSettings) -> None:
    keys = new_keys(phrase_key(new_phrase(os.urandom)), os.urandom)
    name, data = keys.sealed
    former = cbor2.dumps(["nectar-backup keys 1", keys.ring.encode(), name, data, keys.writer])
    own_files.write(settings.folder / "keys", former)
    assert settings.keys() == replace(keys, access=None)
    settings.save_keys(replace(keys, access=None))
    assert settings.keys() == replace(keys, access=None)


def test_plans_are_kept_beside_the_urls_and_a_list_without_them_is_of_continuous_remotes(
    settings: BackupSettings,
) -> None:
    file = settings.folder / "remotes.json"
    file.write_text('{"version": 1, "disk": "/somewhere", "bucket": "s3://bucket"}')
    file.chmod(0o600)
    before = settings.remotes()
    assert before == Remotes({"disk": RemoteState("/somewhere"), "bucket": RemoteState("s3://bucket")})
    assert before.remotes["disk"].plan == RemotePlan(CONTINUOUS)
    for plan in (RemotePlan(), RemotePlan(3600), RemotePlan(None, 86400), RemotePlan(CONTINUOUS, NEVER)):
        remotes = Remotes({"disk": RemoteState("/somewhere", plan=plan, added=1_000_000)})
        settings.save_remotes(remotes)
        assert json.loads(file.read_bytes())["version"] == 2
        assert settings.remotes() == remotes


@pytest.mark.parametrize("plan", ['"every": -1', '"every": 1.5', '"every": 1e99', '"every": "6h"', '"every": null'])
def test_a_damaged_plan_is_one_sentence(settings: BackupSettings, plan: str) -> None:
    row = f'{{"url": "/somewhere", {plan}, "warn": null}}'
    (settings.folder / "remotes.json").write_text(f'{{"version": 2, "disk": {row}}}')
    (settings.folder / "remotes.json").chmod(0o600)
    with pytest.raises(BadFolder, match=r"remotes.json is damaged"):
        settings.remotes()


def test_the_keys_are_for_their_owner_alone(settings: BackupSettings) -> None:
    settings.save_keys(new_keys(phrase_key(new_phrase(os.urandom)), os.urandom))
    path = settings.folder / "keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(NotOurs, match="can read"):
        settings.keys()


def test_the_list_that_is_backed_up_changes_only_with_the_remotes(settings: BackupSettings) -> None:
    settings.save_remotes(Remotes({"disk": STATE}, 9))
    before = (settings.folder / "remotes.json").stat().st_ino
    settings.save_remotes(Remotes({"disk": replace(STATE, known=None)}, 10))
    assert (settings.folder / "remotes.json").stat().st_ino == before


@pytest.mark.parametrize("name", ["keys", "remotes.json", "known.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 3}', b'{"version": 1, "disk": 5}', b"\xff" * 50])
def test_a_damaged_file_is_one_sentence(settings: BackupSettings, name: str, content: bytes) -> None:
    settings.save_remotes(Remotes({"disk": STATE}, 9))
    (settings.folder / name).write_bytes(content)
    (settings.folder / name).chmod(0o600)
    with pytest.raises(BadFolder, match=f"{name} is damaged"):
        settings.keys() if name == "keys" else settings.remotes()


def write_cache(path: Path, files: dict[bytes, FileRow], cache: Cache) -> None:
    writer = CacheWriter(path)
    for name, row in files.items():
        writer.keep(name, row)
    writer.complete(cache)
    writer.close()


def test_a_cache_is_read_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "disk"
    files: dict[bytes, FileRow] = {
        b"node/a": (Stamp(1, 2, 3, 4), b"x"),
        b"node/\xff": (Stamp(5, 6, 7, 8), ChunkStream(9, 1, b"i" * 32)),
    }
    cache = Cache({"index/" + "ab" * 16: b"payload"}, {}, frozenset(("packs/" + "cd" * 16,)))

    def found() -> tuple[dict[str, bytes], frozenset[str], list[FileRow | None]]:
        with open_cache(path) as read:
            return read.indexes, read.packs, [read.files.get(name) for name in (b"node", *files, b"node/\xff/in")]

    nothing: tuple[dict[str, bytes], frozenset[str], list[FileRow | None]] = {}, frozenset[str](), [None] * 4
    assert found() == nothing
    write_cache(path, files, cache)
    whole = cache.indexes, cache.packs, [None, *files.values(), None]
    assert found() == whole
    data = path.read_bytes()
    for place in range(0, len(data), 5):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert found() == nothing
    path.write_bytes(data)
    rows = path.with_name("disk.files")
    content = rows.read_bytes()
    for place in range(0, len(content), 5):
        rows.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert found() == (cache.indexes, cache.packs, [None] * 4)
    rows.write_bytes(content)
    assert found() == whole


def test_a_cache_that_is_not_complete_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "disk"
    write_cache(path, {b"node/a": (Stamp(1, 2, 3, 4), b"x")}, Cache())
    writer = CacheWriter(path)
    writer.keep(b"node/a", (Stamp(9, 9, 9, 9), b"y"))
    writer.close()
    with open_cache(path) as read:
        assert read.files.get(b"node/a") == (Stamp(1, 2, 3, 4), b"x")
    assert sorted(each.name for each in path.parent.iterdir()) == ["disk", "disk.files"]
