"""Who may send files to a node, and how many at once: nobody keeps others out, or fills the disk with promises."""

from __future__ import annotations

from hashlib import sha256

import pytest

from nectar_node.storage.operations import Commit, Location, StateRow
from testnet.faults.bandwidth import Bandwidth
from testnet.model.where import Where
from testnet.sim.node import store_file
from testnet.sim.programs import Programs
from tests.packages.inbox_lab import EVIL, HONEST, HUGE, RECEIVER, TRANSFER, InboxLab
from tests.packages.lab import SEED, Lab

MIB = 1 << 20
GIB = 1 << 30
MAX_OF_NODE = 16
IDLE = 10.0
"""Seconds without a byte after which somebody else may have the place and the room."""
AT_ONCE = 1.0
"""Seconds within which an honest file of some kilobytes has come, whatever others do."""


@pytest.fixture
def inbox(engine: Programs) -> InboxLab:
    return InboxLab(engine)


def took(inbox: InboxLab, began: float) -> float:
    return inbox.now - began


# --- places ---------------------------------------------------------------------------------------------------------


def test_1500_offers_from_one_node_take_few_places_and_honest_files_come_meanwhile_and_right_after(
    inbox: InboxLab,
) -> None:
    data, answers = inbox.data(300_000), []
    for batch in range(2):
        offers = [inbox.offer(f"{batch} {number}.bin", MIB) for number in range(750)]
        began = inbox.now
        assert "Done" in inbox.send(data), SEED
        assert took(inbox, began) < AT_ONCE
        answers += inbox.answers(offers)
    assert sum("Accepted" in each for each in answers) == MAX_OF_NODE
    assert answers[-1]["Refused"]["note"] == f"16 transfers from {EVIL} to {RECEIVER} are running"
    assert len(inbox.receiving(EVIL)) == MAX_OF_NODE
    began = inbox.now
    assert "Done" in inbox.send(inbox.data(300_000, "after.bin"), "after.bin"), SEED
    assert took(inbox, began) < AT_ONCE
    assert inbox.received() == data


def test_seventeen_nodes_that_take_all_they_can_leave_a_place_to_everybody_else(engine: Programs) -> None:
    evil = tuple(f"evil{number}.nec" for number in range(17))
    inbox = InboxLab(engine, evil)
    offers = [inbox.offer(f"{number}.bin", MIB, node) for number in range(MAX_OF_NODE) for node in evil]
    answers = inbox.answers(offers)
    assert sum("Accepted" in each for each in answers) >= 256
    assert sum(len(inbox.receiving(node)) for node in evil) <= 257
    for number in range(3):
        began = inbox.now
        assert "Done" in inbox.send(inbox.data(100_000), f"{number}.bin"), SEED
        assert took(inbox, began) < AT_ONCE


def test_a_node_whose_transfers_get_nowhere_gets_its_own_places_back_the_longest_idle_first(inbox: InboxLab) -> None:
    inbox.answers([inbox.offer(f"{number}.bin", MIB, HONEST) for number in range(MAX_OF_NODE)])
    sending = inbox.begin(inbox.data(1000), "mine.bin")
    inbox.lab.simulation.rest(IDLE / 2)
    assert inbox.lab.answer(sending) is None
    assert inbox.status("mine.bin 1")["note"] == f"16 transfers from {HONEST} to {RECEIVER} are running"
    assert inbox.status("mine.bin 1")["state"] == "waiting"
    assert "Done" in inbox.end(sending, IDLE), SEED
    assert "0.bin" not in [each["name"] for each in inbox.receiving(HONEST)]


# --- sizes ----------------------------------------------------------------------------------------------------------


def test_an_offer_of_exabytes_is_refused_in_one_sentence_and_promises_nothing(inbox: InboxLab) -> None:
    refused = inbox.answers([inbox.offer("all.bin", HUGE)])[0]["Refused"]
    assert refused["reason"] == f"{RECEIVER} accepts files of up to 64.0 GiB, this one has 4.0 EiB"
    assert (refused["kind"], refused["again"]) == ("Refused", 0)
    inbox.user({"Policy": {"accept": "all", "max_size": None}})
    refused = inbox.answers([inbox.offer("all.bin", HUGE)])[0]["Refused"]
    assert refused["reason"].startswith(f"{RECEIVER} has no room for 4.0 EiB: 10")
    assert (refused["kind"], refused["again"]) == ("Disk", 0)
    assert "Done" in inbox.send(inbox.data(1000)), SEED


def test_the_same_room_is_not_promised_twice(engine: Programs) -> None:
    inbox = InboxLab(engine, (EVIL, "other.nec"), disk_bytes=100 * GIB)
    offers = [inbox.offer(f"{number}.bin", 15 * GIB, node) for number in range(8) for node in (EVIL, "other.nec")]
    answers = inbox.answers(offers)
    assert sum("Accepted" in each for each in answers) == 99 // 15
    assert answers[-1]["Refused"]["again"] > 0


def test_room_that_was_promised_to_those_who_send_nothing_goes_to_who_needs_it(engine: Programs) -> None:
    inbox = InboxLab(engine, disk_bytes=100 * MIB)
    taken = inbox.taken(inbox.offer("large.bin", 90 * MIB))
    inbox.tell(taken, {"Begin": {}})  # and never a byte of what is asked for then
    inbox.lab.simulation.rest(IDLE)
    data, began = inbox.data(20 * MIB), inbox.now
    assert "Done" in inbox.send(data), SEED
    assert took(inbox, began) < 2 * AT_ONCE
    assert inbox.received() == data


def test_who_sends_a_byte_now_and_then_does_not_keep_the_room_for_a_large_file(engine: Programs) -> None:
    inbox = InboxLab(engine, disk_bytes=20 * GIB)
    simulation = inbox.lab.simulation
    inbox.hollow(EVIL, 18 * GIB)
    with simulation.apply(Bandwidth(150_000, Where(EVIL, RECEIVER))):
        slow = inbox.begin(b"", "large.bin", EVIL)
        simulation.rest(50.0)
        assert inbox.status("large.bin 1", EVIL)["bytes"] > 5 * MIB
        inbox.taken(inbox.offer("more.bin", 2 * GIB, HONEST), HONEST)
        assert inbox.receiving(EVIL) == []
    assert inbox.lab.answer(slow) is None, "it waits"


def test_who_sends_less_than_was_asked_for_does_not_seem_to_get_on(engine: Programs) -> None:
    inbox = InboxLab(engine)
    inbox.hollow(EVIL, 18 * GIB, piece=1)
    failed = inbox.send(b"", "large.bin", EVIL)["Failed"]
    assert failed["kind"] == "Changed", SEED
    assert inbox.partial_files() == {}


def test_who_has_lost_its_place_goes_on_where_it_was_as_soon_as_there_is_room(engine: Programs) -> None:
    inbox = InboxLab(engine, disk_bytes=100 * MIB)
    simulation = inbox.lab.simulation
    data = inbox.data(40 * MIB)
    sending = inbox.begin(data)
    simulation.run_until(lambda: sum(inbox.partial_files().values()) > 10 * MIB, simulation.now + 10)
    simulation.pause(HONEST)
    simulation.rest(1.5 * IDLE)
    inbox.taken(inbox.offer("large.bin", 80 * MIB))
    assert inbox.receiving(HONEST) == []
    simulation.resume(HONEST)
    simulation.rest(1.0)
    assert (
        inbox.status("file.bin 1")["note"] == f"{RECEIVER} gave its place to another transfer: nothing came for a while"
    )
    done = inbox.end(sending, 3 * IDLE)["Done"]
    assert inbox.received() == data
    assert done["sent"] == len(data)
    assert inbox.user("List", HONEST)["List"][0]["resumed_from"] > 10 * MIB


def test_places_of_workers_that_were_killed_are_free_again(inbox: InboxLab) -> None:
    node = inbox.lab.at(RECEIVER)
    for number in range(MAX_OF_NODE):
        node.core.kill(inbox.taken(inbox.offer(f"{number}.bin", MIB, HONEST), HONEST).worker.process, inbox.now)
        node.go_on()
    inbox.lab.simulation.rest(IDLE)
    assert "Done" in inbox.send(inbox.data(1000), within=AT_ONCE), SEED


# --- what is left ---------------------------------------------------------------------------------------------------


def test_offers_that_never_send_a_byte_leave_no_file(inbox: InboxLab) -> None:
    for number in range(5):
        inbox.tell(inbox.taken(inbox.offer(f"{number}.bin", MIB)), {"Begin": {}})
    inbox.lab.simulation.rest(5.0)
    assert len(inbox.partial_files()) == 5
    inbox.lab.simulation.rest(200.0)
    assert inbox.receiving(EVIL) == []
    assert inbox.partial_files() == {}


def mark(node: str) -> str:
    return sha256(node.encode()).hexdigest()[:16]


def leave(inbox: InboxLab, node: str, number: int, size: int = 1000) -> str:
    """What an interrupted transfer leaves."""
    name = f"{mark(node)}-{number:032x}"
    root = ("file_transfer:sys", "inbox", ".partial", name)
    inbox.lab.node.disk.put(Location(f"{RECEIVER}/vfs", root), bytes(size))
    return name


def interrupt(inbox: InboxLab, node: str) -> None:
    """A transfer begins, and its sender ends in the midst of it."""
    simulation = inbox.lab.simulation
    before = inbox.partial_files()
    inbox.begin(inbox.data(40 * MIB, node), "interrupted.bin", node)

    def half() -> bool:
        return any(size > 10 * MIB for name, size in inbox.partial_files().items() if name not in before)

    simulation.run_until(half, simulation.now + 10)
    simulation.crash(node)
    simulation.rest(60.0)


def test_one_node_does_not_pile_up_partial_files_and_the_oldest_goes_first(inbox: InboxLab) -> None:
    other = leave(inbox, HONEST, 0)
    names = []
    for number in range(70):
        names.append(leave(inbox, EVIL, number))
        inbox.lab.simulation.rest(0.1)
    interrupt(inbox, EVIL)
    left = set(inbox.partial_files())
    assert len([name for name in left if name.startswith(mark(EVIL))]) == 64
    assert other in left
    assert left.isdisjoint(names[:7])
    assert left.issuperset(names[7:])


def pass_days(inbox: InboxLab, days: float) -> None:
    """Let so many days go by for everybody: on one clock alone all names would have expired."""
    simulation = inbox.lab.simulation
    for host in list(simulation.clocks):
        simulation.step_clock(host, days * 24 * 3600.0)
    simulation.rest(10.0)


@pytest.mark.parametrize(("days", "stays"), [(6.9, True), (7.1, False)])
def test_what_nobody_goes_on_with_for_a_week_is_removed_when_the_node_boots(
    inbox: InboxLab, days: float, stays: bool
) -> None:
    old = leave(inbox, HONEST, 0)
    pass_days(inbox, days)
    inbox.lab.simulation.restart(RECEIVER)
    inbox.lab.simulation.settle()
    inbox.lab.simulation.rest(10.0)
    assert (old in inbox.partial_files()) is stays
    assert len(inbox.partial_files()) == stays


def test_what_nobody_goes_on_with_for_a_week_is_removed_by_a_node_that_only_runs(engine: Programs) -> None:
    inbox = InboxLab(engine)
    inbox.lab = Lab(engine, ("file_transfer",), (RECEIVER,))  # what goes to and fro among many in a day would take long
    left, simulation = leave(inbox, EVIL, 0), inbox.lab.simulation
    simulation.restart(RECEIVER)
    simulation.rest(10.0)
    pass_days(inbox, 7.1)
    assert left in inbox.partial_files()
    simulation.rest(24 * 3600.0)
    assert inbox.partial_files() == {}


def test_a_partial_file_is_given_up_when_it_is_a_week_older_than_the_newest(inbox: InboxLab) -> None:
    old = leave(inbox, HONEST, 0)
    simulation = inbox.lab.simulation
    for host in list(simulation.clocks):  # everybody's: on one alone all names would have expired
        simulation.step_clock(host, 8 * 24 * 3600.0)
    simulation.rest(10.0)
    interrupt(inbox, EVIL)
    assert old not in inbox.partial_files()
    assert len(inbox.partial_files()) == 1


def test_partial_files_make_room_of_the_node_that_left_most(engine: Programs) -> None:
    inbox = InboxLab(engine, disk_bytes=100 * MIB)
    kept = leave(inbox, "small.nec", 1, 5 * MIB)
    for number in range(3):
        leave(inbox, EVIL, number, 25 * MIB)
    data = inbox.data(20 * MIB)
    assert "Done" in inbox.send(data), SEED
    assert inbox.received() == data
    assert kept in inbox.partial_files()
    assert len(inbox.partial_files()) == 3


BAD = ["a/b", "a\\b", "a\x1b[2J", "a\x85", ".hidden", "end.", "end ", "CON", "nul.tar.gz", "com1.txt", "LPT³"]


def test_a_name_that_the_receivers_drive_cannot_have_is_refused_before_a_byte_is_sent(inbox: InboxLab) -> None:
    for name in BAD:
        (answer,) = inbox.answers([inbox.offer(name, 10)])
        reason = answer["Refused"]["reason"]
        assert reason.startswith(f"{RECEIVER} does not accept the name: the file's name "), name
        assert inbox.partial_files() == {}, name


# --- the policy -----------------------------------------------------------------------------------------------------


def test_the_policy_survives_a_restart(inbox: InboxLab) -> None:
    policy = {"accept": "ask", "from": [HONEST], "max_size": 1000, "max_total": 5000, "max_files": 7}
    assert inbox.user({"Policy": policy})["Policy"] == {"version": 1, **policy}
    inbox.lab.simulation.crash(RECEIVER)
    inbox.lab.simulation.restart(RECEIVER)
    inbox.lab.simulation.settle()
    assert inbox.user("GetPolicy")["Policy"] == {"version": 1, **policy}


def test_by_default_everybody_may_send_files_of_up_to_64_gib(inbox: InboxLab) -> None:
    limits = {"max_size": 64 * GIB, "max_total": None, "max_files": None}
    assert inbox.user("GetPolicy")["Policy"] == {"version": 0, "accept": "all", "from": [], **limits}


@pytest.mark.parametrize(
    ("saved", "policy"),
    [
        (b'{"accept":"all","max_size":null}', ("all", [], 64 * GIB)),
        (b'{"accept":["send.nec"],"max_size":7}', ("none", [HONEST], 7)),
        (b'{"version":9,"accept":"all"}', ("none", [], 64 * GIB)),
        (b"\xff", ("none", [], 64 * GIB)),
    ],
    ids=["all", "named", "newer", "damaged"],
)
def test_a_policy_that_another_version_saved_is_read_as_it_was_meant_or_nothing_is_accepted(
    inbox: InboxLab, saved: bytes, policy: tuple[str, list[str], int]
) -> None:
    disk = inbox.lab.simulation.crash(RECEIVER).disk
    disk.open_store(RECEIVER)
    disk.perform(Commit(store_file(RECEIVER), (), (StateRow(TRANSFER, saved),)))
    disk.close_store()
    inbox.lab.simulation.restart(RECEIVER)
    inbox.lab.simulation.settle()
    now = inbox.user("GetPolicy")["Policy"]
    assert (now["accept"], now["from"], now["max_size"]) == policy


def test_nodes_that_are_named_as_before_are_those_from_whom_files_are_accepted(inbox: InboxLab) -> None:
    policy = inbox.user({"Policy": {"accept": [HONEST], "max_size": None}})["Policy"]
    assert (policy["accept"], policy["from"]) == ("none", [HONEST])
    assert "Done" in inbox.send(inbox.data(1000))
    failed = inbox.send(inbox.data(1000), "other.bin", EVIL)["Failed"]
    assert (failed["kind"], failed["reason"]) == ("Refused", f"{RECEIVER} accepts no files from {EVIL}")


def test_another_node_has_no_say_in_it(inbox: InboxLab) -> None:
    bodies: tuple[object, ...] = ("GetPolicy", "Offers", {"Policy": {}}, {"Accept": {"id": "1"}})
    for body in bodies:
        answer = inbox.lab.ask(f"{RECEIVER}@file_transfer:file_transfer:sys", body, where=EVIL)
        assert answer == {"Err": "only the user of this node may ask this"}, body


def test_an_inbox_holds_no_more_files_and_bytes_than_its_user_wants(inbox: InboxLab) -> None:
    inbox.user({"Policy": {"max_files": 2, "max_total": 5000}})
    assert "Done" in inbox.send(inbox.data(3000), "1.bin")
    failed = inbox.send(inbox.data(2001), "2.bin")["Failed"]
    assert failed["kind"] == "Disk"
    assert failed["reason"] == f"the inbox of {RECEIVER} may hold 4.8 KiB, and has no room for 1.9 KiB more"
    assert "Done" in inbox.send(inbox.data(2000), "3.bin")
    failed = inbox.send(b"", "4.bin")["Failed"]
    assert failed["reason"] == f"the inbox of {RECEIVER} holds as many files as it may (2); some must be removed there"


# --- asking the user ------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(inbox: InboxLab) -> InboxLab:
    inbox.user({"Policy": {"accept": "ask"}})
    return inbox


def waiting(inbox: InboxLab) -> list[tuple[str, str, int]]:
    inbox.lab.simulation.rest(1.0)
    listed = inbox.user("Offers")["Offers"]
    return [(each["peer"], each["name"], each["size"]) for each in listed if each["verdict"] == "pending"]


@pytest.mark.parametrize("which", ["1", "file.bin"])
def test_a_file_waits_until_the_user_accepts_it(asking: InboxLab, which: str) -> None:
    data = asking.data(300_000)
    sending = asking.begin(data)
    assert waiting(asking) == [(HONEST, "file.bin", 300_000)]
    asking.lab.simulation.rest(100.0)
    assert asking.status("file.bin 1")["note"] == f"{RECEIVER} asks its user whether to accept the file"
    assert asking.user({"Accept": {"id": which}})["Offers"][0]["verdict"] == "accepted"
    assert "Done" in asking.end(sending, 3.0), SEED
    assert asking.received() == data
    assert asking.user("Offers") == {"Offers": []}


def test_a_file_that_the_user_refuses_is_refused_to_its_sender_and_not_asked_about_again(asking: InboxLab) -> None:
    sending = asking.begin(asking.data(1000))
    assert waiting(asking)
    asking.user({"Refuse": {"id": "1"}})
    failed = asking.end(sending, 3.0)["Failed"]
    assert failed == {
        "kind": "Refused",
        "reason": f"the user of {RECEIVER} does not accept file.bin",
        "received": 0,
    }
    assert waiting(asking) == []


def test_nobody_is_asked_about_nodes_that_are_named(asking: InboxLab) -> None:
    asking.user({"Policy": {"accept": "ask", "from": [HONEST]}})
    assert "Done" in asking.send(asking.data(1000))


def test_a_file_that_was_accepted_after_its_sender_had_gone_is_taken_when_it_comes_back(asking: InboxLab) -> None:
    data = asking.data(1000)
    sending = asking.begin(data)
    waiting(asking)
    asking.user({"Cancel": {"id": "file.bin 1"}}, HONEST)
    assert asking.end(sending)["Failed"]["kind"] == "Cancelled"
    asking.lab.simulation.rest(3600.0)
    assert asking.user({"Accept": {"id": "1"}})["Offers"][0]["silent"] > 3000
    assert "Done" in asking.end(asking.begin_again(), AT_ONCE), SEED
    assert asking.received() == data


def test_offers_of_one_name_are_told_apart_by_their_numbers(asking: InboxLab) -> None:
    asking.begin(asking.data(1000))
    asking.begin(asking.data(1001), sender=EVIL)
    assert len(waiting(asking)) == 2
    many = "more than one offer is called 'file.bin': say the number of the one that you mean"
    assert asking.user({"Accept": {"id": "file.bin"}}) == {"Err": many}
    assert asking.user({"Accept": {"id": "9"}}) == {"Err": "there is no offer '9'"}


def test_a_node_has_few_offers_waiting_and_hides_nobody_elses(asking: InboxLab) -> None:
    answers = asking.answers([asking.offer(f"{number}.bin", MIB) for number in range(900)])
    assert {each["Refused"]["kind"] for each in answers} == {"Refused"}
    asking.begin(asking.data(1000))
    listed = waiting(asking)
    assert sum(peer == EVIL for peer, _, _ in listed) == MAX_OF_NODE
    assert (HONEST, "file.bin", 1000) in listed


def test_an_offer_that_was_refused_is_refused_for_an_hour_after_its_sender_has_last_asked(asking: InboxLab) -> None:
    asking.answers([asking.offer("a.bin", MIB)])
    asking.user({"Refuse": {"id": "1"}})
    for node in (HONEST, EVIL):
        asking.lab.simulation.crash(node)
    asking.lab.simulation.rest(0.9 * 3600.0)
    assert [each["verdict"] for each in asking.user("Offers")["Offers"]] == ["refused"]
    asking.lab.simulation.rest(0.2 * 3600.0)
    assert asking.user("Offers") == {"Offers": []}
