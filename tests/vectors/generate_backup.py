"""Writes the test vectors of docs/backup-format.md: a small backup, from a phrase and entropy that are fixed.

python -m tests.vectors.generate_backup

What is in the file, all bytes as hex:
  phrase, keys   the phrase, and what is derived from it and from the ring in it
  proof          a proof to know the phrase, and for whom it is
  padded         sizes, and what they are padded to
  heads          numbers of heads, and their names
  objects        all objects of the backup: three copies, two of them in a second epoch
  files          paths and contents of the newest copy

Objects have compressed parts, so another Zstandard may write others. What is there stays readable.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mnemonic import Mnemonic

from nectar_node.backup.format.access import access_key, prove
from nectar_node.backup.format.keys import phrase_key
from nectar_node.backup.format.names import head_name
from nectar_node.backup.format.padding import padded
from tests.nectar_node.backup.lab import Lab

FILE = Path(__file__).parent / "backup.json"
SEED = 2026
KEEPER, VISITOR, OWNER, NONCE = "keeper.nec", "visitor.nec", "a.nec", bytes(range(32))
SIZES = (1, 4096, 4097, 5000, 65_536, 65_537, 1_000_000, 8_388_609, 33_554_432)


def lab() -> Lab:
    """The node whose backup it is."""
    made = Lab(SEED)
    made.files.write_file(b"network/testnet.json", b"{}")
    made.files.write_file(b"node/key", bytes(range(64)))
    made.files.write_file(b"node/state/counter", b"one two three " * 100)
    made.files.links[b"node/vfs/link"] = b"file"
    made.run()
    made.rotate()
    made.files.write_file(b"node/vfs/file", bytes(range(256)) * 3)
    made.run()
    made.files.write_file(b"node/vfs/file", bytes(range(256)) * 2)
    made.run()
    return made


def derived(made: Lab) -> dict[str, Any]:
    """What is derived from the phrase and the ring: the same bytes in every run."""
    ring, seed = made.ring, Mnemonic.to_seed(made.phrase)
    return {
        "phrase": made.phrase,
        "keys": {
            "seed": seed.hex(),
            "phrase key": phrase_key(made.phrase).hex(),
            "access": access_key(phrase_key(made.phrase)).hex(),
            "root": ring.root.hex(),
            "chunk ids": ring.chunk_ids.hex(),
            "head tags": ring.head_tags.hex(),
            "head numbers": ring.head_numbers.hex(),
            "cut seed": ring.cut_seed,
            "epochs": [
                {
                    "master": epoch.master.hex(),
                    "first": epoch.first,
                    "data": epoch.data.hex(),
                    "index": epoch.index.hex(),
                    "head": epoch.head.hex(),
                    "public": epoch.public.hex(),
                }
                for epoch in ring.epochs
            ],
        },
        "padded": [[size, padded(size)] for size in SIZES],
        "proof": {"keeper": KEEPER, "visitor": VISITOR, "owner": OWNER, "nonce": NONCE.hex(), "proof": _proof(made)},
        "heads": [[number, head_name(ring, number)] for number in (1, 2, 3, 1 << 40)],
    }


def _proof(made: Lab) -> str:
    return prove(phrase_key(made.phrase), KEEPER, VISITOR, OWNER, NONCE).hex()


def main() -> None:
    """Write the file."""
    made = lab()
    value = derived(made) | {
        "objects": {name: data.hex() for name, data in sorted(made.remote.objects.items())},
        "files": {path.decode(): data.hex() for path, data in sorted(made.files.files.items())},
    }
    FILE.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
