"""Whatever a worker answers is verdicts within bounds, or one error; what travels is what its hash says."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nectar_node.base.decoding import BadShape
from testnet.cluster import archive
from testnet.cluster.archive import BadCargo
from testnet.cluster.messages import MAX_ANSWER_BYTES, MAX_TEXT, ClusterAnswer, encode, read_answer_untrusted
from testnet.journal.journal import JournalEnd

END = JournalEnd("", 3, 1.5, "violated", "G5: lost")


def test_an_answer_is_read_as_it_was_written() -> None:
    answer = ClusterAnswer((END, END), 2.0)
    assert read_answer_untrusted(encode(answer), 2) == answer


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"null",
        b"[" * 100_000,
        b" " * (MAX_ANSWER_BYTES + 1),
        encode(ClusterAnswer()),
        encode(ClusterAnswer((END, END))),
        encode(ClusterAnswer((JournalEnd("", 0, 0.0, "violated", "x" * (MAX_TEXT + 1)),))),
        encode(ClusterAnswer((JournalEnd("", 0, 0.0, "\x1b[2J", ""),))),
        encode(ClusterAnswer((END,), -1.0)),
        encode(ClusterAnswer(refused="x" * 1001)),
        json.dumps({"ends": [{"digest": 1}]}).encode(),
    ],
)
def test_what_is_no_answer_is_refused(answer: object) -> None:
    with pytest.raises(BadShape):
        read_answer_untrusted(answer, 1)


@given(some.binary(max_size=200))
def test_any_bytes_are_an_answer_or_one_error(answer: bytes) -> None:
    with suppress(BadShape):
        read_answer_untrusted(answer, 1)


def test_the_same_files_are_the_same_bytes_and_are_unpacked_once(tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    file.write_text("one")
    packed = archive.pack({PurePosixPath("a/one.txt"): file})
    file.touch()
    assert archive.pack({PurePosixPath("a/one.txt"): file}) == packed
    name = archive.name_of(packed)
    folder = archive.unpack_untrusted(packed, name, tmp_path)
    assert (folder / "a" / "one.txt").read_text() == "one"
    (folder / "a" / "one.txt").write_text("kept")
    assert archive.unpack_untrusted(b"", name, tmp_path) == folder
    assert (folder / "a" / "one.txt").read_text() == "kept"
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == [name]


def zipped(name: str, content: bytes = b"") -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out"])
def test_no_file_is_unpacked_outside(tmp_path: Path, name: str) -> None:
    within = tmp_path / "within"
    within.mkdir()
    data = zipped(name)
    with pytest.raises(BadCargo):
        archive.unpack_untrusted(data, archive.name_of(data), within)
    assert list(within.iterdir()) == []
    assert [each.name for each in tmp_path.iterdir()] == ["within"]


def test_an_archive_that_inflates_or_is_another_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped("zeros", bytes(1 << 20))
    monkeypatch.setattr(archive, "MAX_BYTES", 1 << 16)
    for sent, name in ((data, archive.name_of(data)), (data, "0" * 64), (b"no zip", archive.name_of(b"no zip"))):
        with pytest.raises(BadCargo):
            archive.unpack_untrusted(sent, name, tmp_path)
    assert list(tmp_path.iterdir()) == []
