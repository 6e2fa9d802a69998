"""kv:distro:sys: requests in, disk jobs and replies out."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given, settings

from kernel.contract.guest import Generation
from nectar_node.databases import databases
from nectar_node.databases.databases import MAX_DATABASES, MAX_TRANSACTIONS
from nectar_node.databases.kv import Kv
from nectar_node.storage.operations import PutPairs
from nectar_node.storage.package_databases import MAX_KEY_BYTES
from nectar_node.system.process import SORRY
from tests.nectar_node.system.asked import PACKAGE, SIBLING, Asked
from tests.nectar_node.system.driven import APP, OTHER
from tests.nectar_node.system.drives import JSON
from tests.seeds import examples, seeds

EARLY = (Generation.EARLY, Generation.MIDDLE)


@pytest.fixture
def kv() -> Asked:
    asked = Asked(Kv)
    assert asked.ask("Open") == "Ok"
    return asked


def key(text: str) -> list[int]:
    return list(text.encode())


def setting(text: str, tx: int | None = None) -> object:
    return {"Set": {"key": key(text), "tx_id": tx}}


def deleting(text: str, tx: int | None = None) -> object:
    return {"Delete": {"key": key(text), "tx_id": tx}}


def test_a_value_is_set_got_replaced_and_deleted(kv: Asked) -> None:
    assert kv.ask(setting("a"), b"one") == "Ok"
    assert kv.ask({"Get": key("a")}) == ({"Get": key("a")}, b"one")
    assert kv.ask(setting("a"), b"") == "Ok"
    assert kv.ask({"Get": key("a")}) == ({"Get": key("a")}, b"")
    assert kv.ask(deleting("a")) == "Ok"
    assert kv.ask({"Get": key("a")}) == {"Err": "KeyNotFound"}
    assert kv.ask(deleting("a")) == "Ok"
    assert kv.ask("Backup") == "Ok"


@pytest.mark.parametrize("generation", EARLY)
def test_a_guest_of_an_early_interface_gets_its_own_shapes(kv: Asked, generation: Generation) -> None:
    for process in (APP, OTHER):
        kv.generations[process] = generation
    kv.ask({"Set": {"key": key("a"), "tx_id": None}}, b"one")
    assert kv.ask({"Get": {"key": key("a")}}) == ({"Get": {"key": key("a")}}, b"one")
    assert kv.ask({"Get": {"key": key("b")}}) == {"Err": {"error": "KeyNotFound"}}
    assert kv.ask({"Get": {"key": key("b")}}, db="none") == {"Err": {"error": "NoDb"}}
    assert kv.ask({"Commit": {"tx_id": 7}}) == {"Err": {"error": "NoTx"}}
    for action in ("Open", "RemoveDb", {"Get": {"key": []}}, setting("a")):
        answer = kv.ask(action, b"", source=OTHER)
        assert list(answer["Err"]["error"]) == ["NoCap"]
    assert list(kv.ask("Nonsense")["Err"]["error"]) == ["InputError"]
    kv.disk.full = True
    assert list(kv.ask(setting("b"), bytes(10_000))["Err"]["error"]["IOError"]) == ["error"]


def test_a_guest_of_a_late_interface_gets_its_own_shapes(kv: Asked) -> None:
    assert kv.ask({"Get": key("b")}, db="none") == {"Err": {"NoDb": [PACKAGE, "none"]}}
    assert kv.ask({"Commit": {"tx_id": 7}}) == {"Err": {"NoTx": 7}}
    assert kv.ask("Open", source=OTHER) == {"Err": "MismatchingPackageId"}
    assert kv.ask("RemoveDb", source=OTHER) == {"Err": "MismatchingPackageId"}
    assert kv.ask({"Get": []}, source=OTHER) == {"Err": "NoReadCap"}
    assert kv.ask(setting("a"), b"", source=OTHER) == {"Err": "NoWriteCap"}
    assert kv.ask("BeginTx", source=OTHER) == {"Err": "NoWriteCap"}
    assert kv.ask(setting("a")) == {"Err": "MalformedRequest"}
    kv.disk.full = True
    assert kv.ask(setting("b"), bytes(10_000)) == {"Err": {"IOError": "No space left on device"}}


def test_the_opener_gets_capabilities_to_pass_on_and_each_allows_its_own(kv: Asked) -> None:
    assert {holder for holder, _ in kv.held} == {APP}
    assert len(kv.held) == 2
    assert kv.ask(setting("a"), b"one", source=SIBLING) == "Ok"
    kv.hold_database(OTHER, "read", "d")
    assert kv.ask({"Get": key("a")}, source=OTHER) == ({"Get": key("a")}, b"one")
    assert kv.ask(deleting("a"), source=OTHER) == {"Err": "NoWriteCap"}
    assert kv.ask({"Get": key("a")}, source=OTHER, db="e") == {"Err": "NoReadCap"}
    kv.hold_database(OTHER, "write", "d")
    assert kv.ask(deleting("a"), source=OTHER) == "Ok"


def test_a_transaction_does_nothing_until_it_is_committed_and_then_all(kv: Asked) -> None:
    kv.ask(setting("gone"), b"x")
    number = kv.ask("BeginTx")["BeginTx"]["tx_id"]
    assert kv.ask(setting("a", number), b"one") == "Ok"
    assert kv.ask(deleting("gone", number)) == "Ok"
    assert kv.ask({"Get": key("a")}) == {"Err": "KeyNotFound"}
    assert kv.ask({"Commit": {"tx_id": number}}) == "Ok"
    assert kv.ask({"Get": key("a")}) == ({"Get": key("a")}, b"one")
    assert kv.ask({"Get": key("gone")}) == {"Err": "KeyNotFound"}
    assert kv.ask({"Commit": {"tx_id": number}}) == {"Err": {"NoTx": number}}


def test_a_transaction_ends_with_its_process_and_belongs_to_its_database(kv: Asked) -> None:
    kv.ask("Open", db="e")
    number = kv.ask("BeginTx")["BeginTx"]["tx_id"]
    assert kv.ask(setting("a", number), b"", db="e") == {"Err": {"NoTx": number}}
    kv.process.ended(APP, 0.0)
    assert kv.ask(setting("a", number), b"") == {"Err": {"NoTx": number}}


def test_transactions_are_bounded_in_number_and_bytes(kv: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "MAX_TRANSACTION_BYTES", 1000)
    number = kv.ask("BeginTx")["BeginTx"]["tx_id"]
    assert kv.ask(setting("a", number), bytes(900)) == "Ok"
    assert "IOError" in kv.ask(setting("b", number), bytes(900))["Err"]
    for _ in range(MAX_TRANSACTIONS - 1):
        kv.ask("BeginTx")
    assert "IOError" in kv.ask("BeginTx")["Err"]
    assert kv.ask({"Commit": {"tx_id": number}}) == "Ok"
    assert "BeginTx" in kv.ask("BeginTx")


def test_what_comes_while_a_commit_is_under_way_shares_the_next_one(kv: Asked) -> None:
    before = len(kv.jobs)
    for number in range(50):
        kv.put(setting(str(number)), b"x")
    kv.put({"Get": key("49")})
    kv.put(setting("49"), b"y")
    kv.finish()
    writes = [job.operation for job in kv.jobs[before:]]
    assert [len(each.pairs) if isinstance(each, PutPairs) else 0 for each in writes] == [1, 49, 0, 1]
    assert kv.replies[-2].blob is not None
    assert kv.replies[-2].blob.bytes == b"x"


def test_one_write_that_finds_no_room_does_not_fail_those_beside_it() -> None:
    kv = Asked(Kv, quota=1 << 20)
    kv.ask("Open")
    for name, size in (("first", 1), ("small", 10), ("large", 2 << 20), ("other", 10)):
        kv.put(setting(name), bytes(size))
    kv.finish()
    answers = [json.loads(each.response.body) for each in kv.replies[1:]]
    problem = {"Err": {"IOError": "the package's quota of 1048576 bytes is used up"}}
    assert answers == ["Ok", "Ok", problem, "Ok"]
    assert kv.ask({"Get": key("other")}) == ({"Get": key("other")}, bytes(10))


def test_a_database_is_removed_with_all_that_it_counted(kv: Asked) -> None:
    account = kv.disk.ledger.account("app:sys")
    kv.ask(setting("a"), bytes(100_000))
    assert account.used.bytes > 100_000
    assert kv.ask("RemoveDb") == "Ok"
    assert account.used == (0, 1)
    assert kv.ask({"Get": key("a")}) == {"Err": {"NoDb": [PACKAGE, "d"]}}
    assert kv.ask("RemoveDb") == {"Err": {"NoDb": [PACKAGE, "d"]}}
    assert kv.ask("Open") == "Ok"
    assert kv.ask({"Get": key("a")}) == {"Err": "KeyNotFound"}


def test_names_of_databases_never_meet_and_are_bounded_in_number(kv: Asked) -> None:
    names = ["a", "A", "a.db", "a-wal", "a.db-wal", "../x", "a/b", "", "ö", "a" * 257]
    for name in names:
        expected = "Ok" if 0 < len(name) < 257 else {"Err": "MalformedRequest"}
        assert kv.ask("Open", db=name) == expected
    for name in names[:7]:
        assert kv.ask(setting("name"), name.encode(), db=name) == "Ok"
    for name in names[:7]:
        assert kv.ask({"Get": key("name")}, db=name)[1] == name.encode()
    answers = [kv.ask("Open", db=f"n{number}") for number in range(MAX_DATABASES)]
    assert answers.count("Ok") == MAX_DATABASES - 9
    assert answers[-1] == {"Err": {"IOError": f"the package has {MAX_DATABASES} databases already: remove one"}}


def test_a_key_is_bounded(kv: Asked) -> None:
    assert kv.ask({"Set": {"key": [0] * MAX_KEY_BYTES, "tx_id": None}}, b"v") == "Ok"
    assert kv.ask({"Get": [0] * MAX_KEY_BYTES})[1] == b"v"
    for wrong in ([0] * (MAX_KEY_BYTES + 1), [256], [-1], [True], [1.5], "text", None):
        assert kv.ask({"Get": wrong}) == {"Err": "MalformedRequest"}


def test_what_was_answered_is_there_after_a_boot(kv: Asked) -> None:
    kv.ask(setting("a"), b"one")
    kv.boot_again()
    assert kv.ask({"Get": key("a")}) == ({"Get": key("a")}, b"one")


@settings(max_examples=examples(150))
@given(JSON)
def test_any_request_gets_one_answer(value: object) -> None:
    kv = Asked(Kv)
    for body in (value, {"package_id": PACKAGE, "db": "d", "action": value}, {"package_id": value, "db": value}):
        kv.send(json.dumps(body).encode())
        kv.finish()
    assert len(kv.replies) == 3


def test_a_failure_of_its_own_code_ends_the_requests_it_was_handling_alone(
    kv: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    kv.put(setting("a"), b"x")
    job = kv.undone.popleft()
    kv.put(setting("b"), b"y")
    kv.process.recover(job, 0.0)
    kv.look()
    kv.finish()
    answers = [json.loads(each.response.body) for each in kv.replies[1:]]
    assert answers == [{"Err": {"IOError": SORRY}}, "Ok"]
    kv.process.done(job, None, 0.0)  # its outcome, late
    assert kv.ask({"Get": key("b")})[1] == b"y"


@pytest.mark.parametrize("seed", seeds(2, 40))
def test_a_crash_at_any_write_leaves_what_was_answered_and_nothing_torn(seed: int) -> None:
    chance, writes = Random(seed), 0
    while True:
        kv, model, doubtful = Asked(Kv), dict[str, bytes | None](), dict[str, bytes | None]()
        kv.ask("Open")
        files = kv.disk.package_files
        files.left = writes
        for _ in range(12):
            pairs = {str(chance.randrange(6)): chance.randbytes(chance.choice((1, 5000))) for _ in range(2)}
            transaction = kv.ask("BeginTx")["BeginTx"]["tx_id"]
            for name, value in pairs.items():
                kv.ask(setting(name, transaction), value)
            if kv.ask({"Commit": {"tx_id": transaction}}) != "Ok":
                doubtful = {**model, **pairs}
                break
            model.update(pairs)
        done = files.left
        kv.disk.close_store()
        kv.disk.lose_unsynced(chance)
        kv.boot_again()
        found = {name: kv.ask({"Get": key(name)}) for name in map(str, range(6))}
        got = {name: answer[1] for name, answer in found.items() if isinstance(answer, tuple)}
        assert got in (model, doubtful or model), f"seed {seed}, crash after {writes} writes"
        if done:
            break
        writes += 1
    assert writes > 12


def test_who_cannot_be_given_the_capabilities_of_a_database_is_told_so_and_others_are_not(kv: Asked) -> None:
    kv.holds_too_much = True
    for source, generation in ((APP, Generation.LATE), (SIBLING, Generation.EARLY)):
        kv.generations[source] = generation
        kv.put("Open", source=source, db="e")
        kv.put({"Get": key("a")}, source=source, db="e")
    kv.finish()
    text = "the process holds too many capabilities to be given those of the database"
    answers = {json.dumps(json.loads(each.response.body)) for each in kv.replies[1:]}
    assert answers == {
        json.dumps(each)
        for each in (
            {"Err": "AddCapFailed"},
            {"Err": "KeyNotFound"},
            {"Err": {"error": {"NoCap": {"error": text}}}},
            {"Err": {"error": "KeyNotFound"}},
        )
    }
    assert kv.ask("Open") == "Ok"  # it holds these already
    kv.holds_too_much = False
    assert kv.ask("Open", db="e") == "Ok"


def test_a_database_that_is_removed_leaves_its_remover_no_capabilities(kv: Asked) -> None:
    assert len(kv.held) == 2
    assert kv.ask("RemoveDb") == "Ok"
    assert kv.held == set()


def test_a_value_that_is_known_is_got_without_the_disk_and_never_an_older_one(kv: Asked) -> None:
    kv.ask(setting("a"), b"one")
    jobs = len(kv.jobs)
    assert kv.ask({"Get": key("a")}) == ({"Get": key("a")}, b"one")
    assert kv.ask(deleting("a")) == "Ok"
    assert kv.ask({"Get": key("a")}) == {"Err": "KeyNotFound"}
    assert len(kv.jobs) == jobs + 1
    kv.put(setting("a"), b"two")
    kv.put({"Get": key("a")})  # waits for the value that is being set
    kv.finish()
    blob = kv.replies[-1].blob
    assert blob is not None
    assert blob.bytes == b"two"
    kv.hold_database(OTHER, "read", "other")
    assert kv.ask({"Get": key("a")}, source=OTHER) == {"Err": "NoReadCap"}
    kv.ask("RemoveDb")
    assert kv.ask({"Get": key("a")}) == {"Err": {"NoDb": [PACKAGE, "d"]}}
    kv.ask("Open")
    assert kv.ask({"Get": key("a")}) == {"Err": "KeyNotFound"}


def test_after_a_commit_that_failed_values_are_read_again(kv: Asked) -> None:
    kv.ask(setting("a"), b"one")
    kv.disk.full = True
    assert "Err" in kv.ask(setting("a"), bytes(100_000))
    jobs = len(kv.jobs)
    assert kv.ask({"Get": key("a")}) == ({"Get": key("a")}, b"one")
    assert len(kv.jobs) == jobs + 1


def test_gets_that_wait_together_are_one_job_as_far_as_their_values_fit(kv: Asked) -> None:
    big = bytes(5 << 20)
    for number in range(4):
        kv.ask(setting(str(number)), big)
    kv.process.forget(kv.jobs[-1].lane)
    kv.replies.clear()
    jobs = len(kv.jobs)
    kv.put(deleting("none"))
    for name in ("0", "1", "2", "none", "3"):
        kv.put({"Get": key(name)})
    kv.finish()
    got = [json.loads(each.response.body) for each in kv.replies[1:]]
    assert got == [{"Get": key("0")}, {"Get": key("1")}, {"Get": key("2")}, {"Err": "KeyNotFound"}, {"Get": key("3")}]
    assert len(kv.jobs) - jobs == 3


@pytest.mark.parametrize("seed", seeds(1, 20))
def test_gets_among_all_else_get_what_was_set_last_whatever_fails(seed: int) -> None:
    """Whatever is known without the disk: writes that fail or fill the quota, removals, gets in any order."""
    chance, kv = Random(seed), Asked(Kv, quota=1 << 20)
    known: dict[tuple[str, str], bytes] = {}
    open_ = set[str]()
    for _ in range(400):
        db, name, roll = chance.choice("de"), chance.choice("abc"), chance.random()
        kv.disk.full = chance.random() < 0.1
        if roll < 0.05:
            if kv.ask("Open", db=db) == "Ok":
                open_.add(db)
        elif roll < 0.08:
            kv.ask("RemoveDb", db=db)
            open_.discard(db)
            known = {place: value for place, value in known.items() if place[0] != db}
        elif roll < 0.3:
            value = chance.randbytes(chance.choice((10, 10, 70_000, 400_000)))
            if kv.ask(setting(name), value, db=db) == "Ok":
                known[db, name] = value
        elif roll < 0.4:
            if kv.ask(deleting(name), db=db) == "Ok":
                known.pop((db, name), None)
        else:
            value_now = known.get((db, name))
            expected: object = {"Err": "KeyNotFound"} if value_now is None else ({"Get": key(name)}, value_now)
            if db not in open_:
                expected = {"Err": {"NoDb": [PACKAGE, db]}}
            assert kv.ask({"Get": key(name)}, db=db) == expected, f"seed {seed}"
