"""The capability store on disk: what is written, and when (G21)."""

from __future__ import annotations

import pytest

from kernel.capabilities.grants import Grants
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from nectar_node.peers.kept_file import PAUSE_SECONDS, KeptFile
from nectar_node.storage.operations import DiskError, DiskFault, Location, Replace

HOLDER = ProcessId("a", "tests", "sys")
WHERE = Location("node", ("capabilities",))


class Held:
    """What a process holds."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    @property
    def version(self) -> int:
        return self._grants.version

    def encode(self) -> bytes:
        return repr(self._grants.of(HOLDER)).encode()


@pytest.fixture
def grants() -> Grants:
    return Grants("our.nec")


@pytest.fixture
def store(grants: Grants) -> KeptFile:
    return KeptFile(Held(grants), WHERE)


def change(grants: Grants, params: str = "1") -> Capability:
    capability = Capability(Address("our.nec", HOLDER), params)
    grants.grant(HOLDER, [capability])
    return capability


def test_nothing_is_written_while_nothing_changes(store: KeptFile) -> None:
    assert store.next_deadline() is None
    assert store.on_timer(5.0) is None


def test_g21_a_change_is_written_whole(store: KeptFile, grants: Grants) -> None:
    capability = change(grants)
    job = store.on_timer(5.0)
    assert job is not None
    assert job.operation == Replace(WHERE, repr((capability,)).encode())
    assert store.next_deadline() is None  # while it is being written
    assert store.done(None) is None
    assert store.next_deadline() is None


def test_a_burst_of_changes_is_one_write_after_a_pause(store: KeptFile, grants: Grants) -> None:
    change(grants)
    store.on_timer(5.0)
    for number in range(10):
        change(grants, str(number))
    store.done(None)
    assert store.next_deadline() == 5.0 + PAUSE_SECONDS
    assert store.on_timer(5.0) is None
    assert store.on_timer(5.0 + PAUSE_SECONDS) is not None


def test_g21_what_is_not_written_yet_is_written_at_once_when_the_node_goes_down(
    store: KeptFile, grants: Grants
) -> None:
    change(grants)
    store.on_timer(5.0)
    change(grants, "2")
    store.hurry()
    assert not store.kept
    assert store.on_timer(5.0) is None  # the first write is under way
    store.done(None)
    store.hurry()
    assert store.on_timer(5.0) is not None
    store.done(None)
    assert store.kept


def test_a_write_that_failed_is_said_and_tried_again(store: KeptFile, grants: Grants) -> None:
    change(grants)
    store.on_timer(5.0)
    sentence = store.done(DiskError(DiskFault.FULL, "No space left on device"))
    assert sentence == "the capabilities cannot be kept: No space left on device"
    assert store.on_timer(5.0 + PAUSE_SECONDS) is not None
