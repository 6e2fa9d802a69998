"""Folders that nodes send each other: what arrives, what is refused, and what is left. One body each, in simulation."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import pytest
from blake3 import blake3

from nectar_node.packing.packed_folder import PackedEntry, PackedFolder, PackedKind
from nectar_node.storage.operations import (
    HashPacked,
    Location,
    PackedBytes,
    PackedStat,
    ReadPacked,
    StatPacked,
)
from nectar_node.storage.steps import Work
from testnet.sim.disk.disk import SimDisk
from testnet.sim.disk.packed_folders import look_into
from testnet.sim.disk.tree import FolderStamp
from testnet.sim.programs import Programs
from tests.packages.inbox_lab import EVIL, HONEST, RECEIVER, TRANSFER, USER, InboxLab
from tests.packages.lab import SEED

MIB = 1 << 20
INBOX = (f"{RECEIVER}/vfs", "file_transfer:sys", "inbox")
WHEN = 1_600_000_000_123_456_789


class Given(NamedTuple):
    """What is put into a folder to be sent: content, permissions and time of a file, or where a link leads."""

    data: bytes = b""
    mode: int = 0o644
    target: str | None = None


GivenTree: TypeAlias = Mapping[Any, Given]
"""By the names on the way to it."""

TREE: GivenTree = {
    ("read me.txt",): Given(b"hello"),
    ("run",): Given(b"#!", 0o755),
    ("empty",): Given(),
    (".hidden", "deep", "ä.bin"): Given(bytes(range(256)) * 40, 0o600),
    ("latest",): Given(target=".hidden/deep/ä.bin"),
}


@pytest.fixture
def inbox(engine: Programs) -> InboxLab:
    return InboxLab(engine)


def put(disk: SimDisk, name: str, tree: GivenTree) -> Location:
    """Put a folder where the user's files are."""
    root = Location(USER, (name,))
    disk.put_folder(root)
    for parts, given in tree.items():
        path = (USER, name, *parts)
        disk.put(Location(USER, path[1:]), given.data, WHEN + len(parts), given.target)
        disk.live.files[path].mode = given.mode
        for depth in range(2, len(path)):
            disk.stamps[path[:depth]] = FolderStamp(0o750, WHEN - depth)
    return root


def begin(inbox: InboxLab, tree: GivenTree, name: str = "stuff", sender: str = HONEST) -> object:
    node = inbox.lab.at(sender)
    path = f"/file_transfer:sys/outgoing/1/{name}"
    node.core.vfs.mount(path, put(node.disk, name, tree))
    order = {"Send": {"id": name, "path": path, "name": name, "to": RECEIVER, "folder": True}}
    return inbox.lab.begin(f"our@{TRANSFER}", order, 3600, sender)


def send(inbox: InboxLab, tree: GivenTree, name: str = "stuff", sender: str = HONEST) -> Any:
    return inbox.end(begin(inbox, tree, name, sender))


def received(inbox: InboxLab, name: str = "stuff") -> PackedFolder:
    disk = inbox.lab.node.disk
    return look_into(disk.live, (*INBOX, name), disk.stamps)[0]


def sent(inbox: InboxLab, name: str = "stuff", sender: str = HONEST) -> PackedFolder:
    disk = inbox.lab.at(sender).disk
    return look_into(disk.live, (USER, name), disk.stamps)[0]


def in_inbox(inbox: InboxLab) -> set[str]:
    """What has a final name."""
    live = inbox.lab.node.disk.live
    return {path[-1] for path in (*live.files, *live.folders) if path[:-1] == INBOX} - {".partial"}


def left(inbox: InboxLab) -> list[str]:
    live = inbox.lab.node.disk.live
    return sorted(path[-1] for path in (*live.files, *live.folders) if path[:-1] == (*INBOX, ".partial"))


def test_a_folder_arrives_with_its_names_contents_modes_times_and_links(inbox: InboxLab) -> None:
    done = send(inbox, TREE)["Done"]
    assert (done["name"], done["files"], done["left_out"]) == ("stuff", 4, ""), SEED
    assert received(inbox).entries == sent(inbox).entries
    for parts, given in TREE.items():
        if given.target is None:
            assert inbox.lab.node.disk.get(Location(INBOX[0], (*INBOX[1:], "stuff", *parts))) == given.data
    assert left(inbox) == []
    by_path = {entry.path: entry for entry in received(inbox).entries}
    assert (by_path["run"].mode, by_path["run"].modified) == (0o755, WHEN + 1)
    assert by_path[".hidden"] == PackedEntry(".hidden", PackedKind.FOLDER, 0o750, WHEN - 3)


def test_the_same_folder_is_not_sent_twice_and_one_that_changed_gets_another_name(inbox: InboxLab) -> None:
    send(inbox, TREE, "v1.2")
    assert send(inbox, TREE, "v1.2")["Done"]["sent"] == 0
    assert in_inbox(inbox) == {"v1.2"}
    done = send(inbox, {**TREE, ("run",): Given(b"#?", 0o755)}, "v1.2")["Done"]
    assert (done["name"], in_inbox(inbox)) == ("v1.2 (2)", {"v1.2", "v1.2 (2)"})


def test_a_file_of_that_name_stays_as_it_is(inbox: InboxLab) -> None:
    inbox.send(b"a file", "stuff")
    assert send(inbox, TREE)["Done"]["name"] == "stuff (2)"
    assert inbox.received("stuff") == b"a file"


def test_an_interrupted_folder_goes_on_in_the_midst_of_it(inbox: InboxLab) -> None:
    data = inbox.data(1 * MIB)
    tree = {("d", f"{number}.bin"): Given(data) for number in range(12)}
    simulation = inbox.lab.simulation
    begin(inbox, tree)
    simulation.run_until(lambda: sum(inbox.partial_files().values()) > 4 * MIB, simulation.now + 10)
    simulation.crash(HONEST)
    simulation.rest(60.0)
    assert in_inbox(inbox) == set()
    simulation.restart(HONEST)
    simulation.settle()
    done = send(inbox, tree)["Done"]
    assert 0 < done["sent"] < 9 * MIB, SEED
    assert received(inbox).entries == sent(inbox).entries
    assert left(inbox) == []


def test_what_was_unpacked_and_never_got_its_name_is_removed_when_the_node_boots(inbox: InboxLab) -> None:
    lost = Location(INBOX[0], (*INBOX[1:], ".partial", "0123-4567-folder", "file"))
    inbox.lab.node.disk.put(lost, b"x")
    simulation = inbox.lab.simulation
    simulation.crash(RECEIVER)
    simulation.restart(RECEIVER)
    simulation.settle()
    simulation.rest(10.0)
    assert left(inbox) == []


def test_links_that_lead_out_are_left_out_and_said(inbox: InboxLab) -> None:
    tree = {**TREE, ("d", "up"): Given(target="../../secret"), ("root",): Given(target="/etc/passwd")}
    done = send(inbox, tree)["Done"]
    assert done["left_out"] == "left out: 2 links that lead out of the folder, the first of them 'd/up'"
    assert {entry.path for entry in received(inbox).entries if entry.kind is PackedKind.LINK} == {"latest"}


def test_a_folder_that_changes_while_it_is_sent_does_not_arrive_and_its_sender_hears_why(inbox: InboxLab) -> None:
    tree = {(f"{number}.bin",): Given(inbox.data(1 * MIB)) for number in range(12)}
    sending, simulation = begin(inbox, tree), inbox.lab.simulation
    simulation.run_until(lambda: sum(inbox.partial_files().values()) > 5 * MIB, simulation.now + 10)
    inbox.lab.at(HONEST).disk.put(Location(USER, ("stuff", "11.bin")), b"other")
    failed = inbox.end(sending)["Failed"]
    assert (failed["kind"], in_inbox(inbox)) == ("Changed", set())
    assert failed["reason"].startswith("stuff cannot be read on send.nec: something in it has changed")


def test_a_disk_without_room_refuses_a_folder_before_a_byte_is_sent(engine: Programs) -> None:
    inbox = InboxLab(engine, disk_bytes=30 * MIB)
    tree = {("a.bin",): Given(inbox.data(20 * MIB))}
    failed = send(inbox, tree)["Failed"]
    assert failed["kind"] == "Disk"
    assert failed["reason"].startswith("recv.nec has no room for 40.0 MiB")
    assert left(inbox) == []


def test_two_folders_that_have_room_one_after_the_other_do_not_meet_on_a_full_disk(engine: Programs) -> None:
    inbox = InboxLab(engine, disk_bytes=66 * MIB)
    large, small = ({("a.bin",): Given(inbox.data(size * MIB))} for size in (30, 10))
    sendings = begin(inbox, large, "large"), begin(inbox, small, "small", EVIL)
    outcomes = [inbox.end(sending, 120.0) for sending in sendings]
    assert ["Done" in outcome for outcome in outcomes] == [True, True], (SEED, outcomes)
    assert in_inbox(inbox) == {"large", "small"}


def pack_evil(inbox: InboxLab, data: bytes, entries: int) -> None:
    """From now on the folders of evil.nec are these bytes, as one file."""
    disk, stat = inbox.lab.at(EVIL).disk, PackedStat(len(data), 7, entries, 1, "")
    disk._performers |= {StatPacked: lambda _: stat, ReadPacked: lambda read: _piece(data, read)}
    disk._in_steps |= {HashPacked: lambda _: _hash(data)}


def _piece(data: bytes, read: ReadPacked) -> PackedBytes:
    end = min(len(data), read.offset + read.length)
    return PackedBytes(data[read.offset : end], end, 0)


def _hash(data: bytes) -> Work:
    yield
    return blake3(data).digest()


def encoded(*entries: tuple[int, str, int, str]) -> bytes:
    """A packed folder with these entries after the folder itself: kind, path, size, where it leads. Their contents are
    zeros."""
    parts = []
    for kind, path, size, target in ((1, "", 0, ""), *entries):
        raw = (path.encode(errors="surrogateescape"), target.encode())
        parts.append(struct.pack("<BHqQHH", kind, 0o7777, 5, size, *map(len, raw)) + b"".join(raw))
    listed, content = b"".join(parts), bytes(sum(size for _, _, size, _ in entries if size < 1000))
    return struct.pack("<8sII", b"NECFOLD1", len(listed), len(parts)) + listed + content


HOSTILE = {
    "out of it": ([(1, "..", 0, ""), (2, "../out", 1, "")], "cannot be kept: its name stands for a folder"),
    "absolute": ([(2, "/etc/x", 1, "")], "lies in what is no folder of it"),
    "absolute, in the folder itself": ([(2, "/x", 1, "")], "lies in what is no folder of it"),
    "a link up, written as if it lay deeper": ([(3, "/a", 0, "../x")], "lies in what is no folder of it"),
    "a backslash": ([(2, "a\\b", 1, "")], "its name contains a slash or backslash"),
    "NUL": ([(2, "a\0b", 1, "")], "its name contains a control character"),
    "not UTF-8": ([(2, "a\udcff", 1, "")], "a name in it is not UTF-8"),
    "too long": ([(2, "x" * 256, 1, "")], "its name has more than 255 bytes"),
    "twice": ([(2, "a", 1, ""), (2, "a", 1, "")], "it has two files that are called 'a'"),
    "a file as folder": ([(2, "a", 1, ""), (2, "a/b", 1, "")], "lies in what is no folder of it"),
    "through a link": ([(3, "a", 0, "b"), (2, "a/b", 1, "")], "lies in what is no folder of it"),
    "a link up": ([(3, "a", 0, "../x")], "a link in it, 'a', leads out of it"),
    "a link to the root": ([(3, "a", 0, "/etc")], "a link in it, 'a', leads out of it"),
    "a link up and down": ([(1, "d", 0, ""), (3, "d/a", 0, "x/../../y")], "a link in it, 'd/a', leads out of it"),
    "a device": ([(4, "a", 0, "")], "its list is damaged"),
    "larger than it": ([(2, "a", 1 << 61, "")], "bytes long, and not"),
    "larger than any": ([(2, "a", 1 << 63, "")], "its files are larger than any disk"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_a_hostile_sender_packs_is_refused_in_one_sentence_and_leaves_nothing(inbox: InboxLab, what: str) -> None:
    entries, why = HOSTILE[what]
    pack_evil(inbox, encoded(*entries), len(entries) + 1)
    before = {path for path in inbox.lab.node.disk.paths() if path[0] == INBOX[0]}
    failed = send(inbox, TREE, sender=EVIL)["Failed"]
    assert failed["kind"] == "Refused", failed
    assert failed["reason"].startswith("recv.nec does not take the folder: ")
    assert why in failed["reason"]
    assert (in_inbox(inbox), left(inbox)) == (set(), [])
    assert {path for path in inbox.lab.node.disk.paths() if path[0] == INBOX[0]} == before


def test_setuid_bits_are_never_kept_and_the_owner_may_read_and_write(inbox: InboxLab) -> None:
    pack_evil(inbox, encoded((2, "a", 1, "")), 2)
    assert "Done" in send(inbox, TREE, sender=EVIL)
    assert {entry.path: entry.mode for entry in received(inbox).entries} == {"": 0o777, "a": 0o777}


def test_a_folder_with_more_in_it_than_was_said_is_refused(inbox: InboxLab) -> None:
    pack_evil(inbox, encoded((2, "a", 1, ""), (2, "b", 1, "")), 2)
    failed = send(inbox, TREE, sender=EVIL)["Failed"]
    assert "has more than the 2 files and folders that it was to have" in failed["reason"]
    offer = {"id": "x", "name": "many", "size": 10, "modified": 1, "chunk": MIB, "entries": 10_000_000}
    asked = inbox.lab.begin(f"{RECEIVER}@{TRANSFER}", {"OfferFolder": offer}, 60, EVIL)
    refused = inbox.lab.wait(asked)["Refused"]
    assert refused["reason"] == "recv.nec takes no folder with more than 100000 files and folders"


def test_an_inbox_counts_the_files_of_folders(inbox: InboxLab) -> None:
    inbox.user({"Policy": {"max_files": 12}})
    assert "Done" in send(inbox, TREE)  # with its folders and the link, eight
    failed = send(inbox, TREE, "more")["Failed"]
    assert failed["reason"] == "the inbox of recv.nec holds as many files as it may (12); some must be removed there"
    assert "Done" in inbox.send(b"x", "one more")


def test_progress_is_told_in_files_too(inbox: InboxLab) -> None:
    tree = {(f"{number}.bin",): Given(inbox.data(1 * MIB)) for number in range(12)}
    sending, simulation = begin(inbox, tree), inbox.lab.simulation
    simulation.run_until(lambda: sum(inbox.partial_files().values()) > 4 * MIB, simulation.now + 10)
    simulation.rest(0.2)
    status = inbox.status("stuff")
    assert status["of_files"] == 12
    assert status["files"] == 12 or 2 < status["files"] <= status["bytes"] // MIB
    assert "Done" in inbox.end(sending)
