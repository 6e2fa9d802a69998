"""A reader that shares no code with the engine restores the same files, from the vectors and from any backup."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import cbor2
import pytest
from nacl.signing import SigningKey

from nectar_node.backup.stores.memory import MemoryRemote
from tests.nectar_node.backup import second_reader
from tests.nectar_node.backup.lab import Lab
from tests.nectar_node.backup.second_reader import Reader, derive, padded, phrase_key
from tests.seeds import seeds
from tests.vectors.generate_backup import FILE, derived, lab

STORED: dict[str, Any] = json.loads(FILE.read_text())
OBJECTS = {name: bytes.fromhex(data) for name, data in STORED["objects"].items()}
FILES = {path.encode(): bytes.fromhex(data) for path, data in STORED["files"].items()}
PAGE = Path(__file__).parents[3] / "docs" / "backup-format.md"


def files_of(reader: Reader) -> dict[bytes, bytes | None]:
    entries = reader.entries(reader.snapshots()[0])
    return {path: entry.content for path, entry in entries.items() if entry.kind == 1}


def test_it_shares_no_code_with_the_engine() -> None:
    tree = ast.parse(Path(second_reader.__file__).read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [
        name for name in modules if name and name.startswith(("nectar_node", "net", "kernel", "testnet", "tests"))
    ]


@pytest.mark.parametrize("seed", seeds(2, 30))
def test_it_restores_what_the_engine_backs_up(seed: int) -> None:
    made = Lab(seed)
    made.fill(0, 1, 512, 513, 100_000, 3_000_000)
    made.run()
    made.fill(0, 1, 512, 513, 200_000, 3_000_000)
    made.files.links[b"node/link"] = b"elsewhere"
    made.rotate()
    made.run()
    reader = Reader(made.remote.objects, made.phrase)
    assert files_of(reader) == made.files.files
    newest, oldest = reader.snapshots()
    entry = reader.entries(newest)[b"node/link"]
    assert (entry.kind, entry.content) == (2, b"elsewhere")
    assert len(reader.entries(oldest)) == 13  # six files, each in a folder, and `node`
    made.prune()
    assert [head.number for head in Reader(made.remote.objects, made.phrase).snapshots()] == [3]


def test_it_restores_without_an_index() -> None:
    made = Lab(5)
    made.fill(1000, 100_000)
    made.run()
    objects = {name: data for name, data in made.remote.objects.items() if not name.startswith("index/")}
    assert files_of(Reader(objects, made.phrase)) == made.files.files


def test_both_read_the_vectors() -> None:
    assert files_of(Reader(OBJECTS, STORED["phrase"])) == FILES
    assert lab().restored(phrase=STORED["phrase"], remote=MemoryRemote(dict(OBJECTS))).files == FILES


def test_keys_names_and_sizes_are_those_of_the_vectors_for_both() -> None:
    made = derived(lab())
    assert made == {key: STORED[key] for key in made}
    reader, keys = Reader(OBJECTS, STORED["phrase"]), STORED["keys"]
    assert phrase_key(STORED["phrase"]).hex() == keys["phrase key"]
    assert (reader.ids.hex(), reader.tags.hex()) == (keys["chunk ids"], keys["head tags"])
    signing, proof = SigningKey(derive("access", phrase_key(STORED["phrase"]))), STORED["proof"]
    statement = ["nectar-backup access 1", proof["keeper"], proof["visitor"], proof["owner"]]
    assert bytes(signing.verify_key).hex() == keys["access"]
    signed = signing.sign(cbor2.dumps([*statement, bytes.fromhex(proof["nonce"])]))
    assert signed.signature.hex() == proof["proof"]
    assert [derive("data", master).hex() for master, _ in reader.epochs] == [each["data"] for each in keys["epochs"]]
    assert [[size, padded(size)] for size, _ in STORED["padded"]] == STORED["padded"]
    assert [[number, reader.head_name(number)] for number, _ in STORED["heads"]] == STORED["heads"]


def test_every_object_has_a_padded_size() -> None:
    made = Lab(6)
    made.fill(100, 30_000, 3_000_000, 12_000_000)
    made.run()
    assert {padded(len(data)) - len(data) for data in made.remote.objects.values()} == {0}


def test_the_vectors_on_the_page_are_those_of_the_file() -> None:
    page = PAGE.read_text()
    assert f"`{STORED['phrase']}`" in page
    shown = ("phrase key", "root", "access")
    for value in (*(STORED["keys"][key] for key in shown), STORED["heads"][0][1], STORED["proof"]["proof"]):
        assert f"`{value}`" in page
    for size, result in re.findall(r"\| `padded\((\d+)\)` \| (\d+) \|", page):
        assert padded(int(size)) == int(result)
