"""state:distro:sys: a process reaches what it has saved itself, and nobody else's."""

from __future__ import annotations

import json
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Reply, StateAction, StateUsed, UseState
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from nectar_node.contract.actions import Kept, LogLine
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.storage.ledger import DEFAULT_QUOTAS, Ledger, Quotas
from nectar_node.storage.operations import (
    Commit,
    DiskError,
    DiskFault,
    Job,
    LeftOut,
    Location,
    Row,
    StateRow,
    Usage,
    file_name,
)
from nectar_node.system.process import Committed, Removal
from nectar_node.system.state import MAX_BODY_BYTES, MAX_WAITING, STATE, State
from nectar_node.system.state_queues import COMMIT_BYTES, COMMIT_ROWS
from testnet.sim.disk.disk import SimDisk
from tests.nectar_node.system.driven import APP, OTHER, OUR
from tests.nectar_node.system.drives import JSON

STORE = Location("one.nec", ("store",))


class Saved:
    """The saved states, in a store on a disk in memory."""

    def __init__(
        self, memory: Memory = UNMETERED, quotas: Quotas = DEFAULT_QUOTAS, states: dict[str, bytes] | None = None
    ) -> None:
        """The store has `states` already."""
        ledger = Ledger("vfs", quotas)
        self.disk = SimDisk(lambda: 1.0, ledger=ledger)
        self.disk.open_store(STORE.root)
        rows = tuple(StateRow(key, value) for key, value in (states or {}).items())
        assert self.disk.perform(Commit(STORE, (), rows)) is None
        self.disk.open_store(STORE.root)
        self.state = State(STORE, self.disk.state_lengths, ledger, memory)
        self.lines: list[LogLine] = []
        self.commits: list[list[str]] = []
        """The processes of each commit."""

    def ask(self, value: object, blob: bytes | None = None, source: ProcessId = APP) -> Any:
        return self.ask_raw(json.dumps(value).encode(), blob, source)

    def ask_raw(self, body: bytes, blob: bytes | None = None, source: ProcessId = APP) -> Any:
        address = Address(OUR, source)
        carried = LazyLoadBlob(None, blob) if blob is not None else None
        request = Request(False, 5, body)
        self.state.receive(Envelope(1, address, Address(OUR, STATE), ReplyTo(address, 1), request, carried), 0.0)
        (answer,) = self.carry_out()
        assert isinstance(answer, Reply)
        value = json.loads(answer.response.body)
        return (value, answer.blob.bytes) if answer.blob is not None else value

    def carry_out(self) -> list[object]:
        """Do what it wants; its answers."""
        answers: list[object] = []
        while True:
            while (wish := self.state.next_action()) is not None:
                if isinstance(wish, Job):
                    self.state.done(wish, self.disk.perform(wish.operation), 0.0)
                elif isinstance(wish, LogLine):
                    self.lines.append(wish)
                else:
                    answers.append(wish)
            if not self.state.waits:
                return answers
            self.commit(self.take())

    def commit(self, rows: tuple[StateRow, ...]) -> None:
        """Write this."""
        outcome = self.disk.perform(Commit(STORE, (), rows))
        problem = outcome.text if isinstance(outcome, DiskError) else None
        self.state.written(Committed(problem, outcome if isinstance(outcome, LeftOut) else None), 0.0)

    def take(self) -> tuple[StateRow, ...]:
        """What goes into the next commit."""
        taken: list[StateRow] = []
        self.state.take(taken)
        self.commits.append([row.key for row in taken])
        return tuple(taken)

    def use(self, action: StateAction, state: bytes = b"", process: ProcessId = APP, token: object = None) -> None:
        """Let a process call set-state or another."""
        self.state.use(UseState(process, token, action, state))

    def used(self, package: str) -> Usage:
        """What a package has on the disk."""
        return self.disk.ledger.account(package).used


def test_what_was_set_is_got_also_by_the_kernel_and_what_was_deleted_is_not_found() -> None:
    saved = Saved()
    mine = str(APP)
    assert saved.ask({"SetState": mine}, b"bytes") == "SetState"
    assert saved.ask({"GetState": mine}) == ("GetState", b"bytes")
    assert saved.ask({"DeleteState": mine}) == "DeleteState"
    assert saved.ask({"GetState": mine}) == {"Err": {"NotFound": {"process_id": mine}}}
    assert saved.ask({"DeleteState": mine}) == "DeleteState"
    saved = Saved()
    saved.ask({"SetState": str(APP)}, b"bytes")
    saved.state.use(UseState(APP, "token", StateAction.GET))
    assert saved.carry_out() == [StateUsed("token", b"bytes", None)]


@pytest.mark.parametrize("action", ["GetState", "SetState", "DeleteState"])
def test_g21_nobody_reaches_anothers_state(action: str) -> None:
    saved = Saved()
    saved.ask({"SetState": str(OTHER)}, b"theirs", OTHER)
    assert saved.ask({action: str(OTHER)}, b"mine") == {
        "Err": {"BadRequest": {"error": "a process uses its own state alone"}}
    }
    assert saved.ask({"GetState": str(OTHER)}, source=OTHER) == ("GetState", b"theirs")


def test_what_cannot_be_saved_says_why() -> None:
    assert Saved().ask("Backup") == {"Err": {"BadRequest": {"error": "a process uses its own state alone"}}}
    assert Saved().ask({"SetState": str(APP)}) == {"Err": {"BadBytes": {"action": "SetState"}}}
    saved = Saved()
    saved.disk.database_files.fails = lambda _: apsw.IOError
    answer = saved.ask({"SetState": str(APP)}, b"four")
    assert answer["Err"]["IOError"]["error"].startswith("its state cannot be used: SQLite:")


def test_a_disk_that_is_full_is_told_in_its_words() -> None:
    saved = Saved()
    saved.disk.capacity = 3
    answer = saved.ask({"SetState": str(APP)}, b"four")
    full = "the disk is full, but for what the node keeps free for itself"
    assert answer == {"Err": {"IOError": {"error": f"its state cannot be used: {full}"}}}
    assert saved.ask({"GetState": str(APP)}) == {"Err": {"NotFound": {"process_id": str(APP)}}}
    assert saved.used("app:sys") == Usage(0, 0)


def test_the_kernel_uses_it_too_and_both_reach_the_same() -> None:
    saved = Saved()
    saved.ask({"SetState": str(APP)}, b"bytes")
    saved.state.use(UseState(APP, "token", StateAction.GET))
    assert saved.carry_out() == [StateUsed("token", b"bytes", None)]


def test_a_state_that_the_disk_cannot_give_is_a_problem_of_the_call() -> None:
    state = Saved(states={str(APP): b"kept"}).state
    state.use(UseState(APP, "token", StateAction.GET))
    job = state.next_action()
    assert isinstance(job, Job)
    state.done(job, DiskError(DiskFault.OTHER, "Input/output error"), 0.0)
    assert state.next_action() == StateUsed("token", None, "its state cannot be used: Input/output error")


def test_a_state_that_is_damaged_is_an_error_of_its_own_process_alone() -> None:
    saved = Saved(states={str(APP): b"first" * 9, str(OTHER): b"other"})
    assert saved.disk.perform(Commit(STORE, (Row("another", "row", b""),))) is None  # begins the log anew
    saved.disk.close_store()
    content = saved.disk.get(STORE)
    assert content is not None
    assert content.count(b"first" * 9) == 1
    saved.disk.put(STORE, content.replace(b"first" * 9, b"First" * 9))
    saved.disk.open_store(STORE.root)
    saved.state = State(STORE, saved.disk.state_lengths, saved.disk.ledger)
    answer = saved.ask({"GetState": str(APP)})
    assert answer == {"Err": {"IOError": {"error": "its state cannot be used: it is damaged"}}}
    assert saved.ask({"GetState": str(OTHER)}, source=OTHER) == ("GetState", b"other")
    assert saved.ask({"SetState": str(APP)}, b"new") == "SetState"
    assert saved.ask({"GetState": str(APP)}) == ("GetState", b"new")


def test_g27_what_a_process_asks_for_is_done_in_order() -> None:
    saved = Saved()
    for number, (action, state) in enumerate(
        (
            (StateAction.GET, b""),
            (StateAction.SET, b"one"),
            (StateAction.GET, b""),
            (StateAction.SET, b"two"),
            (StateAction.SET, b"three"),
            (StateAction.GET, b""),
            (StateAction.CLEAR, b""),
            (StateAction.GET, b""),
        )
    ):
        saved.use(action, state, token=number)
    answers = [(answer.token, answer.state) for answer in saved.carry_out() if isinstance(answer, StateUsed)]
    assert answers == [(0, None), (1, None), (2, b"one"), (3, None), (4, None), (5, b"three"), (6, None), (7, None)]
    assert len(saved.commits) == 3, "the second and the third state share one"


def test_g27_what_many_processes_save_shares_one_commit_and_what_comes_meanwhile_the_next() -> None:
    saved = Saved()
    for process in MANY:
        saved.use(StateAction.SET, b"one", process)
    saved.carry_out()
    for process in MANY:
        saved.use(StateAction.SET, b"one", process)
    taken = saved.take()
    for process in MANY:
        saved.use(StateAction.SET, b"two", process)
    assert not saved.state.waits, "one commit at a time"
    saved.commit(taken)
    assert len(saved.carry_out()) == 2 * len(MANY)
    assert [sorted(each) for each in saved.commits] == 3 * [sorted(map(str, MANY))]


@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
def test_g27_what_a_commit_could_not_write_is_told_and_never_there_later(error: type[apsw.Error]) -> None:
    saved = Saved(states={str(APP): b"old"})
    saved.used("app:sys")
    saved.disk.database_files.fails = lambda _: error
    saved.use(StateAction.SET, b"lost", token="lost")
    saved.use(StateAction.GET, token="read")
    (lost, read) = saved.carry_out()
    assert isinstance(lost, StateUsed)
    assert lost.problem is not None
    assert read == StateUsed("read", b"old", None)
    saved.disk.database_files.fails = lambda _: None
    assert saved.used("app:sys") == Usage(3, 1)
    saved.use(StateAction.SET, b"others", OTHER)
    saved.carry_out()
    assert saved.ask({"GetState": str(APP)}) == ("GetState", b"old")


def test_g23_a_process_with_large_states_delays_others_by_one_commit() -> None:
    saved = Saved()
    for number in range(3):
        saved.use(StateAction.SET, bytes(COMMIT_BYTES + 1), APP._replace(process=f"large{number}"))
    saved.use(StateAction.SET, b"small", OTHER)
    saved.carry_out()
    assert [[key.partition(":")[0] for key in commit] for commit in saved.commits] == [
        ["large0"],
        ["main"],
        ["large1"],
        ["large2"],
    ]


def test_g23_a_commit_has_a_bounded_number_of_states() -> None:
    saved = Saved()
    saved.use(StateAction.SET, b"x")
    saved.carry_out()
    for number in range(COMMIT_ROWS + 1):
        saved.use(StateAction.SET, b"x", APP._replace(process=f"n{number}"))
    assert [len(saved.take()), saved.state.waits] == [COMMIT_ROWS, False]


def test_g23_states_count_against_the_quota_of_their_package() -> None:
    saved = Saved(quotas=Quotas(bytes=10, files=2), states={str(APP): b"12345"})
    assert saved.used("app:sys") == Usage(5, 1)
    assert saved.ask({"SetState": str(APP)}, b"1234567890") == "SetState"
    over = {"Err": {"IOError": {"error": "its state cannot be used: the package's quota of 10 bytes is used up"}}}
    assert saved.ask({"SetState": str(APP)}, b"12345678901") == over
    assert saved.ask({"GetState": str(APP)}) == ("GetState", b"1234567890")
    second, third = (APP._replace(process=name) for name in ("second", "third"))
    assert saved.ask({"SetState": str(second)}, b"", second) == "SetState"
    assert "Err" in saved.ask({"SetState": str(third)}, b"", third)
    assert saved.used("app:sys") == Usage(10, 2)
    assert saved.ask({"DeleteState": str(APP)}) == "DeleteState"
    assert saved.ask({"SetState": str(third)}, b"1234567890", third) == "SetState"
    assert saved.used("app:sys") == Usage(10, 2)


def test_the_state_of_a_process_that_is_gone_is_removed_for_the_user() -> None:
    saved = Saved(states={str(APP): b"12345"})
    saved.state.remove(str(APP), Removal("token"))
    assert saved.carry_out() == [Kept("token", None)]
    assert saved.ask({"GetState": str(APP)}) == {"Err": {"NotFound": {"process_id": str(APP)}}}


def test_g23_a_process_that_saves_faster_than_the_disk_is_refused() -> None:
    saved = Saved()
    address = Address(OUR, APP)
    request = Request(False, None, json.dumps({"SetState": str(APP)}).encode())
    envelope = Envelope(1, address, Address(OUR, STATE), None, request, LazyLoadBlob(None, b"x"))
    for _ in range(MAX_WAITING + 1):
        saved.state.receive(envelope, 0.0)
    saved.carry_out()
    assert [line.source for line in saved.lines] == [str(APP)]
    assert saved.ask({"GetState": str(APP)}) == ("GetState", b"x")


MANY = [APP._replace(process=f"n{number}") for number in range(20)]
LONGEST = ProcessId("n" * 63, "k" * 63, ".".join("p" * 63 for _ in range(4))[:253])


def test_g27_a_process_with_the_longest_id_saves_its_state_as_well() -> None:
    saved = Saved()
    assert saved.ask({"SetState": str(LONGEST)}, b"bytes", LONGEST) == "SetState"
    other = LONGEST._replace(process="m" * 63)
    assert saved.ask({"SetState": str(other)}, b"others", other) == "SetState"
    assert saved.ask({"GetState": str(LONGEST)}, source=LONGEST) == ("GetState", b"bytes")
    saved.state.use(UseState(LONGEST, "token", StateAction.GET))
    assert saved.carry_out() == [StateUsed("token", b"bytes", None)]


def test_g27_a_process_finds_what_it_saved_when_states_were_files_named_after_a_hash() -> None:
    saved = Saved(states={file_name(str(LONGEST)): b"former"})
    assert saved.ask({"GetState": str(LONGEST)}, source=LONGEST) == ("GetState", b"former")
    assert saved.ask({"SetState": str(LONGEST)}, b"newer", LONGEST) == "SetState"
    assert saved.ask({"GetState": str(LONGEST)}, source=LONGEST) == ("GetState", b"newer")
    assert len(saved.state.lengths) == 1


def test_g23_states_that_wait_for_the_disk_are_bounded_in_bytes_for_all_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nectar_node.system.state.MAX_WAITING_BYTES", 10)
    saved = Saved()
    for process in (APP, OTHER):
        address = Address(OUR, process)
        request = Request(False, 5, json.dumps({"SetState": str(process)}).encode(), '"meta"')
        blob = LazyLoadBlob(None, b"1234")  # with its metadata ten bytes
        saved.state.receive(Envelope(1, address, Address(OUR, STATE), ReplyTo(address, 1), request, blob), 0.0)
    bodies = [answer.response.body for answer in saved.carry_out() if isinstance(answer, Reply)]
    assert bodies == [b'{"Err":{"IOError":{"error":"too much waits for the disk already"}}}', b'"SetState"']
    assert saved.ask({"GetState": str(APP)}) == ("GetState", b"1234")


def test_g23_a_body_that_is_long_to_read_is_refused_unread() -> None:
    body = json.dumps({"DeleteState": str(APP)}).encode()
    assert Saved().ask_raw(body.ljust(MAX_BODY_BYTES)) == "DeleteState"
    assert "BadRequest" in Saved().ask_raw(body.ljust(MAX_BODY_BYTES + 1))["Err"]


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()), st.none() | st.binary(max_size=4))
def test_whatever_a_process_sends_it_gets_one_answer(body: bytes, blob: bytes | None) -> None:
    assert "Err" in Saved().ask_raw(body, blob)


def test_what_waits_for_the_disk_is_paid_for_by_its_process_and_refused_when_there_is_no_memory() -> None:
    budget = MemoryBudget(64 << 20)
    saved = Saved(budget)
    state, address = bytes(8 << 20), Address(OUR, APP)
    for number in range(9):
        body = json.dumps({"SetState": str(APP)}).encode()
        reply_to = ReplyTo(address, number)
        request = Envelope(
            number, address, Address(OUR, STATE), reply_to, Request(False, 5, body), LazyLoadBlob(None, state)
        )
        saved.state.receive(request, 0.0)
    assert 8 << 20 < budget.used <= 32 << 20
    answers = [json.loads(answer.response.body) for answer in saved.carry_out() if isinstance(answer, Reply)]
    assert answers.count("SetState") == 9 - answers.count(
        {"Err": {"IOError": {"error": "too much waits for the disk already"}}}
    )
    assert (0 < answers.count("SetState") < 9, budget.used) == (True, 0)
