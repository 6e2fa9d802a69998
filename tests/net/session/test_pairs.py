"""Version 2 of the frames: pairs of processes are named by number after their first message on a connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.base import frames as wire
from net.base.errors import BadFrame
from net.base.limits import MAX_PAIR_BYTES, MAX_PAIRS
from net.contract.events import Outgoing
from net.peering.network import NetworkConfig
from net.session.outbox import Outbox, PairNumbers
from tests.net.world import Node, World, identity_of, static_directory

NAMES = ("ann.test", "bob.test")
SPACE = 1 << 16


def outbox() -> Outbox:
    """One with credit."""
    box = Outbox()
    box.set_credit(1 << 30, 2000)
    return box


def written(box: Outbox, numbers: PairNumbers) -> bytes:
    """What it writes on a connection."""
    buffer = memoryview(bytearray(SPACE))
    return bytes(buffer[: box.write(buffer, 0, SPACE, numbers)])


def read(data: bytes, pairs: dict[int, bytes]) -> list[bytes | None]:
    """The pairs of the messages in there."""
    found = wire.decode_frames_untrusted(memoryview(data), pairs)
    return [each.pair for each in found if isinstance(each, wire.Data)]


def test_the_first_message_of_a_pair_names_it_and_the_next_ones_have_its_number() -> None:
    box, numbers, pairs = outbox(), PairNumbers(), dict[int, bytes]()
    sizes = []
    for pair in (b"a>b", b"a>b", b"c>d", b"a>b"):
        box.queue(pair, b"header", None, None, paired=True)
        data = written(box, numbers)
        sizes.append(len(data))
        assert read(data, pairs) == [pair]
    assert sizes == [22 + 3 + 6, 21 + 6, 22 + 3 + 6, 21 + 6]


def test_on_another_connection_a_pair_is_named_anew() -> None:
    box = outbox()
    for _ in range(2):
        box.queue(b"a>b", b"header", None, None, paired=True)
        assert read(written(box, PairNumbers()), {}) == [b"a>b"]


def test_when_all_numbers_are_given_that_of_the_oldest_pair_goes_to_the_next_one() -> None:
    box, numbers, pairs = outbox(), PairNumbers(), dict[int, bytes]()
    names = [b"%d>x" % index for index in range(MAX_PAIRS + 1)]
    for name in (*names, names[0], names[2], names[1], names[-1]):
        box.queue(name, b"h", None, None, paired=True)
        assert read(written(box, numbers), pairs) == [name]
    assert len(pairs) == len(numbers.streams) == MAX_PAIRS


def test_a_message_that_was_cut_off_at_its_first_byte_is_named_on_the_next_connection() -> None:
    box, pairs = outbox(), dict[int, bytes]()
    for token in (1, 2):
        box.queue(b"a>b", b"header", bytes(100), token, paired=True)
    read(written(box, PairNumbers()), {})
    box.resume(wire.Known(bytes(16), 0, 3, ((1, 0), (2, 50)), ()))
    assert read(written(box, PairNumbers()), pairs) == [b"a>b", None]


@given(st.lists(st.tuples(st.integers(0, 2 * MAX_PAIRS), st.booleans(), st.integers(0, 9)), max_size=60))
def test_whatever_pairs_send_on_whatever_connections_each_message_comes_with_its_own(
    sent: list[tuple[int, bool, int]],
) -> None:
    box, numbers, pairs = outbox(), PairNumbers(), dict[int, bytes]()
    for index, paired, other in sent:
        if other == 0:
            numbers, pairs = PairNumbers(), {}
        name = b"%d" % index
        box.queue(name, b"h", None, None, paired=paired)
        assert read(written(box, numbers), pairs) == [name if paired else None]


def named(flags: int, number: int, name: bytes, length: int = 1) -> bytes:
    """A first frame of a message that gives a pair a number."""
    return wire.NAMED_HEADER.pack(wire.DATA, flags, length, 1, 1, wire.NO_BLOB, number, len(name)) + name + b"x"


NUMBERED = wire.NUMBERED_HEADER.pack(wire.DATA, 3, 1, 1, 1, wire.NO_BLOB, 7) + b"x"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(NUMBERED, id="a number that was not given"),
        pytest.param(named(5, MAX_PAIRS, b"a>b"), id="a number that is too high"),
        pytest.param(named(5, 0, b""), id="no name"),
        pytest.param(named(5, 0, b"a>b")[:-1], id="no body"),
        pytest.param(named(5, 0, b"a>b")[:21], id="cut off"),
        pytest.param(named(5, 0, b"a>b")[:24], id="a name that is cut off"),
        pytest.param(NUMBERED[:20], id="a number that is cut off"),
        pytest.param(named(5, 0, b"a>b", length=9), id="longer than the record"),
        pytest.param(named(7, 0, b"a>b"), id="both flags"),
        pytest.param(named(4, 0, b"a>b"), id="a name in the middle of a message"),
        pytest.param(named(9, 0, b"a>b"), id="an unknown flag"),
    ],
)
def test_what_is_no_frame_of_version_2_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        wire.decode_frames_untrusted(memoryview(data), {})


@pytest.mark.parametrize("data", [named(5, 0, b"a>b"), NUMBERED], ids=["named", "numbered"])
def test_version_1_knows_no_pairs(data: bytes) -> None:
    with pytest.raises(BadFrame, match="unknown flags"):
        wire.decode_frames_untrusted(memoryview(data))


def test_a_peer_that_names_pairs_without_end_fills_a_table_of_bounded_size() -> None:
    pairs: dict[int, bytes] = {}
    for index in range(3 * MAX_PAIRS):
        read(named(5, index % MAX_PAIRS, (b"%d" % index).ljust(MAX_PAIR_BYTES, b".")), pairs)
    assert sum(map(len, pairs.values())) == MAX_PAIRS * MAX_PAIR_BYTES


# --- two nodes ------------------------------------------------------------------------------------------------------


def two(*versions: int) -> tuple[World, list[Node]]:
    """Ann and Bob, and which versions they speak."""
    world, identities = World(), [identity_of(name) for name in NAMES]
    directory = static_directory(*identities)
    nodes = [
        world.add(identity, directory, NetworkConfig(frames_version=version))
        for identity, version in zip(identities, versions, strict=True)
    ]
    return world, nodes


def told(node: Node) -> list[bytes | None]:
    """The pairs of the messages that it has received."""
    return [getattr(event, "pair", None) for event in node.events if hasattr(event, "receipt")]


@pytest.mark.parametrize("versions", [(1, 1), (1, 2), (2, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("dialer", [0, 1], ids=NAMES)
def test_nodes_of_both_versions_talk_to_each_other(versions: tuple[int, int], dialer: int) -> None:
    world, nodes = two(*versions)
    world.post(nodes[dialer], NAMES[1 - dialer], b"first")
    for sender in (0, 1):
        for header in (b"1", b"2", b"3"):
            world.post(nodes[sender], NAMES[1 - sender], header, b"blob" * 100, b"a>b")
    expected = [b"a>b" if versions == (2, 2) else None] * 3
    for index, node in enumerate(nodes):
        assert node.headers()[-3:] == [b"1", b"2", b"3"]
        assert told(node)[-3:] == expected
        assert node.network.tells_pairs(NAMES[1 - index]) == (versions == (2, 2))
        assert not node.failed()


def test_after_a_break_pairs_are_named_anew_and_nothing_is_lost() -> None:
    world, (ann, bob) = two(2, 2)
    for index in range(3):
        world.post(ann, "bob.test", b"before %d" % index, stream=b"%d>x" % index)
    for wire_ in list(world.open.values()):
        world.cut(wire_)
    world.run(5.0)
    for index in (2, 0, 1, 0):
        world.post(ann, "bob.test", b"after %d" % index, stream=b"%d>x" % index, seconds=1.0)
    assert bob.headers()[3:] == [b"after 2", b"after 0", b"after 1", b"after 0"]
    assert told(bob)[3:] == [b"2>x", b"0>x", b"1>x", b"0>x"]
    assert not ann.failed()


def test_g5_a_node_that_comes_back_with_version_1_gets_what_waited_for_it_in_that_version() -> None:
    world, (ann, bob) = two(2, 2)
    ann.network.header_of = lambda token: b"whole " + bytes(token)  # type: ignore[call-overload]
    world.post(ann, "bob.test", b"hello")
    world.crash(bob)
    world.settle()
    for token in (b"1", b"2"):
        ann.network.send(Outgoing("bob.test", b"a>b", b"short", b"blob", token, paired=True), world.now)
    identities = [identity_of(name) for name in NAMES]
    again = world.add(identities[1], static_directory(*identities), NetworkConfig(frames_version=1))
    world.run(10.0)
    assert again.headers() == [b"whole 1", b"whole 2"]
    assert told(again) == [None, None]
    assert ann.delivered()[-2:] == [b"1", b"2"]
    assert not ann.network.tells_pairs("bob.test")


def test_who_speaks_version_1_and_names_a_pair_breaks_the_protocol() -> None:
    world, (ann, bob) = two(1, 2)
    world.post(ann, "bob.test", b"hello")
    ann.network.send(Outgoing("bob.test", b"a>b", b"short", None, b"1", paired=True), world.now)
    world.settle()
    assert bob.headers() == [b"hello"]
    assert bob.network.statistics()["live"] == 0
