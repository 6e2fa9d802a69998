"""What a peer can take of a node is bounded, and whoever takes without giving is sent away, at exact times."""

import itertools
import tracemalloc
from collections.abc import Iterator

import pytest

from net.base.errors import CreditOverrun
from net.base.frames import Credit, Data, Ping, encode_control
from net.base.limits import (
    KEEPALIVE_SECONDS,
    MAX_BLOB_BYTES,
    MAX_CONTROLS,
    MAX_HEADER_BYTES,
    MAX_PEER_BYTES,
    MAX_RECORD_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    MURMUR_SECONDS,
    PAUSE_REPLY_BYTES,
    PING_SECONDS,
    RECOVERY_SECONDS,
    SESSION_CREDIT_BYTES,
    SESSION_CREDIT_MESSAGES,
    STALL_BYTES,
    STALL_SECONDS,
)
from net.contract.events import Buffer, Dial, Failed, FailureReason, Registered
from net.names.directory import Endpoint, RegistrarDirectory
from net.names.registrar import Registrar
from net.peering.network import NetworkConfig
from net.session.inbox import Inbox
from net.session.sealing import LENGTH
from net.session.session import Connection
from tests.net.hostile import begins, goes_on, hostile_pair, is_live, lines, say
from tests.net.world import (
    GENESIS,
    PORT,
    REGISTRAR,
    Node,
    World,
    connection_of,
    host_of,
    identity_of,
    pair,
    static_directory,
)

# --- handshakes -------------------------------------------------------------------------------------------------------


def test_finished_handshakes_do_not_count_as_half_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("net.session.half_open.MAX_HALF_OPEN_PER_HOST", 3)
    world, first, second = pair()
    for index in range(3 + 5):
        world.post(second, first.name, b"%d" % index)
        world.cut(world.wires[-1])
        world.run(1)
    assert len(first.headers()) == 3 + 5


def test_500_nodes_that_dial_one_at_once_all_get_in_and_none_twice() -> None:
    world = World()
    identities = [identity_of(f"n{index}.test") for index in range(500)]
    hub = world.add(identity_of("hub.test"), directory := static_directory(identity_of("hub.test"), *identities))
    nodes = [world.add(identity, directory, port=None) for identity in identities]
    for node in nodes:
        world.send(node, hub.name, node.name.encode())
        dial = node.network.next_event()
        assert isinstance(dial, Dial)
        world._handle(node, dial)
    assert hub.network.statistics()["connections"] == 500
    world.settle()
    assert sorted(hub.headers()) == sorted(node.name.encode() for node in nodes)
    assert [len(node.dials) for node in nodes] == [1] * 500
    statistics = hub.network.statistics()
    assert (statistics["connections"], statistics["sessions"], statistics["live"], world.now) == (500, 500, 500, 0.0)


def test_where_connections_are_few_whoever_finds_none_is_told_so_and_gets_in_when_one_ends() -> None:
    world = World()
    identities = [identity_of(f"n{index}.test") for index in range(5)]
    known = static_directory(identity_of("hub.test"), *identities)
    hub = world.add(identity_of("hub.test"), known, NetworkConfig(connections=4))
    nodes = [world.add(identity, known, port=None) for identity in identities]
    for node in nodes[:4]:
        world.post(node, hub.name, node.name.encode())
    assert hub.headers() == [node.name.encode() for node in nodes[:3]]
    assert f"{hub.name} ends connection 1: busy" in lines(nodes[3])
    world.crash(nodes[0])
    world.run(RECOVERY_SECONDS)
    assert hub.headers()[3:] == [nodes[3].name.encode()]


def test_where_connections_are_few_a_peer_may_replace_its_own() -> None:
    world = World()
    known = static_directory(identity_of("hub.test"), identity_of("bob.test"))
    hub = world.add(identity_of("hub.test"), known, NetworkConfig(connections=2))
    world.post(world.add(identity_of("bob.test"), known, port=None), hub.name, b"before")
    world.post(world.add(identity_of("bob.test"), known, port=None), hub.name, b"after its restart")
    assert hub.headers() == [b"before", b"after its restart"]


# --- peers that stand still -------------------------------------------------------------------------------------------


def test_a_peer_that_begins_messages_and_never_goes_on_is_sent_away() -> None:
    world, victim, hostile, connection = hostile_pair()
    say(world, hostile, connection, *(begins(number, 1000, b"x") for number in range(2, 12)))
    world.run(29.9)
    assert is_live(victim)
    world.run(0.1)
    assert not is_live(victim)
    assert lines(victim) == [
        "connection 1 with bob.test ends: it does not go on with the messages that it has begun",
        "bob.test is not let in or dialed for 1 s: it does not go on with the messages that it has begun",
    ]
    assert lines(hostile) == ["ann.test ends connection 1: stalled"]


def test_a_node_that_was_stopped_itself_does_not_blame_its_peers() -> None:
    world, victim, hostile, connection = hostile_pair()
    say(world, hostile, connection, begins(2, 1000, b"x"))
    world.run(20)
    world.now += 60
    victim.network.on_timer(world.now)
    assert is_live(victim)
    world.run(29.9)
    assert is_live(victim)
    world.run(15.1)
    assert any(line.startswith("bob.test is not let in or dialed for 1 s") for line in lines(victim))


def test_a_large_message_may_take_minutes_on_a_slow_link_whose_pongs_are_late() -> None:
    world, victim, hostile, _ = hostile_pair()
    number = world.wires[0].ends[1][1]
    world.clogged.add(victim.name)
    world.send(victim, hostile.name, b"large", bytes(5 << 20))
    on_its_way: list[list[Buffer]] = [[]] * 8
    while len(hostile.received()) < 1:
        on_its_way.append(victim.network.pending(number, MAX_RECORD_BYTES))
        world._carry(victim, number, b"".join(on_its_way.pop(0)))
        world.run(2)
        assert world.now < 200
    assert (is_live(victim), len(world.wires), world.now) == (True, 1, 178.0)


def test_a_dead_peer_is_found_in_the_same_time_when_much_waits_for_it() -> None:
    world, victim, hostile, _ = hostile_pair()
    world.wires[0].swallow = True
    world.clogged.add(victim.name)
    world.send(victim, hostile.name, b"large", bytes(5 << 20))
    victim.network.pending(world.wires[0].ends[1][1], 1 << 20)
    world.run(19.9)
    assert is_live(victim)
    world.run(0.1)
    assert not is_live(victim)


def test_one_byte_a_second_of_a_record_is_silence() -> None:
    world, victim, _, _ = hostile_pair()
    number = world.wires[0].ends[1][1]
    world.wires[0].swallow = True
    while is_live(victim):
        victim.network.receive(number, b"\xff", world.now)
        world.run(1)
        assert world.now < 61
    assert world.now == 20.0


def drip(size: int, every: float, patience: float) -> tuple[World, Node, list[float]]:
    """A peer sends a record of 65,535 bytes, so many at a time, and nothing else, and says nothing of what it hears;
    when its victim has written."""
    world, victim, hostile, connection = hostile_pair()
    number, session = world.wires[0].ends[1][1], victim.network._sessions.table.get(hostile.name)
    assert session is not None
    world.wires[0].swallow = True
    written, before = [], session.bytes_sent
    while is_live(victim) and len(world.wires) == 1 and world.now < patience:
        hostile.network._switchboard.timers.set(connection.number, None)
        victim.network.receive(number, b"\xff" * size, world.now)
        world.settle()
        if session.bytes_sent != before:
            written.append(world.now)
        before = session.bytes_sent
        world.run(every)
    return world, victim, written


def test_a_record_that_comes_at_the_pace_of_a_slow_link_is_not_silence() -> None:
    _, victim, _ = drip(300, 2.0, 430.0)
    assert is_live(victim), lines(victim)


def test_a_record_that_comes_at_half_the_least_pace_ends_the_connection_when_it_is_due() -> None:
    world, victim, _ = drip(300, 4.4, 1000.0)
    assert lines(victim) == ["connection 1 with bob.test ends: silent for too long"]
    assert 0 <= world.now - STALL_SECONDS * (1 + 65535 / STALL_BYTES) <= PING_SECONDS + 4.4


def test_who_receives_a_long_record_says_so_before_its_peer_takes_it_for_dead() -> None:
    _, _, written = drip(300, 1.0, 60.0)
    pauses = [later - earlier for earlier, later in itertools.pairwise([0.0, *written, 60.0])]
    assert max(pauses) < KEEPALIVE_SECONDS, written
    assert min(pauses[:-1]) >= MURMUR_SECONDS - 1.0, written


def test_a_peer_that_gives_no_credit_is_sent_away_and_what_was_for_it_comes_back() -> None:
    world, victim, hostile, connection = hostile_pair()
    say(world, hostile, connection, Credit(0, 0))
    world.post(victim, hostile.name, b"waits", seconds=44.9)
    assert (is_live(victim), victim.failed()) == (True, [])
    world.run(0.1)
    assert not is_live(victim)
    assert victim.of(Failed) == [Failed(b"waits", FailureReason.NO_CREDIT)]


def test_a_peer_that_does_not_read_is_sent_away_but_not_held_against_it() -> None:
    world, victim, hostile, connection = hostile_pair()
    world.clogged.add(victim.name)
    world.send(victim, hostile.name, b"unread")
    while is_live(victim):
        assert world.now < 61
        world.run(5)
        hostile.network._switchboard.timers.set(connection.number, None)
        say(world, hostile, connection, Ping())
    assert world.now == 45.0
    assert lines(victim) == ["connection 1 with bob.test ends: it does not read what is sent to it"]


def test_a_peer_that_never_reads_makes_no_more_acknowledgements_wait_than_it_has_credit_for_messages() -> None:
    world, victim, hostile, connection = hostile_pair()
    world.clogged.add(victim.name)
    numbers = range(2, 2 + 3 * SESSION_CREDIT_MESSAGES)
    for number in numbers:
        say(world, hostile, connection, begins(number, 1, b"x"))
    assert lines(victim)[0] == "connection 1 with bob.test ends: a message beyond its credit"
    assert len(victim.received()) == 1 + SESSION_CREDIT_MESSAGES


def test_credit_comes_back_when_the_acknowledgement_is_written_and_not_before() -> None:
    inbox = Inbox(2 * (MESSAGE_OVERHEAD_BYTES + 1), 2)
    for number in (1, 2):
        inbox.receive(Data(number, (1, None), memoryview(b"x")))
        inbox.taken(number)
    assert inbox.cost == 2 * (MESSAGE_OVERHEAD_BYTES + 1)
    with pytest.raises(CreditOverrun):
        inbox.receive(Data(3, (1, None), memoryview(b"x")))
    assert (inbox.take_acks(), inbox.cost) == ((1, 2), 0)
    assert inbox.receive(Data(3, (1, None), memoryview(b"x"))) is not None


def asks(world: World, hostile: Node, connection: Connection, count: int) -> None:
    """The hostile peer sends so many pings at once."""
    say(world, hostile, connection, *(Ping() for _ in range(count)))


def test_nothing_more_is_read_from_a_peer_that_asks_and_does_not_read_until_it_does() -> None:
    world, victim, hostile, connection = hostile_pair()
    number = world.wires[0].ends[0][1] if world.wires[0].ends[0][0] is victim else world.wires[0].ends[1][1]
    world.clogged.add(victim.name)
    ours = victim.network._switchboard.get(number)
    assert ours is not None
    for _ in range(10):
        asks(world, hostile, connection, 200)
    assert PAUSE_REPLY_BYTES <= ours.control_bytes < PAUSE_REPLY_BYTES + 200 * 80
    world.clogged.clear()
    while world.held or ours.control_bytes:
        world._transmit(victim, number)
        world.settle()
    assert is_live(victim)


def test_a_peer_that_asks_and_never_reads_is_paused_and_then_sent_away() -> None:
    world, victim, hostile, connection = hostile_pair()
    world.clogged.add(victim.name)
    for _ in range(10):
        asks(world, hostile, connection, 200)
    hostile.network._switchboard.timers.set(connection.number, None)
    world.run(19.9)
    assert is_live(victim)
    world.run(0.1)
    assert lines(victim) == ["connection 1 with bob.test ends: it does not read its answers"]


def test_a_peer_that_asks_for_too_much_at_once_is_sent_away() -> None:
    world, victim, hostile, connection = hostile_pair()
    world.clogged.add(victim.name)
    number = world.wires[0].ends[1][1] if world.wires[0].ends[0][0] is hostile else world.wires[0].ends[0][1]
    at_once = b""
    for _ in range(10):
        connection._queue(encode_control(Ping()) * MAX_CONTROLS)
        at_once += b"".join(map(bytes, hostile.network.pending(connection.number, 1 << 20)))
    victim.network.receive(number, at_once, world.now)
    world.settle()
    assert lines(victim) == ["connection 1 with bob.test ends: the peer does not read the answers that it asks for"]


def test_a_peer_with_a_stuck_process_keeps_its_connection() -> None:
    world, victim, other, _ = hostile_pair()
    other.taking = victim.taking = False
    for index in range(300):
        world.send(victim, other.name, b"%d" % index)
    world.run(3600)
    assert (len(world.wires), len(other.untaken)) == (1, 256)


# --- the pause --------------------------------------------------------------------------------------------------------


def offend(world: World, hostile: Node, victim: Node) -> None:
    """Send something illegal."""
    connection = connection_of(hostile.network, victim.name)
    say(world, hostile, connection, goes_on(99, b"x"))


def test_a_peer_that_broke_the_protocol_is_let_in_when_its_pause_is_over() -> None:
    world, victim, hostile, _ = hostile_pair()
    live: list[float] = []
    for _ in range(3):
        offend(world, hostile, victim)
        ended = world.now
        assert not is_live(victim)
        while not is_live(victim):
            world.post(hostile, victim.name, b"let me in", seconds=0.25)
        live.append(world.now - ended)
    assert [pause <= waited < pause + 2 for pause, waited in zip((1, 2, 4), live, strict=True)] == [True] * 3
    assert any("broke the protocol, and is not let in for another 1 s" in line for line in lines(victim))
    assert "ann.test ends connection 2: paused" in lines(hostile)


def test_it_is_not_dialed_in_its_pause_either() -> None:
    world, victim, hostile, _ = hostile_pair()
    offend(world, hostile, victim)
    world.listening = {key: node for key, node in world.listening.items() if node is not victim}
    world.post(victim, hostile.name, b"later", seconds=0.99)
    assert victim.dials == []
    world.run(0.01)
    assert [(when, host) for when, host, _ in victim.dials] == [(1.0, host_of(hostile.name))]
    assert hostile.headers()[-1:] == [b"later"]


def test_a_message_to_it_fails_if_the_pause_is_longer_than_the_budget() -> None:
    world, victim, hostile, _ = hostile_pair()
    for pause in (1, 2, 4):
        offend(world, hostile, victim)
        world.run(pause + 2)
        world.post(hostile, victim.name, b"let me in", seconds=2)
        assert is_live(victim)
    offend(world, hostile, victim)
    world.post(victim, hostile.name, b"in vain", seconds=5)
    assert victim.failed() == [(b"in vain", FailureReason.CONNECTION_LOST)]


def test_the_pause_of_one_peer_is_nobody_elses() -> None:
    world = World()
    names = ["ann.test", "bob.test", "zoe.test"]
    known = static_directory(*(identity_of(name) for name in names))
    victim, hostile, other = (world.add(identity_of(name), known) for name in names)
    world.post(hostile, victim.name, b"up")
    offend(world, hostile, victim)
    world.post(other, victim.name, b"hello")
    assert victim.headers() == [b"up", b"hello"]
    assert world.now == 0.0


# --- memory -----------------------------------------------------------------------------------------------------------


def smallest() -> Iterator[Data]:
    """As many messages as may be begun, each announced as large as the credit allows, one byte of each."""
    announced = SESSION_CREDIT_BYTES // SESSION_CREDIT_MESSAGES - MESSAGE_OVERHEAD_BYTES - 1
    for number in range(1, SESSION_CREDIT_MESSAGES + 1):
        yield Data(number, (1, announced), memoryview(b"x"))


def endless_headers() -> Iterator[Data]:
    """Headers that come to their last byte but one."""
    for number in range(1, SESSION_CREDIT_BYTES // MAX_HEADER_BYTES + 1):
        yield Data(number, (MAX_HEADER_BYTES, None), memoryview(b"x"))
        for _ in range(MAX_HEADER_BYTES // 60_000):
            yield Data(number, None, memoryview(bytes(60_000)))


def largest_blob() -> Iterator[Data]:
    """A blob of the largest size, and one more that fills the credit."""
    for number, size in ((1, MAX_BLOB_BYTES), (2, SESSION_CREDIT_BYTES - MAX_BLOB_BYTES - 1000)):
        yield Data(number, (1, size), memoryview(b"x"))
        for _ in range(size // 60_000):
            yield Data(number, None, memoryview(bytes(60_000)))


@pytest.mark.parametrize("attack", [smallest, endless_headers, largest_blob])
def test_what_a_peer_can_make_us_keep_is_bounded(attack: object) -> None:
    inbox = Inbox(SESSION_CREDIT_BYTES, SESSION_CREDIT_MESSAGES)
    tracemalloc.start()
    try:
        for frame in attack():  # type: ignore[operator]
            inbox.receive(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MAX_PEER_BYTES


# --- peers that are remembered ----------------------------------------------------------------------------------------


def test_a_peer_whose_connection_is_nearly_there_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("net.peering.session_table.MAX_SESSIONS", 1)
    world, first, second = pair()
    late: list[bytes] = []

    def delayed(data: bytes, to: int) -> bytes:
        """What comes behind the arbiter's last handshake message is on its way for a while."""
        if to == 0 or not world.wires[0].log:
            return data
        end = 0 if late else LENGTH.size + LENGTH.unpack_from(data)[0]
        late.append(data[end:])
        return data[:end]

    world.on_wire = lambda wire: setattr(wire, "alter", delayed)
    world.post(first, second.name, b"message")
    world.post(second, "zoe.test", b"for a third node")
    assert second.failed() == [(b"for a third node", FailureReason.QUEUE_FULL)]
    (wire,) = world.wires
    wire.alter = None
    second.network.receive(wire.ends[1][1], b"".join(late), world.now)
    world.settle()
    assert first.delivered() == [b"message"]
    assert [peer.name for peer in second.network.peers()] == [first.name]


def test_a_peer_that_left_in_the_middle_of_a_message_can_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("net.peering.session_table.MAX_SESSIONS", 1)
    world, first, second = pair()
    world.on_wire = lambda wire: setattr(wire, "cut_after", 500_000)
    world.post(first, second.name, b"large", bytes(1 << 20))
    world.crash(first)
    world.run(RECOVERY_SECONDS)
    world.post(second, "zoe.test", b"unknown")
    assert second.failed() == [(b"unknown", FailureReason.NO_SUCH_NAME)]


def test_a_registrar_remembers_no_more_peers_than_others_however_many_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("net.peering.session_table.MAX_SESSIONS", 3)
    world = World()
    registrar = world.add(REGISTRAR, Registrar(REGISTRAR))
    for number in range(8):
        config = NetworkConfig(endpoints=(Endpoint("anywhere", PORT),), register=True)
        node = world.add(identity_of(f"n{number}.test"), RegistrarDirectory(GENESIS), config, port=None)
        world.settle()
        assert len(node.of(Registered)) == 1
        world.crash(node)
        world.run(RECOVERY_SECONDS)
    assert registrar.network.statistics()["sessions"] == 3
