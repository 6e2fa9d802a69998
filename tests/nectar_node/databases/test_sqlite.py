"""sqlite:distro:sys: requests in, disk jobs and replies out."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.contract.guest import Generation
from nectar_node.databases.sqlite import Sqlite
from nectar_node.storage import package_sql
from tests.nectar_node.system.asked import PACKAGE, Asked
from tests.nectar_node.system.driven import APP, OTHER
from tests.nectar_node.system.drives import JSON
from tests.seeds import examples, seeds


class Sql(Asked):
    """With one database that is open."""

    def __init__(self, quota: int = 1 << 30) -> None:
        super().__init__(Sqlite, quota)
        assert self.ask("Open") == "Ok"

    def write(self, statement: str, *values: object, tx: int | None = None) -> Any:
        blob = json.dumps(values).encode() if values else None
        return self.ask({"Write": {"statement": statement, "tx_id": tx}}, blob)

    def read(self, query: str, *values: object) -> Any:
        """The rows, or the answer if it is an error."""
        answer = self.ask({"Query": query}, json.dumps(values).encode() if values else None)
        if isinstance(answer, tuple):
            assert answer[0] == "Read"
            return json.loads(answer[1])
        return answer

    def problem(self, query: str) -> str:
        """Why a query is refused."""
        answer = self.read(query)
        text = answer["Err"]["RusqliteError"]
        assert isinstance(text, str)
        return text


@pytest.fixture
def sql() -> Sql:
    return Sql()


def test_nothing_is_left_to_do_for_a_backup_but_to_find_the_database(sql: Sql) -> None:
    assert sql.ask("Backup") == "Ok"
    assert sql.ask("Backup", db="none") == {"Err": {"NoDb": [PACKAGE, "none"]}}
    assert sql.ask("Backup", source=OTHER) == {"Err": "NoReadCap"}


def test_rows_are_written_and_read_with_parameters(sql: Sql) -> None:
    assert sql.write("CREATE TABLE t (a INTEGER, b TEXT, c REAL, d BLOB)") == "Ok"
    assert sql.write("INSERT INTO t VALUES (?, ?, ?, x'00ff')", 7, "ö", 1.5) == "Ok"
    assert sql.write("insert into t values (?1, ?2, ?3, ?4)", None, True, -(2**63), "") == "Ok"
    assert sql.read("SELECT * FROM t ORDER BY rowid") == [
        {"a": 7, "b": "ö", "c": 1.5, "d": "AP8="},
        {"a": None, "b": "1", "c": float(-(2**63)), "d": ""},
    ]
    assert sql.read("SELECT a FROM t WHERE b = ?", "ö") == [{"a": 7}]
    assert sql.read("SELECT 9e999 AS much, 1 AS one, 2 AS one WHERE 0") == []
    assert sql.read("SELECT 9e999 AS much") == [{"much": None}]
    assert sql.read("VALUES (1), (2)") == [{"column1": 1}, {"column1": 2}]
    assert sql.read("PRAGMA table_info(t)")[0]["name"] == "a"


@pytest.mark.parametrize("generation", [Generation.EARLY, Generation.MIDDLE])
def test_a_guest_of_an_early_interface_gets_its_own_shapes(sql: Sql, generation: Generation) -> None:
    for process in (APP, OTHER):
        sql.generations[process] = generation
    assert sql.ask({"Read": {"query": "SELECT 1 AS a"}}) == ("Read", b'[{"a":1}]')
    error = sql.ask({"Read": {"query": "SELECT nosuch"}})["Err"]["error"]
    assert error == {"RusqliteError": {"error": "no such column: nosuch"}}
    assert sql.write("SELECT 1") == {"Err": {"error": "NotAWriteKeyword"}}
    assert sql.ask({"Read": {"query": "DELETE FROM t"}}) == {"Err": {"error": "NotAReadKeyword"}}
    assert sql.ask({"Read": {"query": "SELECT 1"}}, db="none") == {"Err": {"error": "NoDb"}}
    assert sql.write("DELETE FROM t", tx=4) == {"Err": {"error": "NoTx"}}
    assert list(sql.ask({"Read": {"query": "SELECT 1"}}, source=OTHER)["Err"]["error"]) == ["NoCap"]
    assert list(sql.ask({"Read": 1})["Err"]["error"]) == ["InputError"]


def test_a_guest_of_a_late_interface_gets_its_own_shapes(sql: Sql) -> None:
    assert sql.read("SELECT nosuch") == {"Err": {"RusqliteError": "no such column: nosuch"}}
    assert sql.read("DELETE FROM t") == {"Err": "NotAReadKeyword"}
    assert sql.write("SELECT 1") == {"Err": "NotAWriteKeyword"}
    assert sql.read("") == {"Err": "NotAReadKeyword"}
    assert sql.ask({"Query": "SELECT 1"}, db="none") == {"Err": {"NoDb": [PACKAGE, "none"]}}
    assert sql.write("DELETE FROM t", tx=4) == {"Err": {"NoTx": 4}}
    for blob in (b"{}", b"[[]]", b"[{}]", b"x", b"[1%s]" % (b"0" * 400), b"[1e999]", b"\xff"):
        assert sql.ask({"Query": "SELECT ?"}, blob) == {"Err": "InvalidParameters"}
    assert "RusqliteError" in sql.read("SELECT ?", 1, 2)["Err"]
    assert "RusqliteError" in sql.read("SELECT ?")["Err"]
    assert sql.ask({"Query": "SELECT 1"}, source=OTHER) == {"Err": "NoReadCap"}
    assert sql.ask({"Write": {"statement": "DELETE FROM t"}}, source=OTHER) == {"Err": "NoWriteCap"}


def test_a_parameter_in_base64_is_bytes_in_sql_and_comes_back_as_it_was_sent(sql: Sql) -> None:
    sql.write("CREATE TABLE t (a, b BLOB CHECK (typeof(b) = 'blob')) ")
    assert sql.write("INSERT INTO t VALUES (?, ?)", "text!", "AP8=") == "Ok"
    assert sql.read("SELECT a, b, length(b) AS n, hex(b) AS hex FROM t WHERE b = x'00ff'") == [
        {"a": "text!", "b": "AP8=", "n": 2, "hex": "00FF"}
    ]
    types = {"Jane": "blob", "": "blob", "AA==": "blob", "AB==": "text", "AA": "text", "A===": "text", "ab-_": "text"}
    for value, kind in types.items():
        assert sql.read("SELECT ? AS a, typeof(?1) AS t", value) == [{"a": value, "t": kind}], value
    assert sql.read("SELECT ? AS a, typeof(?1) AS t", 2**63) == [{"a": 2.0**63, "t": "real"}]
    number = sql.ask("BeginTx")["BeginTx"]["tx_id"]
    sql.write("DELETE FROM t WHERE b = ?", "AP8=", tx=number)
    assert sql.ask({"Commit": {"tx_id": number}}) == "Ok"
    assert sql.read("SELECT * FROM t") == []


def test_who_may_only_read_writes_nothing(sql: Sql) -> None:
    sql.write("CREATE TABLE t (a)")
    sql.write("INSERT INTO t VALUES (1)")
    sql.hold_database(OTHER, "read", "d")
    queries = (
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT 2",
        "SELECT 1; DELETE FROM t",
        "PRAGMA user_version=7",
        "PRAGMA writable_schema=1",
        "PRAGMA journal_mode=DELETE",
        "EXPLAIN SELECT 1; DROP TABLE t",
    )
    for query in queries:
        assert "RusqliteError" in sql.ask({"Query": query}, source=OTHER)["Err"], query
    assert sql.write("WITH x AS (SELECT 2 AS a) INSERT INTO t SELECT a FROM x") == "Ok"
    assert "RusqliteError" in sql.ask({"Query": "WITH x AS (SELECT 2 AS a) INSERT INTO t SELECT a FROM x"})["Err"]
    assert sql.read("SELECT count(*) AS n FROM t") == [{"n": 2}]
    assert sql.read("PRAGMA user_version") == [{"user_version": 0}]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIRTUAL TABLE v USING fts5(a)",
        "CREATE VIRTUAL TABLE v USING rtree(a, b, c)",
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "INSERT INTO t SELECT load_extension('x')",
        "INSERT INTO t SELECT pgno FROM sqlite_dbpage",
        "INSERT INTO t SELECT name FROM dbstat",
        "UPDATE sqlite_schema SET sql = 'x'",
        "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 1, 'x')",
        "DELETE FROM sqlite_schema",
        "DROP TABLE sqlite_schema",
        "INSERT INTO t VALUES (1); COMMIT",
        "INSERT INTO t VALUES (1); ATTACH ':memory:' AS x",
        "CREATE TABLE other.x (a)",
    ],
)
def test_a_statement_reaches_nothing_but_its_database(sql: Sql, statement: str) -> None:
    sql.write("CREATE TABLE t (a)")
    assert list(sql.write(statement)["Err"]) == ["RusqliteError"]
    assert sql.read("SELECT * FROM t") == []
    assert [each["name"] for each in sql.read("SELECT name FROM sqlite_schema")] == ["t"]


@pytest.mark.parametrize(
    "word", ["ATTACH ':memory:' AS x", "VACUUM INTO 'x'", "BEGIN", "COMMIT", "SAVEPOINT a", "DETACH x"]
)
def test_what_is_no_statement_for_packages_is_refused_by_its_first_word(sql: Sql, word: str) -> None:
    assert sql.write(word) == {"Err": "NotAWriteKeyword"}
    assert sql.read(word) == {"Err": "NotAReadKeyword"}


def test_a_trigger_or_a_view_is_no_way_around(sql: Sql) -> None:
    sql.write("CREATE TABLE t (a)")
    sql.write("CREATE VIEW v AS SELECT load_extension('x') AS a")
    sql.write("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT load_extension('x'); END")
    assert list(sql.read("SELECT a FROM v")["Err"]) == ["RusqliteError"]
    assert list(sql.write("INSERT INTO t VALUES (1)")["Err"]) == ["RusqliteError"]


ENDLESS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) "


def test_an_endless_query_ends(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_sql, "MAX_STEPS", 200_000)
    assert sql.problem(f"{ENDLESS} SELECT max(i) FROM n") == "it takes too long, or too much memory"
    sql.write("CREATE TABLE t (a)")
    answer = sql.write(f"{ENDLESS} INSERT INTO t SELECT i FROM n")
    assert answer == {"Err": {"RusqliteError": "it takes too long, or too much memory"}}
    assert sql.read("SELECT count(*) AS n FROM t") == [{"n": 0}]


def test_a_statement_has_a_bounded_number_of_calls_for_those_between_two_looks_may_take_long(sql: Sql) -> None:
    def calls(count: int) -> str:
        return "SELECT max(" + ", ".join(["max(" + ", ".join(["abs(1)"] * 80) + ")"] * count) + ") AS a"

    assert sql.read(calls(2)) == [{"a": 1}]
    assert sql.problem(calls(4)).startswith("not authorized")


def test_a_result_is_bounded_before_it_is_built(sql: Sql) -> None:
    assert sql.problem(f"{ENDLESS} SELECT hex(zeroblob(100000)) AS a FROM n").startswith("the result is longer than")
    assert sql.problem("SELECT zeroblob(2000000)") == "string or blob too big"
    assert sql.problem("SELECT replace(hex(zeroblob(100000)), '0', hex(zeroblob(400000)))") == "string or blob too big"
    big = ", ".join(f"randomblob(1000000 + {number}) AS c{number}" for number in range(199))
    assert sql.problem(f"{ENDLESS} SELECT {big} FROM n") in (
        "it takes too long, or too much memory",
        "the result is longer than 8388608 bytes: ask for less at a time",
    )


def test_sorting_much_takes_neither_memory_nor_disk_without_bound(sql: Sql) -> None:
    before = sql.disk.ledger.account("app:sys").used
    query = f"{ENDLESS} SELECT i, randomblob(50000) AS b FROM n ORDER BY b"
    assert sql.problem(query) == "it sorts or keeps too much at a time"
    assert sql.disk.ledger.account("app:sys").used == before
    assert sql.read("SELECT 1 AS a") == [{"a": 1}]


def test_functions_that_are_replaced_do_what_sqlites_do(sql: Sql) -> None:
    query = """SELECT instr('abc', 'c') AS a, instr(x'0102', x'02') AS b, instr(NULL, 'x') AS c, instr(123, 2) AS d,
        replace('aXbX', 'X', 'yy') AS e, replace('a', '', 'b') AS f, replace(NULL, 1, 2) AS g,
        trim('  a ') AS h, ltrim('xxaxx', 'x') AS i, rtrim('xxaxx', 'x') AS j, trim('a', '') AS k, trim(NULL) AS l"""
    expected = dict(
        zip("abcdefghijkl", (3, 2, None, 2, "ayybyy", "a", None, "a", "axx", "xxa", "a", None), strict=True)
    )
    assert sql.read(query) == [expected]


def test_a_transaction_is_done_whole_or_not_at_all(sql: Sql) -> None:
    sql.write("CREATE TABLE t (a UNIQUE)")
    number = sql.ask("BeginTx")["BeginTx"]["tx_id"]
    assert sql.write("INSERT INTO t VALUES (?)", 1, tx=number) == "Ok"
    assert sql.write("INSERT INTO t VALUES (?)", 1, tx=number) == "Ok"
    assert sql.read("SELECT * FROM t") == []
    answer = sql.ask({"Commit": {"tx_id": number}})
    assert answer == {"Err": {"RusqliteError": "UNIQUE constraint failed: t.a"}}
    assert sql.read("SELECT * FROM t") == []
    number = sql.ask("BeginTx")["BeginTx"]["tx_id"]
    for value in (1, 2):
        sql.write("INSERT INTO t VALUES (?)", value, tx=number)
    assert sql.ask({"Commit": {"tx_id": number}}) == "Ok"
    assert sql.read("SELECT * FROM t") == [{"a": 1}, {"a": 2}]


def test_a_database_grows_no_further_than_the_quota() -> None:
    sql = Sql(quota=1 << 20)
    sql.write("CREATE TABLE t (a)")
    problem = {"Err": {"IOError": "the package's quota of 1048576 bytes is used up"}}
    answers = [sql.write("INSERT INTO t VALUES (zeroblob(100000))") for _ in range(20)]
    assert answers[0] == "Ok"
    assert answers[-1] == problem
    assert sql.read("SELECT count(*) AS n FROM t") == [{"n": answers.count("Ok")}]
    assert sql.disk.ledger.account("app:sys").used.bytes <= 1 << 20


def test_a_database_of_the_other_kind_is_another_one(sql: Sql) -> None:
    sql.write("CREATE TABLE t (a)")
    assert [path[-1] for path in sql.disk.paths() if path[-1].endswith(".db")] == ["sqlite-d.db"]


@settings(max_examples=examples(100))
@given(JSON)
def test_any_request_gets_one_answer(value: object) -> None:
    sql = Sql()
    for body in (value, {"package_id": PACKAGE, "db": "d", "action": value}, {"package_id": value, "db": value}):
        sql.send(json.dumps(body).encode())
        sql.finish()
    assert len(sql.replies) == 4


WORDS = (
    "SELECT INSERT INTO t VALUES ( ) , ; * FROM WHERE a b 1 'x' x'00' NULL UPDATE SET = DELETE CREATE TABLE INDEX VIEW "
    "TRIGGER AS WITH RECURSIVE UNION ALL ORDER BY LIMIT PRAGMA ATTACH DETACH VACUUM BEGIN COMMIT ROLLBACK EXPLAIN DROP "
    "ALTER RENAME TO ADD COLUMN REPLACE ON CONFLICT DO group_concat(a) load_extension('x') printf('%d',a) "
    "sqlite_schema temp.t ?"
)


@settings(max_examples=examples(150))
@given(st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=12), st.booleans())
def test_any_statement_gets_one_answer_and_leaves_a_database_that_works(words: list[str], writes: bool) -> None:
    sql = Sql()
    sql.write("CREATE TABLE t (a, b)")
    text = " ".join(words)
    answer = sql.write(text) if writes else sql.read(text)
    if not writes:
        assert sql.read("SELECT count(*) AS n FROM t") == [{"n": 0}]
    assert answer is not None
    assert sql.write("CREATE TABLE another (a)") in ("Ok", {"Err": {"RusqliteError": "table another already exists"}})
    assert sql.read("SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.parametrize("seed", seeds(1, 20))
def test_a_crash_at_any_write_leaves_what_was_answered_and_nothing_torn(seed: int) -> None:
    chance, writes, left = Random(seed), 0, 0
    while not left:
        sql, done = Sql(), 0
        sql.disk.package_files.left = writes
        sql.write("CREATE TABLE t (a, b)")
        for number in range(1, 9):
            statement = "WITH n(i) AS (VALUES (1), (2)) INSERT INTO t SELECT ?, randomblob(3000 * i) FROM n"
            if sql.write(statement, number) != "Ok":
                break
            done = number
        left = sql.disk.package_files.left or 0
        sql.disk.close_store()
        sql.disk.lose_unsynced(chance)
        sql.boot_again()
        rows = sql.read("SELECT a, count(*) AS n FROM t GROUP BY a ORDER BY a")
        if isinstance(rows, list):
            assert rows in ([{"a": a, "n": 2} for a in range(1, until)] for until in (done + 1, done + 2))
            assert sql.read("PRAGMA page_count")
        else:
            assert not done, f"seed {seed}, crash after {writes} writes: {rows}"
        sql.disk.close_store()
        writes += 1
    assert writes > 10
