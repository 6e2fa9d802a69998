"""The store's database: what is committed is there when it is opened again, and its sum of guards is right."""

from __future__ import annotations

from pathlib import Path
from random import Random

from nectar_node.storage.database import Database
from nectar_node.storage.operations import Row, StateRow

SEED = 20261130


def test_g27_states_of_any_number_of_processes_are_written_in_one_commit(tmp_path: Path) -> None:
    """However many a statement takes: new ones, others again, and some that are removed."""
    path, random = str(tmp_path / "store"), Random(SEED)
    known: dict[str, bytes] = {}
    for count in (1, 2, 3, 63, 64, 65, 130, 200):
        database, _ = Database.open(path)
        assert database.states == {key: len(value) for key, value in known.items()}
        rows: list[StateRow] = []
        for key in random.sample([str(number) for number in range(250)], count):
            value = None if random.random() < 0.3 else random.randbytes(random.choice((0, 10, 5000)))
            rows.append(StateRow(key, value))
        database.commit([Row("part", "a", b"%d" % count)], rows)
        known |= {row.key: bytes(row.value) for row in rows if row.value is not None}
        for row in rows:
            if row.value is None:
                known.pop(row.key, None)
        assert {key: database.state(key) for key in known} == known
        database.close()


def test_g27_of_two_states_with_one_key_the_later_one_is_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "store")
    database, _ = Database.open(path)
    database.commit((), [StateRow("a", b"1"), StateRow("a", b"22")])
    database.close()
    database, _ = Database.open(path)
    assert database.state("a") == b"22"
    database.close()
