"""Archives that somebody else made: what is unpacked, and what is refused before anything is."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.storage import archive
from nectar_node.storage.archive import BadArchive, Entry, entries_untrusted, unpack_untrusted, verify_untrusted
from nectar_node.storage.operations import MAX_DEPTH


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as written:
        for name, data in files:
            written.writestr(name, data)
    return buffer.getvalue()


def read(data: bytes | bytearray) -> list[Entry]:
    """Its entries, all of which can be unpacked."""
    entries = entries_untrusted(data)
    for _ in verify_untrusted(data, entries):
        pass
    return entries


def contents(data: bytes) -> dict[str, bytes]:
    entries = read(data)
    return {"/".join(entry.parts): b"".join(unpack_untrusted(data, entry)) for entry in entries if not entry.is_folder}


def refusal(data: bytes) -> str:
    with pytest.raises(BadArchive) as refused:
        read(data)
    return str(refused.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_the_standard_library_packs_is_unpacked(method: int) -> None:
    files = {"a": b"1", "sub/b ö": b"2" * 3_000_000, "./c": b"", "empty": b""}
    data = zipped(*files.items(), ("folder/", b""), method=method)
    assert contents(data) == {name.removeprefix("./"): content for name, content in files.items()}
    folder = next(entry for entry in read(data) if entry.parts == ("folder",))
    assert folder.is_folder


def test_an_archive_with_a_comment_and_something_before_its_end_is_found() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        written.comment = b"a comment PK"
        written.writestr("a", b"1")
    assert contents(buffer.getvalue()) == {"a": b"1"}


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//b", "C:\\x", "..\\x", "a/\x01/../b", "x" * 256])
def test_a_name_that_leads_out_or_is_none_is_refused(name: str) -> None:
    assert "leads out of its folder or is not a name" in refusal(zipped(("good", b""), (name, b"")))


def test_g23_an_entry_in_too_many_folders_is_refused() -> None:
    assert len(read(zipped(("a/" * (MAX_DEPTH - 1) + "f", b"")))) == 1
    assert f"in more than {MAX_DEPTH} folders" in refusal(zipped(("a/" * MAX_DEPTH + "f", b"")))


@pytest.mark.parametrize("length", range(22))
def test_the_beginning_of_an_archives_end_is_no_archive(length: int) -> None:
    assert "not a zip archive" in refusal((b"PK\5\6" + bytes(18))[:length])


def test_entries_that_no_node_unpacks_are_refused_by_name() -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "has a link in it" in refusal(zipped((link, b"/etc/passwd")))
    data = bytearray(zipped(("a", b"1")))
    data[data.index(b"PK\1\2") + 8] |= 1
    assert "encrypted" in refusal(bytes(data))
    assert "a method that this node does not know" in refusal(zipped(("a", b"1" * 100), method=zipfile.ZIP_BZIP2))
    assert "more than 10000 entries" in refusal(zipped(*((str(number), b"") for number in range(10_001))))
    stored = zipped(("a", b"0123456789"), method=zipfile.ZIP_STORED)
    assert "is damaged" in refusal(stored.replace(b"0123456789", b"0123456780"))
    data = bytearray(zipped(("a", b"1")))
    position = data.rindex(b"PK\5\6") + 16
    data[position : position + 4] = b"\xff" * 4
    assert "64-bit" in refusal(bytes(data))
    data = bytearray(zipped(("a", bytes(1 << 20))))
    position = data.index(b"PK\1\2") + 24
    data[position : position + 4] = (archive.MAX_UNPACKED_BYTES + 1).to_bytes(4, "little")
    assert "unpacks to more than 512 MiB" in refusal(bytes(data))


def test_a_bomb_that_lies_about_its_size_is_given_up_where_the_lie_shows() -> None:
    data = bytearray(zipped(("a", bytes(50 << 20))))
    position = data.index(b"PK\1\2") + 24
    data[position : position + 4] = (10).to_bytes(4, "little")
    assert "is not what its directory says" in refusal(bytes(data))
    (entry,) = archive._read_directory_untrusted(memoryview(data))
    assert entry.length == 10
    pieces: list[object] = []
    with pytest.raises(BadArchive):
        pieces.extend(unpack_untrusted(data, entry))
    assert pieces == []


@given(st.binary(max_size=200))
def test_whatever_bytes_come_only_bad_archive_leaves(data: bytes) -> None:
    with pytest.raises(BadArchive):
        read(data)


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_an_archive_with_one_wrong_byte_is_read_or_refused_and_nothing_else(at: int, value: int, cut: bool) -> None:
    data = bytearray(zipped(("a", b"1" * 50), ("b/c", b"2"), method=zipfile.ZIP_DEFLATED))
    at %= len(data)
    data[at] = value
    try:
        entries = read(bytes(data[:at]) if cut else data)
    except BadArchive:
        return
    assert all(".." not in entry.parts for entry in entries)
