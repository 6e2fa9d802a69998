"""backups:distro:sys keeps what other nodes give it, whole and counted, and lets nobody else at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import ProcessId
from kernel.contract.message import Envelope
from nectar_node.backup.format import access
from nectar_node.backup.format.errors import ObjectExists, ObjectMissing, RemoteFailed, WrongPhrase
from nectar_node.backup.format.keys import new_phrase, phrase_key
from nectar_node.backup.format.names import HEADS, INDEXES, PREFIXES, RINGS
from nectar_node.backup.operations import DeleteObject, GetObject, Listed, ListObjects, PutObject
from nectar_node.backup.playing import play
from nectar_node.backup.prune import keep_recent, prune
from nectar_node.backup.stores import node_messages
from nectar_node.backup.stores.folder import FolderRemote
from nectar_node.backup.stores.node_messages import NodeAnswer, NodeRequest, enter, exchange, introduce
from nectar_node.backup.verify import verify
from nectar_node.base.system_processes import BACKUPS
from nectar_node.contract.actions import Kept
from nectar_node.storage import disk as real_disk
from nectar_node.storage.operations import DiskError, DiskFault, Job, Location, Outcome, RemoveFolder, new_file_name
from nectar_node.system import keeper as keeper_module
from nectar_node.system import kept_access, kept_objects
from nectar_node.system.keeper import Keeper
from nectar_node.system.kept_access import ACCESS_SECONDS, NONCE_SECONDS
from nectar_node.system.process import SORRY, SystemToken
from nectar_node.system.processes import SystemProcesses
from net.base.timers import Timers
from tests.nectar_node.backup.lab import SMALL, Lab
from tests.nectar_node.system.drives import JSON
from tests.nectar_node.system.keepers import (
    KEEPER,
    OTHER,
    OWNER,
    ROOT,
    Keepers,
    KeptRemote,
    Stopped,
    name_of,
)

VISITOR, STRANGER = "visitor-7.nec", "stranger.nec"
PHRASE = phrase_key(new_phrase(Random(1).randbytes))
WRONG = phrase_key(new_phrase(Random(2).randbytes))
PACKAGE = ProcessId("main", "app", "some.nec")


@pytest.fixture
def keepers() -> Keepers:
    found = Keepers()
    found.accept()
    return found


def refused(act: Callable[[], object]) -> str:
    """Why something is refused."""
    with pytest.raises(RemoteFailed) as refusal:
        act()
    return str(refusal.value)


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_the_whole_engine_works_with_a_keeper(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)
    lab, remote = Lab(1), KeptRemote(keepers)
    lab.fill(300_000, 40_000, 10)
    lab.files.write_file(b"node/secret", b"the plain text that nobody may read " * 2000)
    for _ in range(3):
        lab.run(via=remote)
        lab.files.write_file(b"node/0/file", lab.random.randbytes(200_000))
    lab.run(via=remote)
    assert lab.restored(remote=remote).files == lab.files.files

    everything = keepers.files()
    assert not any(b"plain text" in data or b"secret" in data for data in everything.values())
    assert {name: len(data) for name, data in everything.items()} == keepers.sizes()
    for name, data in everything.items():  # the folder is a remote by itself
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert lab.restored(remote=FolderRemote(tmp_path)).files == lab.files.files

    pruned = play(prune(lab.job(), keep_recent(1, 0)), remote)
    assert (pruned.kept, pruned.removed) == (1, 3)
    lab.learn(pruned.link)
    assert keepers.sizes().keys() == keepers.files().keys() < everything.keys() | keepers.files().keys()
    found = play(verify("keeper", lab.ring, lab.sealed, lab.place.known), remote)
    assert (found.damages, found.copies) == ((), 1)
    assert lab.restored(remote=remote).files == lab.files.files


def test_an_object_is_put_once_and_read_in_parts(keepers: Keepers) -> None:
    data = keepers.put(1, 9_000_000)
    assert keepers.get(1) == data
    assert keepers.do(GetObject(name_of(1), 4_000_000, 4_500_000)) == data[4_000_000:8_500_000]
    assert keepers.do(GetObject(name_of(1), 8_999_999, 10)) == data[-1:]
    assert keepers.do(GetObject(name_of(1), 9_000_000, 10)) == b""
    assert keepers.do(GetObject(name_of(1), 1 << 60, 10)) == b""
    with pytest.raises(ObjectExists):
        keepers.do(PutObject(name_of(1), bytes(5000)))
    assert keepers.get(1) == data
    with pytest.raises(ObjectMissing):
        keepers.get(2)


def test_lists_come_in_pages_and_only_of_what_is_asked_for(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_objects, "PAGE_OBJECTS", 3)
    monkeypatch.setattr(node_messages, "PAGE_OBJECTS", 3)
    for number in (5, 3, 8, 1, 7, 2, 6):
        keepers.put(number, 4096 + number)
    keepers.do(PutObject(name_of(9, INDEXES), bytes(4096)))
    keepers.do(PutObject(f"{HEADS}{9:048x}", bytes(4096)))
    keepers.do(DeleteObject(name_of(3)))
    expected = [Listed(name_of(number), 4096 + number) for number in (1, 2, 5, 6, 7, 8)]
    assert keepers.do(ListObjects("packs/")) == expected
    assert keepers.do(ListObjects(INDEXES)) == [Listed(name_of(9, INDEXES), 4096)]
    assert keepers.do(ListObjects(RINGS)) == []
    keepers.crash()
    assert keepers.do(ListObjects("packs/")) == expected


def test_what_is_removed_is_gone_and_what_was_not_there_is_too(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.do(DeleteObject(name_of(1)))
    keepers.do(DeleteObject(name_of(1)))
    assert (keepers.files(), keepers.sizes()) == ({}, {})
    assert keepers.keeper.objects.count == 0
    keepers.put(1)


# --- whose it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", [STRANGER, OTHER, KEEPER])
def test_no_other_node_reads_or_changes_what_is_kept_for_one(keepers: Keepers, node: str) -> None:
    keepers.accept(OTHER)
    data = keepers.put(1)
    operations = (
        PutObject(name_of(2), bytes(4096)),
        GetObject(name_of(1), 0, 10),
        ListObjects("packs/"),
        DeleteObject(name_of(1)),
    )
    for operation in operations:
        refused(partial(keepers.do, operation, OWNER, node))
    refused(lambda: keepers.converse(introduce(KEEPER, OWNER, bytes(32)), node))
    assert keepers.get(1) == data
    assert keepers.sizes().keys() == {name_of(1)}


def test_two_nodes_have_objects_of_the_same_name(keepers: Keepers) -> None:
    keepers.accept(OTHER)
    data = keepers.put(1, 5000, OWNER)
    keepers.do(PutObject(name_of(1), bytes(6000)), OTHER)
    assert keepers.get(1) == data
    assert keepers.get(1, OTHER) == bytes(6000)
    keepers.do(DeleteObject(name_of(1)), OTHER)
    assert keepers.get(1) == data


def test_the_packages_of_a_node_do_not_reach_its_backup(keepers: Keepers) -> None:
    keepers.put(1)
    for kind, fields in {"Delete": {"name": name_of(1)}, "List": {"prefix": "packs/", "after": ""}}.items():
        answer, _ = keepers.say({kind: {"owner": OWNER, **fields}}, OWNER, PACKAGE)
        assert answer == {"Err": {"Refused": {"error": "listens to the user of a node, and not to its packages"}}}
    assert len(keepers.files()) == 1


def test_who_may_only_add_removes_nothing(keepers: Keepers) -> None:
    keepers.accept(OTHER, append_only=True)
    data = keepers.put(1, owner=OTHER)
    assert "remove nothing" in refused(lambda: keepers.do(DeleteObject(name_of(1)), OTHER))
    with pytest.raises(ObjectExists):
        keepers.put(1, owner=OTHER)
    assert keepers.get(1, OTHER) == data


def test_who_has_taken_over_the_name_of_a_lost_node_removes_nothing_of_it(keepers: Keepers) -> None:
    data = keepers.put(1)
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(PHRASE)))
    keepers.keys[OWNER] = bytes(32)
    keepers.crash()
    assert "has another key now" in refused(lambda: keepers.do(DeleteObject(name_of(1))))
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(WRONG)))
    keepers.converse(enter(KEEPER, VISITOR, OWNER, PHRASE), VISITOR)
    assert keepers.get(1, OWNER, VISITOR) == data
    keepers.put(2)
    keepers.accept()
    keepers.do(DeleteObject(name_of(1)))
    del keepers.keys[OWNER]
    assert "has another key now" in refused(lambda: keepers.do(DeleteObject(name_of(2))))


def test_after_a_refusal_nothing_is_kept_and_nothing_is_lost(keepers: Keepers) -> None:
    data = keepers.put(1)
    keepers.refuse()
    assert refused(lambda: keepers.get(1)) == f"{KEEPER} keeps no backup of {OWNER}, or not any more."
    assert refused(lambda: keepers.put(2)) == f"{KEEPER} keeps no backup of {OWNER}, or not any more."
    keepers.crash()
    keepers.accept()
    assert keepers.get(1) == data


def test_a_refusal_ends_what_visitors_may(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(PHRASE)))
    keepers.converse(enter(KEEPER, VISITOR, OWNER, PHRASE), VISITOR)
    keepers.refuse()
    keepers.accept()
    refused(lambda: keepers.get(1, OWNER, VISITOR))


def test_a_refusal_removes_everything_if_it_is_told_to(keepers: Keepers) -> None:
    keepers.accept(OTHER)
    keepers.put(1, owner=OTHER)
    for number in range(5):
        keepers.put(number)
    keepers.refuse(removes=True)
    assert keepers.kept == [Kept("order", None)]
    assert keepers.files() == {}
    assert OWNER not in keepers.keeper.objects.owners
    assert {key for _, key in keepers.rows} == {OTHER, f"{OTHER}/{name_of(1)}"}
    assert keepers.keeper.objects.count == 1
    keepers.accept()
    assert keepers.do(ListObjects("packs/")) == []


def test_a_removal_waits_for_what_is_under_way(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.works = False
    put = keepers.request(_put(2, 4096))
    keepers.refuse(removes=True)
    assert keepers.keeper.problem(OWNER) is not None
    keepers.works = True
    keepers.look()
    assert keepers.answer(put) == ("Ok", None)
    assert keepers.files() == {}
    assert keepers.keeper.objects.count == 0
    assert keepers.keeper.problem(OWNER) is None


# --- how much -------------------------------------------------------------------------------------------------------


def test_the_quota_is_exact_and_counts_what_is_under_way(keepers: Keepers) -> None:
    keepers.accept(OWNER, 3 * 4096)
    keepers.put(1)
    keepers.works = False
    waiting = [keepers.request(_put(number, 4096)) for number in (2, 3, 4)]
    keepers.works = True
    keepers.look()
    assert [keepers.answer(number) for number in waiting[:2]] == [("Ok", None)] * 2
    text = f"is full: it keeps 12288 bytes for {OWNER}, and 12288 are used"
    assert keepers.answer(waiting[2]) == ({"Err": {"Full": {"error": text}}}, None)
    keepers.do(DeleteObject(name_of(1)))
    keepers.put(4)
    keepers.crash()
    assert text in refused(lambda: keepers.put(5))


def test_no_owner_has_more_objects_than_the_keepers_memory_holds(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "MAX_OBJECTS", 3)
    monkeypatch.setattr(keeper_module, "MAX_ALL_OBJECTS", 4)
    keepers.accept(OTHER)
    for number in range(3):
        keepers.put(number)
    assert "is full: it has 3 objects" in refused(lambda: keepers.put(3))
    keepers.put(0, owner=OTHER)
    assert "is full: it has 1 objects" in refused(lambda: keepers.put(1, owner=OTHER))


@pytest.mark.parametrize("size", [0, 4095, (32 << 20) + 1])
def test_nothing_is_kept_that_no_backup_has(keepers: Keepers, size: int) -> None:
    answer, _ = keepers.say({"Put": {"owner": OWNER, "name": name_of(1)}}, blob=bytes(size))
    assert list(answer["Err"]) == ["BadRequest"]
    assert keepers.sizes() == {}


@pytest.mark.parametrize(
    "name",
    [
        "packs/../../key",
        "../store",
        "packs/",
        "/packs/" + "0" * 32,
        "packs/" + "0" * 31,
        "packs/" + "A" * 32,
        "packs/" + "0" * 32 + "\n",
        "heads/" + "0" * 32,
        "other/" + "0" * 32,
        "packs/" + "\0" * 32,
        "",
        7,
        None,
    ],
)
def test_no_name_leads_out_of_the_owners_folder(keepers: Keepers, name: object) -> None:
    for kind, fields in {"Put": {}, "Delete": {}, "Get": {"start": 0, "length": 1}}.items():
        answer, _ = keepers.say({kind: {"owner": OWNER, "name": name, **fields}}, blob=bytes(4096))
        assert list(answer["Err"]) == ["BadRequest"]
    assert keepers.done == 0


def test_a_disk_that_is_full_refuses_and_counts_nothing() -> None:
    keepers = Keepers(capacity=100_000)
    keepers.accept()
    keepers.put(1)
    assert "cannot write it" in refused(lambda: keepers.put(2, 200_000))
    assert keepers.sizes() == {name_of(1): 4096}
    keepers.put(3)
    assert keepers.files().keys() == {name_of(1), name_of(3)}


def test_what_is_kept_leaves_the_node_its_part_of_the_disk() -> None:
    keepers = Keepers(capacity=1_000_000)  # of which a twentieth is the node's
    keepers.accept()
    keepers.put(1, 900_000)
    assert "keeps free for itself" in refused(lambda: keepers.put(2, 60_000))
    keepers.put(3, 40_000)


# --- hostile owners -------------------------------------------------------------------------------------------------


def _put(number: int, size: int) -> NodeRequest:
    body = json.dumps({"Put": {"owner": OWNER, "name": name_of(number)}}).encode()
    return NodeRequest(body, bytes(size))


def _delete(number: int) -> NodeRequest:
    return NodeRequest(json.dumps({"Delete": {"owner": OWNER, "name": name_of(number)}}).encode())


def _get(number: int, owner: str = OWNER) -> NodeRequest:
    return NodeRequest(
        json.dumps({"Get": {"owner": owner, "name": name_of(number), "start": 0, "length": 4 << 20}}).encode()
    )


def test_a_flood_of_requests_is_bounded_and_no_other_node_suffers(keepers: Keepers) -> None:
    keepers.accept(OTHER)
    keepers.put(1, owner=OTHER)
    keepers.works = False
    flood = [keepers.request(_put(number, 4096)) for number in range(2, 200)]
    busy = [number for number in flood if keepers.answer(number) is not None]
    assert len(flood) - len(busy) == keeper_module.MAX_REQUESTS
    assert {json.dumps(keepers.answer(number)) for number in busy} == {
        json.dumps([{"Err": {"Busy": {"error": "has too much to do already: try again later"}}}, None])
    }
    other = keepers.request(_get(1, OTHER), OTHER)
    keepers.works = True
    keepers.look()
    assert keepers.answer(other) is not None
    assert all(keepers.answer(number) == ("Ok", None) for number in set(flood) - set(busy))
    assert keepers.memory.used == 0


def test_bytes_in_flight_are_bounded_and_paid_for(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "MAX_BYTES", 6 << 20)
    keepers.works = False
    size = 1 << 20
    flood = [keepers.request(_put(number, size)) for number in range(20)]
    assert sum(keepers.answer(number) is None for number in flood) == keeper_module.MAX_BYTES // size - 1
    assert 0 < keepers.memory.of("peer", OWNER) <= keeper_module.MAX_BYTES
    keepers.works = True
    keepers.look()
    assert keepers.memory.used == 0


def test_huge_ranges_are_no_more_than_the_object(keepers: Keepers) -> None:
    keepers.put(1, 5000)
    keepers.works = False
    keepers.request(_get(1))
    assert keepers.memory.of("peer", OWNER) < 6000
    answer, _ = keepers.say({"Get": {"owner": OWNER, "name": name_of(1), "start": 0, "length": 1 << 40}})
    assert list(answer["Err"]) == ["BadRequest"]


def test_an_object_that_is_being_put_cannot_be_put_read_or_removed(keepers: Keepers) -> None:
    keepers.works = False
    first = keepers.request(_put(1, 4096))
    for request, kind in ((_put(1, 5000), "Busy"), (_get(1), "NotFound")):
        answer = keepers.answer(keepers.request(request))
        assert answer is not None
        assert list(answer[0]["Err"]) == [kind]
    removal, _ = keepers.say({"Delete": {"owner": OWNER, "name": name_of(1)}})
    assert list(removal["Err"]) == ["Busy"]
    keepers.works = True
    keepers.look()
    assert keepers.answer(first) == ("Ok", None)
    assert keepers.get(1) == bytes(4096)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from([OWNER, STRANGER]))
def test_whatever_a_node_sends_gets_one_answer(body: bytes, node: str) -> None:
    keepers = Keepers()
    keepers.accept()
    assert "Err" in keepers.say(body, node)[0]


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 1])
def test_g27_a_crash_at_any_step_leaves_each_object_whole_or_not_at_all_and_counted(seed: int | None) -> None:
    """Of puts, a removal and a put in its place; with and without a power cut."""
    acts: tuple[Callable[[Keepers], object], ...] = (
        lambda keepers: keepers.put(1),
        lambda keepers: keepers.put(2),
        lambda keepers: keepers.do(DeleteObject(name_of(1))),
        lambda keepers: keepers.do(PutObject(name_of(1), bytes(5000))),
    )
    steps = 0
    while True:
        keepers = Keepers()
        keepers.accept()
        keepers.steps = steps
        with suppress(Stopped):
            for act in acts:
                act(keepers)
        answered = keepers.answered
        keepers.crash(seed)
        files, sizes = keepers.files(), keepers.sizes()
        assert {name: len(data) for name, data in files.items()} == sizes
        assert not keepers.keeper.objects.owners[OWNER].unsettled
        assert keepers.keeper.objects.owners[OWNER].bytes == sum(sizes.values())
        assert {key for kind, key in keepers.rows if kind == "kept"} == {f"{OWNER}/{name}" for name in sizes}
        first, second = files.get(name_of(1)), files.get(name_of(2))
        whole = Random(1).randbytes(4096), bytes(5000)
        assert first in (whole[0], whole[1], None)
        assert second in (Random(2).randbytes(4096), None)
        if answered:
            assert (
                first == whole[0] if answered < 2 else first in (whole[0], None) if answered == 2 else first != whole[0]
            )
        assert second is not None or answered < 2
        if answered == len(acts):
            assert first == whole[1]
            return
        steps += 1
        assert steps < 40


def test_what_a_crash_has_left_beside_an_object_goes_with_it(keepers: Keepers) -> None:
    keepers.put(9)
    keepers.steps = 1
    with suppress(Stopped):
        keepers.put(1)
    keepers.disk.put(Location(ROOT, (OWNER, "packs", new_file_name(f"{1:032x}"))), b"half of it")
    keepers.crash()
    assert keepers.files().keys() == keepers.sizes().keys() == {name_of(9)}


def test_what_is_being_removed_is_not_listed(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.put(2)
    keepers.works = False
    keepers.request(_delete(1))
    assert keepers.do(ListObjects("packs/")) == [Listed(name_of(2), 4096)]


def test_a_list_without_an_end_is_not_listened_to() -> None:
    page = json.dumps({"Objects": [[name_of(1), 4096]]}).encode()
    steps = exchange(KEEPER, OWNER, ListObjects("packs/"))
    next(steps)
    steps.send(NodeAnswer(page))
    with pytest.raises(RemoteFailed, match="not known"):
        steps.send(NodeAnswer(page))


def test_a_store_that_cannot_be_written_gives_the_owner_an_error(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.problem = "what it has to keep cannot be written: Input/output error"
    sentence = f"{KEEPER} {keepers.problem}."
    assert refused(lambda: keepers.put(2)) == sentence
    assert refused(lambda: keepers.do(DeleteObject(name_of(1)))) == sentence
    keepers.problem = None
    keepers.put(2)


def test_a_file_that_is_gone_is_said_to_be_missing(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.put(2)
    keepers.disk.perform(RemoveFolder(Location(ROOT, (OWNER, "packs")), recursive=True))
    with pytest.raises(ObjectMissing):
        keepers.get(1)
    keepers.put(3)
    assert keepers.files().keys() == {name_of(3)}


def test_a_keeper_that_comes_back_without_what_it_kept_says_so_and_counts_nothing(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.disk.perform(RemoveFolder(Location(ROOT, (OWNER,)), recursive=True))
    keepers.crash()
    assert keepers.lines == [f"all that was kept for {OWNER} is gone, 1 objects: its next copy begins anew"]
    assert keepers.do(ListObjects("packs/")) == []
    keepers.put(1)


def test_until_it_has_looked_what_is_there_a_keeper_is_busy(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.works = False
    keepers.crash()
    assert "has just started" in refused(lambda: keepers.get(1))
    keepers.works = True
    keepers.look()
    assert len(keepers.get(1)) == 4096


@pytest.mark.parametrize("at", ["_read", "_write_down", "_do", "_removed"])
def test_a_failure_of_its_own_code_ends_one_request_alone(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    data = keepers.put(1)
    keepers.put(2)
    processes = SystemProcesses([keepers.keeper], lambda _: None, Timers())
    with monkeypatch.context() as patched:
        patched.setattr(keepers, "keeper", Through(processes, keepers.keeper))
        patched.setattr(processes.by_id[BACKUPS], at, _fail)
        request = {"_read": _get(1), "_removed": _delete(2), "_do": _get(1), "_write_down": _put(3, 4096)}[at]
        assert keepers.answer(keepers.request(request)) == ({"Err": {"Failed": {"error": SORRY}}}, None)
    assert processes.failures[BACKUPS] == 1
    assert keepers.get(1) == data
    assert keepers.memory.used == 0
    keepers.crash()
    assert {name: len(each) for name, each in keepers.files().items()} == keepers.sizes()


class Through:
    """The keeper as the core has it: what fails in it is contained."""

    def __init__(self, processes: SystemProcesses, keeper: Keeper) -> None:
        self._processes = processes
        self.objects = keeper.objects
        self.next_action = keeper.next_action

    def receive(self, envelope: Envelope, now: float) -> None:
        assert self._processes.serve_peer(envelope, now)

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        self._processes.job_done(SystemToken(BACKUPS, job.owner), job, outcome, now)

    def kept(self, token: object, problem: str | None, now: float) -> None:
        self._processes.kept(SystemToken(BACKUPS, token), problem, now)


def _fail(*_: object) -> None:
    raise ZeroDivisionError


# --- visitors who know the phrase -----------------------------------------------------------------------------------


def test_who_knows_the_phrase_may_read_for_a_while_and_nothing_else(keepers: Keepers) -> None:
    keepers.accept(OTHER)
    data = keepers.put(1)
    keepers.put(1, owner=OTHER)
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(PHRASE)))
    keepers.converse(enter(KEEPER, VISITOR, OWNER, PHRASE), VISITOR)
    assert keepers.get(1, OWNER, VISITOR) == data
    assert keepers.do(ListObjects("packs/"), OWNER, VISITOR) == [Listed(name_of(1), 4096)]
    refused(lambda: keepers.get(1, OTHER, VISITOR))
    refused(lambda: keepers.do(DeleteObject(name_of(1)), OWNER, VISITOR))
    refused(lambda: keepers.do(PutObject(name_of(2), bytes(4096)), OWNER, VISITOR))
    refused(lambda: keepers.converse(introduce(KEEPER, OWNER, bytes(32)), VISITOR))
    keepers.now += ACCESS_SECONDS
    refused(lambda: keepers.get(1, OWNER, VISITOR))


def test_a_wrong_phrase_opens_nothing(keepers: Keepers) -> None:
    keepers.put(1)
    assert refused(lambda: keepers.converse(enter(KEEPER, VISITOR, OWNER, PHRASE), VISITOR)) == (
        f"{KEEPER} has no complete copy of {OWNER} yet."
    )
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(PHRASE)))
    with pytest.raises(WrongPhrase) as refusal:
        keepers.converse(enter(KEEPER, VISITOR, OWNER, WRONG), VISITOR)
    assert str(refusal.value) == f"{KEEPER} does not take this recovery phrase for that of {OWNER}."
    assert refused(lambda: keepers.converse(enter(KEEPER, VISITOR, STRANGER, PHRASE), VISITOR)) == (
        f"{KEEPER} keeps no backup of {STRANGER}, or not any more."
    )
    refused(lambda: keepers.get(1, OWNER, VISITOR))


def test_a_proof_is_of_use_to_nobody_else_nowhere_else_and_not_later(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(PHRASE)))
    told, _ = keepers.say({"Challenge": {"owner": OWNER}}, VISITOR)
    nonce = bytes.fromhex(told["Nonce"])

    def shown(proof: bytes, node: str = VISITOR) -> object:
        fields = {"owner": OWNER, "nonce": nonce.hex(), "proof": proof.hex()}
        return keepers.say({"Prove": fields}, node)[0]

    right = access.prove(PHRASE, KEEPER, VISITOR, OWNER, nonce)
    wrong = {"Err": {"WrongProof": {"error": f"does not take this recovery phrase for that of {OWNER}"}}}
    assert shown(right, STRANGER) == wrong
    assert shown(access.prove(PHRASE, KEEPER, STRANGER, OWNER, nonce), STRANGER) == wrong
    assert shown(access.prove(PHRASE, OTHER, VISITOR, OWNER, nonce)) == wrong
    assert shown(access.prove(PHRASE, KEEPER, VISITOR, OTHER, nonce)) == wrong
    keepers.now += NONCE_SECONDS
    assert shown(right) == "Ok"
    keepers.now += NONCE_SECONDS
    assert shown(right) == wrong


def test_a_new_phrase_ends_what_the_old_one_opened(keepers: Keepers) -> None:
    keepers.put(1)
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(PHRASE)))
    keepers.converse(enter(KEEPER, VISITOR, OWNER, PHRASE), VISITOR)
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(WRONG)))
    refused(lambda: keepers.get(1, OWNER, VISITOR))
    with pytest.raises(WrongPhrase):
        keepers.converse(enter(KEEPER, VISITOR, OWNER, PHRASE), VISITOR)
    keepers.crash()
    keepers.converse(enter(KEEPER, VISITOR, OWNER, WRONG), VISITOR)
    assert len(keepers.get(1, OWNER, VISITOR)) == 4096


def test_who_steals_a_node_that_may_only_add_cannot_shut_its_owner_out(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "MAX_KEYS", 3)
    keepers.accept(OTHER, append_only=True)
    keepers.converse(introduce(KEEPER, OTHER, access.access_key(PHRASE)), OTHER)
    for number in range(2):
        keepers.converse(introduce(KEEPER, OTHER, bytes([number] * 32)), OTHER)
    assert "may forget none" in refused(lambda: keepers.converse(introduce(KEEPER, OTHER, bytes([9] * 32)), OTHER))
    keepers.converse(enter(KEEPER, VISITOR, OTHER, PHRASE), VISITOR)


def test_visitors_are_few(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_access, "MAX_READERS", 2)
    keepers.put(1)
    keepers.converse(introduce(KEEPER, OWNER, access.access_key(PHRASE)))
    visitors = [f"v{number}.nec" for number in range(3)]
    for visitor in visitors:
        keepers.converse(enter(KEEPER, visitor, OWNER, PHRASE), visitor)
    refused(lambda: keepers.get(1, OWNER, visitors[0]))
    assert [len(keepers.get(1, OWNER, visitor)) for visitor in visitors[1:]] == [4096, 4096]


# --- the real disk --------------------------------------------------------------------------------------------------


def test_on_a_real_disk_it_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").mkdir()
    keepers = Keepers()
    monkeypatch.setattr(keepers.disk, "perform", lambda operation: real_disk.perform(operation))
    keepers.keeper._root = str(tmp_path / "kept")
    keepers.accept()
    data = keepers.put(1, 5_000_000)
    keepers.put(2)
    assert keepers.get(1) == data
    keepers.do(DeleteObject(name_of(2)))
    folder = FolderRemote(tmp_path / "kept" / OWNER)
    assert folder.list("packs/") == keepers.do(ListObjects("packs/")) == [Listed(name_of(1), 5_000_000)]
    assert folder.get(name_of(1), 10, 20) == data[10:30]
    keepers.refuse(removes=True)
    assert [*(tmp_path / "kept").iterdir()] == []


def test_an_owners_file_that_cannot_be_read_is_an_error(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    keepers.put(1)
    error = DiskError(DiskFault.OTHER, "Input/output error")
    monkeypatch.setattr(keepers.disk, "perform", lambda operation: error)
    assert refused(lambda: keepers.get(1)) == f"{KEEPER} cannot read it: Input/output error."
    assert [*PREFIXES] == ["keys/", "heads/", "index/", "packs/"]
