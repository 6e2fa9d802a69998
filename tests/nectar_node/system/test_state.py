"""state:distro:sys: a process reaches what it has saved itself, and nobody else's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Reply, StateAction, StateUsed, UseState
from kernel.contract.memory import UNMETERED, Memory
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from nectar_node.contract.actions import LogLine
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.storage.operations import DiskError, DiskFault, Job, Location, MakeFolder
from nectar_node.system.state import MAX_BODY_BYTES, MAX_WAITING, STATE, State
from testnet.sim.disk import SimDisk
from tests.nectar_node.system.drives import APP, JSON, OTHER, OUR

ROOT = "state"


class Saved:
    """The saved states, on a disk in memory."""

    def __init__(self, memory: Memory = UNMETERED) -> None:
        self.state = State(ROOT, memory)
        self.disk = SimDisk(lambda: 1.0)
        self.disk.perform(MakeFolder(Location(ROOT, ())))
        self.lines: list[LogLine] = []

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
        while (action := self.state.next_action()) is not None:
            if isinstance(action, Job):
                self.state.done(action, self.disk.perform(action.operation), 0.0)
            elif isinstance(action, LogLine):
                self.lines.append(action)
            else:
                answers.append(action)
        return answers


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
    assert saved.ask({action: str(OTHER)}, b"mine") == {"Err": {"NoCap": {"action": action}}}
    assert saved.ask({"GetState": str(OTHER)}, source=OTHER) == ("GetState", b"theirs")


def test_what_cannot_be_saved_says_why() -> None:
    assert Saved().ask("Backup") == {"Err": {"NoCap": {"action": "Backup"}}}
    assert Saved().ask({"SetState": str(APP)}) == {"Err": {"BadBytes": {"action": "SetState"}}}
    saved = Saved()
    saved.disk.capacity = 3
    answer = saved.ask({"SetState": str(APP)}, b"four")
    assert answer == {"Err": {"IOError": {"error": "its state cannot be used: No space left on device"}}}
    state = State(ROOT)
    state.use(UseState(APP, "token", StateAction.GET))
    job = state.next_action()
    assert isinstance(job, Job)
    state.done(job, DiskError(DiskFault.OTHER, "Input/output error"), 0.0)
    assert state.next_action() == StateUsed("token", None, "its state cannot be used: Input/output error")


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


LONGEST = ProcessId("n" * 63, "k" * 63, ".".join("p" * 63 for _ in range(4))[:253])


def test_g27_a_process_with_the_longest_id_saves_its_state_as_well() -> None:
    saved = Saved()
    assert saved.ask({"SetState": str(LONGEST)}, b"bytes", LONGEST) == "SetState"
    other = LONGEST._replace(process="m" * 63)
    assert saved.ask({"SetState": str(other)}, b"others", other) == "SetState"
    assert saved.ask({"GetState": str(LONGEST)}, source=LONGEST) == ("GetState", b"bytes")
    saved.state.use(UseState(LONGEST, "token", StateAction.GET))
    assert saved.carry_out() == [StateUsed("token", b"bytes", None)]


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
