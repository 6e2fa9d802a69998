"""A release document says all of one version, and nothing that is not bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cbor2
import pytest
from blake3 import blake3

from nectar_node.releases.document import (
    ApiFile,
    AskedRight,
    Release,
    ReleaseMetadata,
    decode_release_untrusted,
    document_hash,
)
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.files import FileHasher, ReleaseFile, digest, in_order
from nectar_node.releases.limits import MAX_DOCUMENT_BYTES, MAX_FILES, PIECE_BYTES
from nectar_node.releases.versions import Version
from tests.nectar_node.releases.samples import CHESS, SAID, chain_of, file_of, release_of


def test_a_release_survives_being_written_down() -> None:
    for release in chain_of("1.0.0", "1.1.0"):
        assert decode_release_untrusted(release.encode()) == release


def test_a_document_is_named_by_its_hash_and_by_that_of_the_one_before() -> None:
    first, second = chain_of("1.0.0", "1.1.0")
    assert second.before == document_hash(first.encode()) == blake3(first.encode()).digest()


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
@pytest.mark.parametrize("part", [1000, PIECE_BYTES, 5 * PIECE_BYTES])
def test_the_hashes_of_a_file_do_not_depend_on_how_it_is_read(size: int, part: int) -> None:
    data = b"some bytes"[: size % 10] + bytes(size - size % 10)
    hasher = FileHasher("a")
    for start in range(0, size, part):
        hasher.feed(data[start : start + part])
    file = hasher.done()
    pieces = [data[start : start + PIECE_BYTES] for start in range(0, size, PIECE_BYTES)]
    assert file.hash == blake3(data).digest()
    assert list(file.piece_hashes) == [blake3(each).digest() for each in pieces]
    assert [file.piece_size(number) for number in range(len(pieces))] == [len(each) for each in pieces]


def test_files_are_in_the_order_of_a_walk_through_the_folder() -> None:
    files = [file_of(path, b"") for path in ("a-b", "a/z", "a", "b")]
    assert [each.path for each in in_order(reversed(files))] == ["a", "a/z", "a-b", "b"]


def test_the_digest_is_of_paths_sizes_and_content() -> None:
    one = [file_of("a", b"1"), file_of("b", b"2")]
    assert digest(one) == digest([file_of("a", b"1"), file_of("b", b"2")])
    assert len({digest(one), digest(one[:1]), digest([file_of("a", b"1"), file_of("b", b"3")])}) == 3


def fields_of(release: Release) -> list[Any]:
    fields: list[Any] = cbor2.loads(release.encode())
    return fields


FIRST = release_of("1.0.0")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "nectar release 2"),
        (1, "chess"),
        (1, "Chess:ann.test"),
        (2, "1.0"),
        (3, 0),
        (3, 2),
        (3, 1 << 40),
        (4, bytes(32)),
        (3, True),
        (5, -1),
        (5, 1 << 62),
        (6, []),
        (6, ["a" * 5000, "", "", [], []]),
        (6, ["", "", "", [["../a", ""]], []]),
        (6, ["", "", "", [["a", "b" * (300 << 10)]], []]),
        (6, ["", "", "", [["a", 1]], []]),
        (6, ["", "", "", [], [["network", "x" * 5000]]]),
        (7, [["../a", 1, bytes(32), []]]),
        (7, [["/a", 1, bytes(32), []]]),
        (7, [[".release", 1, bytes(32), []]]),
        (7, [["a//b", 1, bytes(32), []]]),
        (7, [["a\0", 1, bytes(32), []]]),
        (7, [["a", -1, bytes(32), []]]),
        (7, [["a", 1 << 31, bytes(32), [bytes(32)] * 2048]]),
        (7, [["a", 1, bytes(31), []]]),
        (7, [["a", 1, bytes(32), [bytes(32)]]]),
        (7, [["a", PIECE_BYTES + 1, bytes(32), []]]),
        (7, [["a", PIECE_BYTES + 1, bytes(32), [bytes(32), bytes(31)]]]),
        (7, [["a", 1, bytes(32), []]] * 2),
        (7, [["a", 1, bytes(32), []], ["a/b", 1, bytes(32), []]]),
        (7, [["b", 1, bytes(32), []], ["a", 1, bytes(32), []]]),
        (7, [[f"{number:05}", 0, bytes(32), []] for number in range(MAX_FILES + 1)]),
        (7, [[f"{number}", 900 << 20, bytes(32), [bytes(32)] * 900] for number in range(2)]),
    ],
)
def test_a_document_that_says_what_cannot_be_is_refused(place: int, value: object) -> None:
    fields = fields_of(FIRST)
    fields[place] = value
    with pytest.raises(BadRelease):
        decode_release_untrusted(cbor2.dumps(fields))


def test_a_release_has_one_document_to_the_byte() -> None:
    fields = fields_of(FIRST)
    long = cbor2.dumps(fields[:5])[1:] + b"\x1b" + fields[5].to_bytes(8) + cbor2.dumps(fields[6:])[1:]
    other = bytes([0x80 | len(fields)]) + long
    assert cbor2.loads(other) == fields
    with pytest.raises(BadRelease, match="not written as"):
        decode_release_untrusted(other)
    with pytest.raises(BadRelease):
        decode_release_untrusted(FIRST.encode() + b"\0")


def test_a_document_is_bounded() -> None:
    with pytest.raises(BadRelease, match="larger than 4 MiB"):
        decode_release_untrusted(bytes(MAX_DOCUMENT_BYTES + 1))
    long = tuple(ReleaseFile(f"{number:04}/" + "/".join(["x" * 200] * 5), 0, bytes(32)) for number in range(5000))
    with pytest.raises(BadRelease, match="too long"):
        replace(FIRST, files=long).encode()


def test_ten_thousand_files_and_a_gibibyte_in_pieces_fit_into_a_document() -> None:
    large = ReleaseFile("a", 1023 << 20, bytes(32), (bytes(32),) * 1023)
    files = (
        large,
        *(ReleaseFile(f"some/folder/of-usual/depth/{n:05}.txt", 9, bytes(32)) for n in range(MAX_FILES - 1)),
    )
    release = Release(CHESS, Version("1.0.0"), 1, None, 0, SAID, files)
    assert decode_release_untrusted(release.encode()) == release


def test_what_a_release_says_of_itself_is_kept_to_the_letter() -> None:
    said = ReleaseMetadata(
        "♞", "MIT", "a\nb", (ApiFile("a.wit", "x"), ApiFile("b.wit", "")), (AskedRight("network", ""),)
    )
    assert decode_release_untrusted(replace(FIRST, metadata=said).encode()).metadata == said
