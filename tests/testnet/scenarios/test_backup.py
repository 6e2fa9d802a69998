"""The scenario backup: it holds whatever a remote does and whenever a node ends, and runs are as their plans say."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.partition import Partition
from testnet.faults.remote_fails import RemoteFails
from testnet.faults.schedule import Schedule, Step
from testnet.faults.unsynced import Unsynced
from testnet.model.backups import RemoteTrouble
from testnet.runs.result import Result
from testnet.scenarios.backup import BACKUP, NODE, REMOTES
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from tests.seeds import sample
from tests.testnet.scenarios.played import passes

A, B = NODES = BACKUP.nodes
USED: list[list[Any]] = [
    [0.0, "run", A],
    [1.0, "write", A, "x", 40_000],
    [1.1, "put", A, "a"],
    [1.5, "look", A],
    [2.0, "run", A],
    [3.0, "append", A, "x", 20_000],
    [3.5, "run", A],
]


KEEPER = NODE + B
"""What keeps the copies of the first node; it keeps those of this one."""


def played(
    programs: Programs, events: list[list[Any]], schedule: Schedule = (), remote: str = "two", **more: Any
) -> Result:
    options = {"plans": dict.fromkeys(REMOTES), "events": events, "last": [A, remote], **more}
    return passes(Plan("backup", 3, NODES, options, schedule), programs, journal=True)


def kept(programs: Programs, events: list[list[Any]], schedule: Schedule = ()) -> Result:
    """A run in which the nodes keep each other's copies, and the first one comes back from its keeper in the end."""
    return played(programs, events, schedule, KEEPER, keepers=None)


def lines(result: Result, text: str) -> list[str]:
    return [line for line in result.journal if text in line]


@pytest.mark.parametrize("how", get_args(RemoteTrouble))
def test_whatever_is_wrong_with_a_remote_the_others_go_on_and_nothing_is_silently_wrong(
    programs: Programs, how: RemoteTrouble
) -> None:
    faults = (Step(1.8, 3.2, RemoteFails(A, "two", how)), Step(2.2, 3.9, Crash(A)), Step(4.0, 5.0, Unsynced(B)))
    result = played(programs, [*USED, [5.5, "lose", A, "two"], [7.0, "run", A]], faults)
    assert lines(result, "backup one has copy 2") or lines(result, "backup one is broken off")
    assert lines(result, "has brought it back")


@pytest.mark.parametrize("moment", sample(range(6), 2))
def test_a_run_that_is_broken_off_goes_on_where_it_stopped(programs: Programs, moment: int) -> None:
    at = 2.05 + 0.1 * moment
    result = played(programs, [*USED, [3.6, "run", A]], (Step(at, at + 0.3, Crash(A)),))
    assert lines(result, "backup two has copy")


def test_what_a_power_cut_takes_of_a_file_is_not_taken_for_what_it_had(programs: Programs) -> None:
    events: list[list[Any]] = [[0.6, "write", A, "x", 40_000], [4.3, "patch", A, "x", 30_000], [4.7, "run", A]]
    result = played(programs, events, (Step(6.3, 6.5, Unsynced(A)),), "one")
    assert lines(result, "backup one has copy 2")


def test_new_keys_after_a_run_that_was_broken_off_leave_nothing_that_nobody_can_read(programs: Programs) -> None:
    result = played(programs, [[0.0, "run", A], [2.0, "rotate", A]], (Step(0.5, 0.6, Crash(A)),))
    assert lines(result, "have new keys")


def test_a_node_whose_disk_is_lost_comes_back_from_the_remote_that_is_left(programs: Programs) -> None:
    faults = tuple(Step(4.5, 9.0, RemoteFails(A, each, "down")) for each in ("one", "two"))
    result = played(programs, [*USED, [5.0, "lose", A, "one"]], faults)
    (back, *_) = lines(result, "has brought it back")
    assert "backup three has brought it back from copy 3" in back
    assert lines(result, "backup one fails: The remote cannot be reached.")


def test_a_node_whose_disk_is_lost_comes_back_from_the_node_that_keeps_its_copies(programs: Programs) -> None:
    result = kept(programs, [*USED, [5.0, "lose", A, KEEPER]])
    first, last = lines(result, "has brought it back")
    assert f"backup {KEEPER} has brought it back from copy 3" in first
    assert f"backup {KEEPER} has brought it back" in last
    assert lines(result, "knows the phrase of a.nec, and may read its backup")


@pytest.mark.parametrize(
    "fault",
    [
        *(Step(at, 3.0, Unsynced(B)) for at in (2.1, 2.17, 2.26, 2.264, 2.268, 2.272)),  # the last: a head is put
        Step(2.1, 2.5, Crash(B)),
        Step(2.1, 2.5, DiskFull(B)),
        Step(2.1, 2.5, Partition()),
    ],
)
def test_what_is_said_to_be_safe_at_a_keeper_is_there_whatever_happens_to_it(programs: Programs, fault: Step) -> None:
    result = kept(programs, USED, (fault,))
    copies = lines(result, f"backup {KEEPER} has copy")
    assert "has copy 1" in copies[0]
    assert len(copies) > 2


def test_copies_that_are_gone_with_their_keepers_disk_are_missed_and_stored_again(programs: Programs) -> None:
    result = kept(programs, sorted([*USED, [0.5, "run", B], [5.0, "lose", B, "one"]]))
    (added,) = lines(result, f"backup {KEEPER} is added again")
    assert lines(result, f"{KEEPER} has no copy, and had copy 3")
    copies = [result.journal.index(line) for line in lines(result, f"backup {KEEPER} has copy")]
    assert copies[-1] > result.journal.index(added) > copies[0]


def test_a_new_phrase_opens_what_a_keeper_has(programs: Programs) -> None:
    result = kept(programs, [*USED, [4.5, "rotate", A], [5.5, "lose", A, KEEPER]])
    assert f"backup {KEEPER} has brought it back from copy 3" in lines(result, "has brought it back")[0]
