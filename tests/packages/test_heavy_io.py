"""A child that copies a large file step by step, and a parent that never waits for the disk."""

from __future__ import annotations

import pytest
from blake3 import blake3

from nectar_node.storage.operations import Location
from tests.packages.lab import Lab

HEAVY_IO = "our@heavy_io:heavy_io:sys"
RUN = {"Run": {"from": "/heavy_io:sys/files/from", "to": "/heavy_io:sys/files/to"}}


def place(name: str) -> Location:
    return Location("one.nec/vfs", ("heavy_io:sys", "files", name))


def put(lab: Lab, size: int) -> bytes:
    data = lab.simulation.chance("file").randbytes(size)
    lab.node.disk.put(place("from"), data)
    return data


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 5_000_000])
def test_the_copy_has_the_same_bytes_and_the_hash_says_so(lab: Lab, size: int) -> None:
    data = put(lab, size)
    assert lab.ask(HEAVY_IO, RUN) == {"Ran": {"bytes": size, "hash": blake3(data).hexdigest()}}
    assert lab.node.disk.get(place("to")) == data


def test_an_older_and_longer_file_is_replaced(lab: Lab) -> None:
    lab.node.disk.put(place("to"), b"x" * 100)
    data = put(lab, 10)
    assert "Ran" in lab.ask(HEAVY_IO, RUN)
    assert lab.node.disk.get(place("to")) == data


def test_g11_no_byte_of_the_file_enters_a_guest(lab: Lab) -> None:
    put(lab, 3_000_000)
    lab.ask(HEAVY_IO, RUN)
    assert lab.node.core.machine.blob_bytes_loaded() == 0


def test_the_parent_answers_between_the_steps_of_its_child(lab: Lab) -> None:
    put(lab, 4 << 20)
    job = lab.begin(HEAVY_IO, RUN)
    seen = set()
    while lab.answer(job) is None:
        status = lab.ask(HEAVY_IO, "Status")["Status"]
        seen.add((status["running"], status["copied"]))
        lab.simulation.step()
    assert {(1, number << 20) for number in range(5)} <= seen
    assert lab.ask(HEAVY_IO, "Status") == {"Status": {"running": 0, "copied": 4 << 20}}


def test_a_file_that_is_not_there_is_said_to_be_missing(lab: Lab) -> None:
    answer = lab.ask(HEAVY_IO, RUN)
    assert answer == {"Err": 'the disk says: {"NotFound":{"path":"/heavy_io:sys/files/from"}}'}
    assert lab.processes("heavy_io") == ["heavy_io"]


def test_a_request_that_is_no_job_is_told_what_one_is(lab: Lab) -> None:
    assert lab.ask(HEAVY_IO, 7) == {"Err": 'expected {"Run":{"from":PATH,"to":PATH}} or "Status"'}
