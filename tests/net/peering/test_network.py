"""What a node may rely on when it sends messages by name: order, exactly once, fairness, credit, replay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.base.limits import MAX_BLOB_BYTES, MAX_HEADER_BYTES, MESSAGE_OVERHEAD_BYTES
from net.contract.events import Delivered, FailureReason, Log, PeerDown, PeerUp, Received, Writable
from net.peering.network import NetworkConfig
from tests.net.world import Wire, World, identity_of, pair, static_directory

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
    world, first, second = pair(names=names)
    world.post(first, second.name, b"question")
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
    world, first, second = pair()
    world.post(first, second.name, b"up")
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
    world, first, second = pair()
    world.post(first, second.name, b"up")
    world.send(first, second.name, b"large", bytes(1 << 20))
    event = first.network.next_event()
    assert isinstance(event, Writable)
    sizes = []
    while buffers := first.network.pending(event.connection, 1 << 17):
        sizes.append(sum(len(buffer) for buffer in buffers))
    assert set(sizes[:-1]) == {2 * 65537}
    assert sizes[-1] < 2 * 65537


def test_a_session_is_told_up_once_and_down_once() -> None:
    world, first, second = pair()
    world.post(first, second.name, b"hello")
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


def test_a_name_that_a_static_directory_lacks_fails_at_once() -> None:
    world, first, _ = pair()
    world.post(first, "nobody.test", b"hello")
    assert first.failed() == [(b"hello", FailureReason.NO_SUCH_NAME)]


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


def test_many_nodes_talk_to_each_other() -> None:
    world = World()
    identities = [identity_of(f"node-{index}.test") for index in range(6)]
    nodes = [world.add(identity, static_directory(*identities)) for identity in identities]
    for node in nodes:
        for other in nodes:
            if other is not node:
                world.send(node, other.name, f"{node.name} to {other.name}".encode())
    world.run(5)
    for node in nodes:
        expected = sorted((other.name, f"{other.name} to {node.name}".encode(), None) for other in nodes)
        assert sorted(node.received()) == [entry for entry in expected if entry[0] != node.name]
        assert len(node.of(Delivered)) == 5


@settings(max_examples=60, deadline=None)
@given(
    messages=st.lists(
        st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from([0, 1, 1000, 70_000])), min_size=1, max_size=12
    ),
    cuts=st.lists(st.integers(1, 200_000), max_size=6),
)
def test_whatever_is_cut_every_message_arrives_once_and_in_order(
    messages: list[tuple[bool, int, int]], cuts: list[int]
) -> None:
    """G4, and "no message is lost, doubled or reordered while both nodes live"."""
    world, first, second = pair(NetworkConfig(recovery_seconds=60.0))
    remaining = iter(cuts)

    def on_wire(wire: Wire) -> None:
        wire.cut_after = next(remaining, None)

    world.on_wire = on_wire
    sent: dict[tuple[str, int], list[bytes]] = {}
    for index, (forth, stream, size) in enumerate(messages):
        node, other = (first, second) if forth else (second, first)
        header = b"%d" % index
        sent.setdefault((other.name, stream), []).append(header)
        world.send(node, other.name, header, bytes(size), stream=b"%d" % stream)
        if index % 3 == 0:
            world.settle()
    world.run(120)
    for node in (first, second):
        assert node.failed() == []
        for (name, _), headers in sent.items():
            if name == node.name:
                wanted = set(headers)
                assert [header for header in node.headers() if header in wanted] == headers
        assert len(node.of(Received)) == sum(len(headers) for (name, _), headers in sent.items() if name == node.name)
        assert len(node.delivered()) == len(set(node.delivered()))
    assert len(first.delivered()) + len(second.delivered()) == len(messages)
    assert not [event for event in first.of(Log) + second.of(Log) if "ends" in str(event)]
