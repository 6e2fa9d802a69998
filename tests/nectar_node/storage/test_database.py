"""The store's database: what is committed is there when it is opened again, and its sum of guards is right."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import apsw

from nectar_node.storage.database import Database
from nectar_node.storage.operations import Row, StateRow
from nectar_node.storage.wal import commits_untrusted

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


def test_what_sqlite_fills_a_sector_up_with_is_no_commit_of_its_own(tmp_path: Path) -> None:
    """Where a disk may tear what lies beside a write, a torn commit has two frames that end it: still one is lost."""
    file = tmp_path / "store"
    database = apsw.Connection(
        f"file:{file}?psow=0", apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    )
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "CREATE TABLE one (value)",
        "CREATE TABLE other (value)",
        "BEGIN",
        "INSERT INTO one VALUES (1)",
        "INSERT INTO other VALUES (1)",
        "COMMIT",
        "BEGIN",
        "INSERT INTO one VALUES (2)",
        "INSERT INTO other VALUES (2)",
        "COMMIT",
    ):
        list(database.execute(statement))
    log = Path(shutil.copy(f"{file}-wal", tmp_path / "log")).read_bytes()
    database.close()
    frames = (len(log) - 32) // (24 + 4096)
    ends = commits_untrusted(log)
    assert len(ends) == 4
    assert frames > ends[-1], "SQLite has filled nothing up"
