"""A file between two whole nodes in virtual time: real guests and real encryption, no trio, socket, thread or clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blake3 import blake3

from kernel.contract.message import Buffer
from nectar_node.storage.operations import ListFolder, Location
from testnet.sim.disk.file_content import File
from testnet.sim.programs import Programs
from tests.testnet.transfer_lab import PATIENCE, RECEIVER, TRANSFER, FileTransfer, order, outcome

SEED = 20260101


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 3_000_000])
def test_a_file_of_any_size_arrives_byte_for_byte(programs: Programs, size: int) -> None:
    run = FileTransfer.begin(SEED, programs)
    data = run.random_file(size)
    answer = run.send(data, "Ünï code & spaces.bin")
    assert answer["Done"]["bytes"] == answer["Done"]["sent"] == size, (SEED, answer)
    assert run.received("Ünï code & spaces.bin") == data


def test_g11_no_chunk_enters_the_memory_of_a_guest(programs: Programs) -> None:
    run = FileTransfer.begin(SEED, programs)
    run.send(run.random_file(5_000_000))
    written = [line for line in run.simulation.journal if " disk WriteAt " in line]
    assert len(written) > 3, SEED
    assert run.blob_bytes_loaded() == 0


def test_a_file_reaches_a_node_behind_a_router_and_the_run_can_be_replayed(programs: Programs) -> None:
    digests = []
    for _ in range(2):
        run = FileTransfer.begin(SEED, programs, routers=("router.nec",))
        data = run.random_file(5_000_000)
        run.send(data)
        assert run.received() == data, SEED
        (peer,) = [each for each in run.sender.core.network.peers() if each.name == RECEIVER]
        assert peer.router == "router.nec"
        digests.append(run.simulation.digest())
    assert digests[0] == digests[1], SEED


def test_a_full_disk_at_the_receiver_is_told_in_one_sentence_and_leaves_nothing_under_the_final_name(
    programs: Programs,
) -> None:
    run = FileTransfer.begin(SEED, programs, receiver_disk_bytes=2_000_000)
    answer = run.send(run.random_file(3_000_000))
    assert answer["Failed"]["kind"] == "Disk", (SEED, answer)
    assert RECEIVER in answer["Failed"]["reason"]
    assert run.received() is None


def test_a_file_that_is_there_already_is_not_sent_again(programs: Programs) -> None:
    run = FileTransfer.begin(SEED, programs)
    data = run.random_file(3_000_000)
    run.send(data)
    again = run.send(data)
    assert again["Done"]["sent"] == 0, (SEED, again)


def test_another_file_of_the_same_name_gets_a_name_of_its_own(programs: Programs) -> None:
    run = FileTransfer.begin(SEED, programs)
    first, second = run.random_file(1000), run.random_file(1001)
    run.send(first)
    answer = run.send(second)
    assert answer["Done"]["name"] == "file (2).bin", (SEED, answer)
    assert (run.received(), run.received("file (2).bin")) == (first, second)


def test_of_two_attempts_at_one_file_the_newer_completes_and_the_older_is_told_so(programs: Programs) -> None:
    run = FileTransfer.begin(SEED, programs)
    data = run.random_file(20_000_000)
    path = run.share(data)
    first = run.sender.begin_to_ask(TRANSFER, order("first", path, "file.bin"), PATIENCE)
    run.simulation.run_until(lambda: any(" disk WriteAt " in line for line in run.simulation.journal), 60)
    second = run.sender.ask(TRANSFER, order("second", path, "file.bin"), PATIENCE)
    assert outcome(second)["Done"]["bytes"] == len(data), SEED
    assert outcome(run.sender.answer(first))["Failed"]["kind"] == "Superseded", SEED
    assert run.received() == data


def test_a_file_that_is_not_there_is_named_as_its_user_knows_it(programs: Programs) -> None:
    run = FileTransfer.begin(SEED, programs)
    failed = run.offer("/file_transfer:sys/outgoing/none/holiday.mp4", "holiday.mp4")["Failed"]
    assert failed["kind"] == "NotFound", (SEED, failed)
    assert "holiday.mp4" in failed["reason"]
    assert "outgoing" not in failed["reason"]


@pytest.mark.parametrize("name", ["..", ".hidden", "", "a\x00b", "x" * 201])
def test_no_name_escapes_the_inbox(programs: Programs, name: str) -> None:
    run = FileTransfer.begin(SEED, programs)
    run.sender.disk.put(Location("/home/user", ("f",)), b"data")
    run.sender.core.vfs.mount("/file_transfer:sys/outgoing/x/f", Location("/home/user", ("f",)))
    answer = run.offer("/file_transfer:sys/outgoing/x/f", name)
    assert "Done" not in answer, (SEED, answer)
    files = run.receiver.disk.perform(ListFolder(Location(f"{RECEIVER}/vfs", ("file_transfer:sys",))))
    assert isinstance(files, list)
    assert {name for name, _ in files} <= {"inbox"}


@pytest.fixture
def read_for_hashes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the files that are read for their hashes."""
    lengths: list[int] = []
    blocks = File.blocks

    def noted(file: File) -> Iterator[Buffer]:
        lengths.append(len(file))
        return blocks(file)

    monkeypatch.setattr(File, "blocks", noted)
    return lengths


def test_neither_side_reads_a_file_a_second_time_for_its_hash(programs: Programs, read_for_hashes: list[int]) -> None:
    run = FileTransfer.begin(SEED, programs)
    data = run.random_file(5_000_000)
    path = run.share(data)
    read_for_hashes.clear()
    assert run.offer(path, "file.bin")["Done"]["hash"] == blake3(data).hexdigest(), SEED
    assert read_for_hashes == []
    assert run.offer(path, "file.bin")["Done"]["sent"] == 0, SEED
    assert read_for_hashes == [len(data)], "the receiver hashes what it has already; the sender knows"


def test_after_a_crash_the_hash_is_of_what_is_on_the_disk_and_not_of_what_was_written(
    programs: Programs, read_for_hashes: list[int]
) -> None:
    run = FileTransfer.begin(SEED, programs)
    data = run.random_file(20_000_000)
    path = run.share(data)
    run.sender.begin_to_ask(TRANSFER, order("first", path, "file.bin"), PATIENCE)
    inbox = Location(f"{RECEIVER}/vfs", ("file_transfer:sys", "inbox", ".partial"))

    def partial() -> Location | None:
        names = run.receiver.disk.perform(ListFolder(inbox))
        return Location(inbox.root, (*inbox.parts, names[0][0])) if isinstance(names, list) and names else None

    def has_begun() -> bool:
        place = partial()
        return place is not None and len(run.receiver.disk.get(place) or b"") > 5_000_000

    run.simulation.run_until(has_begun, 60)
    place = partial()
    assert place is not None
    crashed = run.simulation.crash(RECEIVER)
    damaged = run.receiver.disk.get(place)
    assert damaged is not None
    assert len(damaged) > 5_000_000, SEED
    crashed.disk.put(place, bytes(1000) + damaged[1000:])  # what a disk may give back that has lied of a sync
    run.receiver = run.simulation.restart(RECEIVER)
    run.simulation.settle()
    read_for_hashes.clear()
    failed = outcome(run.sender.ask(TRANSFER, order("second", path, "file.bin"), PATIENCE))["Failed"]
    assert "is not what was sent" in failed["reason"], (SEED, failed)
    assert len(data) in read_for_hashes
    assert run.received() is None
    assert outcome(run.sender.ask(TRANSFER, order("third", path, "file.bin"), PATIENCE))["Done"]["sent"] == len(data)
    assert run.received() == data
