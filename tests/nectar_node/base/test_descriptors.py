"""File descriptors are shared out, and some are held back for what must be written."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kernel.contract.address import ProcessId
from nectar_node.base import own_files
from nectar_node.base.descriptors import (
    ENOUGH_GUESTS,
    MAX_SOCKETS,
    RESERVE,
    RESERVED,
    DescriptorReserve,
    insist,
    limit,
    share,
    used,
)
from nectar_node.base.errors import CannotStart
from nectar_node.contract.memory_budget import DEFAULT_BYTES, MemoryBudget
from nectar_node.http.channels import Channels, SocketChannel
from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Copy, Create, DiskError, Location, Rename, Replace
from net.base.limits import MAX_SESSIONS


@pytest.mark.parametrize("most", [128, 256, 1024, 20_000, 1 << 20])
def test_all_shares_and_what_the_node_keeps_fit_into_the_limit(most: int) -> None:
    budget = share(most, 12)
    assert budget.connections + budget.clients + budget.guests + RESERVED + 12 < most
    assert 0 < budget.accepted < budget.connections
    assert min(budget.clients, budget.guests) >= 4


def test_with_256_there_is_room_for_a_hundred_connections_and_with_64_a_node_says_what_it_needs() -> None:
    budget = share(256, 12)
    assert budget.connections >= 100
    with pytest.raises(CannotStart, match=r"^A node needs 116 file descriptors, and may have 64 here: raise the limit"):
        share(64, 12)


@pytest.mark.parametrize("most", [128, 256, 1024, 8192, 20_000, 65_536, 1 << 20])
def test_browsers_take_from_the_shares_of_peers_and_guests_and_leave_both_some(most: int) -> None:
    before, budget = share(most, 12), share(most, 12).with_browsers()
    assert budget.connections + budget.guests + budget.browsers + budget.sockets == before.connections + before.guests
    assert budget.accepted >= min(MAX_SESSIONS, before.connections // 6)
    assert budget.guests >= min(ENOUGH_GUESTS, before.guests)
    assert budget.sockets >= min(MAX_SOCKETS, before.connections // 2)


def test_with_20_000_there_is_room_for_ten_thousand_websockets_of_one_package() -> None:
    channels = Channels(MemoryBudget(DEFAULT_BYTES), share(20_000, 12).with_browsers().sockets)
    process = ProcessId("live", "pages", "sys")
    for number in range(10_000):
        assert channels.refusal(process, "") is None, f"after {number}"
        channels.add(SocketChannel(number, number, process, process, False, "", ""))
    assert channels.refusal(ProcessId("live", "other", "sys"), "") is None


def test_what_is_used_is_counted() -> None:
    before = used()
    descriptor = os.open(os.devnull, os.O_RDONLY)
    assert used() == before + 1
    os.close(descriptor)
    assert used() == before < limit()


def test_a_failure_that_is_none_of_descriptors_is_not_tried_again() -> None:
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        insist(fail)
    assert tried == [1]


# --- when none is left ------------------------------------------------------------------------------------------------


@pytest.fixture
def none_left(tmp_path: Path) -> Iterator[None]:
    """This process has a reserve, and but for that not one descriptor."""
    RESERVE.hold(RESERVED)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    taken: list[int] = []
    with suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    try:
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        RESERVE.hold(0)
        with RESERVE.lent():
            pass


def test_what_is_to_be_kept_is_written_with_those_in_reserve(none_left: None, tmp_path: Path) -> None:
    root = str(tmp_path)
    for _ in range(3):
        assert perform(Replace(Location(root, ("capabilities",)), b"content")) is None
        assert perform(Create(Location(root, ("one",)))) is None
        assert perform(Copy(Location(root, ("capabilities",)), Location(root, ("two",)))) is None
        assert perform(Rename(Location(root, ("one",)), Location(root, ("three",)))) is None
        own_files.write(tmp_path / "boot.json", b"options")
        assert own_files.read(tmp_path / "boot.json") == b"options"
        assert RESERVE.held == RESERVED


def test_without_a_reserve_it_is_the_error_that_it_was(
    none_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nectar_node.base.descriptors.RESERVE", DescriptorReserve())
    outcome = perform(Replace(Location(str(tmp_path), ("capabilities",)), b"content"))
    assert isinstance(outcome, DiskError)
    assert outcome.text == "Too many open files"
