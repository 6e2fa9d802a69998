"""What a node may rely on when it sends messages by name: order, exactly once, fairness, credit, replay."""

import pytest

from net.base.limits import MAX_BLOB_BYTES, MAX_HEADER_BYTES, MESSAGE_OVERHEAD_BYTES
from net.contract.events import FailureReason, PeerDown, PeerUp, Writable
from net.peering.network import NetworkConfig
from tests.net.world import Wire, met, pair

BOTH_ORDERS = pytest.mark.parametrize("names", [("ann.test", "bob.test"), ("bob.test", "ann.test")])
"""Who dials has the lower name (and decides which connection counts), or the higher one."""


@BOTH_ORDERS
def test_a_message_arrives_with_its_source_and_blob_and_is_acknowledged(names: tuple[str, str]) -> None:
    world, first, second = pair(names=names)
    world.post(first, second.name, b"hello", b"blob")
    assert second.received() == [(first.name, b"hello", b"blob")]
    assert first.delivered() == [b"hello"]
    assert world.now == 0.0


def test_no_blob_and_an_empty_blob_are_told_apart() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"none", None)
    world.post(first, second.name, b"", b"")
    assert second.received() == [(first.name, b"none", None), (first.name, b"", b"")]


@BOTH_ORDERS
def test_answers_use_the_same_connection(names: tuple[str, str]) -> None:
    world, first, second = met(b"question", names=names)
    world.post(second, first.name, b"answer")
    assert first.headers() == [b"answer"]
    assert len(world.wires) == 1


def test_messages_of_one_stream_keep_their_order_whatever_their_sizes() -> None:
    world, first, second = pair()
    sizes = [0, 70_000, 1, 200_000, 5, 65_519, 0]
    for index, size in enumerate(sizes):
        world.send(first, second.name, b"%d" % index, bytes(size))
    world.settle()
    assert second.headers() == [b"%d" % index for index in range(len(sizes))]
    assert [len(blob or b"") for _, _, blob in second.received()] == sizes


def test_a_small_message_overtakes_a_large_one_of_another_stream() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"large", bytes(1 << 20), stream=b"one")
    world.post(first, second.name, b"small", None, stream=b"two")
    assert second.headers() == [b"small", b"large"]


def test_two_large_messages_share_the_connection_frame_by_frame() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"long", bytes(1 << 20), stream=b"one")
    world.send(first, second.name, b"short", bytes(1 << 18), stream=b"two")
    world.post(first, second.name, b"shorter", bytes(1 << 17), stream=b"three")
    assert second.headers() == [b"shorter", b"short", b"long"]


def test_a_header_larger_than_a_record_arrives_whole() -> None:
    world, first, second = pair()
    header = bytes(range(256)) * 1000
    world.post(first, second.name, header, b"and a blob")
    assert second.received() == [(first.name, header, b"and a blob")]


def test_what_is_too_large_fails_at_once_and_the_session_stays() -> None:
    world, first, second = pair()
    world.send(first, second.name, bytes(MAX_HEADER_BYTES + 1))
    world.send(first, second.name, b"blob", bytes(MAX_BLOB_BYTES + 1))
    world.post(first, second.name, b"fits")
    assert [reason for _, reason in first.failed()] == [FailureReason.TOO_LARGE] * 2
    assert second.headers() == [b"fits"]


def test_a_receiver_that_takes_nothing_stops_the_sender_at_its_credit() -> None:
    config = NetworkConfig(credit_bytes=8 * (1000 + MESSAGE_OVERHEAD_BYTES))
    world, first, second = pair(config)
    second.taking = False
    for index in range(10):
        world.send(first, second.name, b"%d" % index, bytes(999), stream=b"%d" % index)
    world.settle()
    assert second.headers() == [b"%d" % index for index in range(7)]
    assert second.network.statistics()["incoming_bytes"] == config.credit_bytes * 7 // 8


def test_taking_a_message_gives_its_credit_back() -> None:
    world, first, second = pair(NetworkConfig(credit_messages=1))
    second.taking = False
    for index in range(3):
        world.send(first, second.name, b"%d" % index)
    world.settle()
    assert second.headers() == [b"0"]
    assert first.delivered() == []
    second.network.taken(second.untaken[0], world.now)
    world.settle()
    assert second.headers() == [b"0", b"1"]
    assert first.delivered() == [b"0"]


def test_one_stuck_stream_does_not_stop_another() -> None:
    world, first, second = pair()
    second.taking = False
    for index in range(300):
        world.send(first, second.name, b"stuck %d" % index, stream=b"stuck")
    world.post(first, second.name, b"free", stream=b"free")
    assert b"free" in second.headers()
    assert len(second.headers()) == 255 + 1


def test_taking_a_message_twice_acknowledges_it_once() -> None:
    world, first, second = pair()
    second.taking = False
    world.post(first, second.name, b"once")
    for _ in range(2):
        second.network.taken(second.untaken[0], world.now)
        world.settle()
    assert first.delivered() == [b"once"]


def test_writable_is_told_once_until_pending_has_returned_all_there_is() -> None:
    world, first, second = met(b"up")
    network = first.network
    for _ in range(3):
        world.send(first, second.name, b"more")
    event = network.next_event()
    assert isinstance(event, Writable)
    assert network.next_event() is None
    assert network.pending(event.connection, 100) != []
    world.send(first, second.name, b"even more")
    assert network.next_event() is None  # more than half of the limit came: whoever asks will ask again
    assert network.pending(event.connection, 1000) != []
    world.send(first, second.name, b"again")
    assert network.next_event() == event


def test_pending_gives_about_as_much_as_asked_for() -> None:
    world, first, second = met(b"up")
    world.send(first, second.name, b"large", bytes(1 << 20))
    event = first.network.next_event()
    assert isinstance(event, Writable)
    sizes = []
    while buffers := first.network.pending(event.connection, 1 << 17):
        sizes.append(sum(len(buffer) for buffer in buffers))
    assert set(sizes[:-1]) == {2 * 65537}
    assert sizes[-1] < 2 * 65537


def test_a_session_is_told_up_once_and_down_once() -> None:
    world, first, second = met(b"hello")
    world.crash(second)
    world.run(60)
    assert first.of(PeerUp, PeerDown) == [
        PeerUp(second.name),
        PeerDown(second.name, FailureReason.CONNECTION_LOST),
    ]


def test_a_message_to_oneself_or_to_what_is_no_name_fails() -> None:
    world, first, _ = pair()
    for name in (first.name, "no-dot", "UPPER.test", "", "a..b"):
        world.send(first, name, name.encode())
    world.settle()
    assert {reason for _, reason in first.failed()} == {FailureReason.NO_SUCH_NAME}
    assert len(first.failed()) == 5


def test_a_shutdown_says_goodbye_and_fails_what_is_left() -> None:
    world, first, second = pair()
    second.taking = False
    world.post(first, second.name, b"untaken")
    first.network.shutdown(world.now)
    world.post(first, second.name, b"too late")
    assert first.failed() == [(b"untaken", FailureReason.SHUTDOWN), (b"too late", FailureReason.SHUTDOWN)]
    assert not world.open
    world.run(10)
    assert second.of(PeerDown) == [PeerDown(first.name, FailureReason.CONNECTION_LOST)]


def test_the_same_entropy_and_schedule_give_the_same_bytes() -> None:
    def run() -> list[bytes]:
        world, first, second = pair()
        cuts = iter([700, 90_000])

        def on_wire(wire: Wire) -> None:
            wire.cut_after = next(cuts, None)

        world.on_wire = on_wire
        for index in range(5):
            world.send(first, second.name, b"%d" % index, bytes(50_000), stream=b"%d" % (index % 2))
            world.send(second, first.name, b"%d" % index, bytes(500))
        world.run(30)
        assert len(world.wires) >= 2
        return [part for wire in world.wires for part in wire.log]

    assert run() == run()
