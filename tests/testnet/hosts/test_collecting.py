"""What hosts send of their nodes' files is unpacked below one folder, and is never trusted."""

from __future__ import annotations

import gzip
import io
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testnet.hosts import files
from testnet.hosts.collecting import files_to_collect
from testnet.hosts.files import MAX_BYTES, MAX_FILES, BadCollection, unpack_untrusted, write_files


def sent(*parts: dict[str, object] | bytes) -> io.BytesIO:
    """A stream with these lines, and bytes as they are."""
    lines = (part if isinstance(part, bytes) else json.dumps(part).encode() + b"\n" for part in parts)
    return io.BytesIO(gzip.compress(b"".join(lines), 1))


def there(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_logs_traces_journals_and_recordings_arrive_and_keys_and_stores_stay(tmp_path: Path) -> None:
    node = tmp_path / "testnet" / "nodes" / "a.nec"
    (node / "recording" / "segments").mkdir(parents=True)
    for name in ("log", "log.1", "trace", "recording/segments/1", "key", "store", "boot.json"):
        (node / name).write_bytes(name.encode() * 100_000)
    (node / "log.2").symlink_to("key")
    (tmp_path / "testnet" / "sim").mkdir()
    (tmp_path / "testnet" / "sim" / "one.jsonl").write_bytes(b"")
    out = io.BytesIO()
    write_files(tmp_path / "testnet", files_to_collect(tmp_path / "testnet"), out)
    out.seek(0)
    assert unpack_untrusted(out, tmp_path / "here") == (5, None)
    assert there(tmp_path / "here") == {
        **{f"nodes/a.nec/{name}": name.encode() * 100_000 for name in ("log", "log.1", "trace")},
        "nodes/a.nec/recording/segments/1": b"recording/segments/1" * 100_000,
        "sim/one.jsonl": b"",
    }


@pytest.mark.parametrize(
    "name",
    ["../out", "/etc/out", "a/../../out", "a//b", "./a", "", "a\0b", "a\nb", "\ud800", "x" * 256, "a/" * 17 + "b"],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    target = tmp_path / "in" / "here"
    target.mkdir(parents=True)
    count, bad = unpack_untrusted(sent({"name": "ok", "size": 1}, b"1", {"name": name, "size": 1}, b"2"), target)
    assert (count, type(bad)) == (1, BadCollection)
    assert there(tmp_path) == {"in/here/ok": b"1"}


def test_nothing_is_written_through_a_link_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "log").symlink_to(tmp_path / "mine")
    count, bad = unpack_untrusted(sent({"name": "log", "size": 1}, b"x", {"count": 1}), tmp_path / "here")
    assert (count, type(bad)) == (0, BadCollection)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([], "it breaks off"),
        ([{"name": "a", "size": 5}, b"12"], "it breaks off within a"),
        ([{"name": "a", "size": 2}, b"12"], "it breaks off"),
        ([{"name": "a", "size": 2}, b"12", {"count": 2}], "it has 1 files and speaks of 2"),
        ([b"x" * 1_000_000], "not valid"),
        ([b"{" * 1_000_000 + b"\n"], "not valid"),
        ([{"name": "a", "size": MAX_BYTES + 1}], "not valid"),
        ([{"name": "a", "size": -1}], "not valid"),
        ([{"name": "a", "size": True}], "not valid"),
        ([{"name": "a", "size": 1}, b"1", {"name": "a/b", "size": 1}, b"1"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, parts: list[dict[str, object] | bytes], told: str) -> None:
    _, bad = unpack_untrusted(sent(*parts), tmp_path)
    assert isinstance(bad, BadCollection)
    assert told in str(bad)
    assert "\n" not in str(bad)


def test_the_files_before_the_end_of_a_broken_stream_are_kept(tmp_path: Path) -> None:
    whole = sent({"name": "a", "size": 2}, b"12", {"name": "b", "size": 9_000_000}, os.urandom(9_000_000)).getvalue()
    count, bad = unpack_untrusted(io.BytesIO(whole[: len(whole) // 2]), tmp_path)
    assert (count, type(bad)) == (1, BadCollection)
    assert (tmp_path / "a").read_bytes() == b"12"


def test_more_bytes_or_files_than_may_be_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    monkeypatch.setattr(files, "MAX_FILES", 2)
    _, bad = unpack_untrusted(sent({"name": "a", "size": 6}, b"1" * 6, {"name": "b", "size": 5}, b"1" * 5), tmp_path)
    assert str(bad) == "it has more than 10 bytes"
    names = [{"name": str(number), "size": 0} for number in range(3)]
    count, bad = unpack_untrusted(sent(*names), tmp_path)
    assert (count, str(bad)) == (2, "it has more than 2 files")


def test_a_million_empty_files_end_at_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr(files, "_write", lambda stream, path, size: written.append(path))
    million = gzip.compress(b'{"name": "a", "size": 0}\n' * 1_000_000, 1)
    count, bad = unpack_untrusted(io.BytesIO(million), tmp_path)
    assert (count, str(bad)) == (MAX_FILES, f"it has more than {MAX_FILES} files")
    assert len(written) == MAX_FILES


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_unpack_or_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, packed: bool) -> None:
    folder = tmp_path_factory.mktemp("any")
    with suppress(BadCollection):
        unpack_untrusted(io.BytesIO(gzip.compress(data) if packed else data), folder)
