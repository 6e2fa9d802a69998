"""What a peer that keeps no rule, or somebody on the way who keeps bytes back, could break: each has a test of its own.

Most were found by tests/fuzz; there any number of others are tried.
"""

from __future__ import annotations

from net.base.frames import Ack, Known, Resume, encode_control
from net.contract.events import Close
from net.names.directory import RegistrarDirectory
from net.names.registrar import Registrar
from tests.fuzz.attack import Middle
from tests.fuzz.siege import PEERS, Line, Siege
from tests.net.world import GENESIS, REGISTRAR, Node, host_of, identity_of, static_directory

ARBITER = b"\1"
"""The choice that makes the honest node of a siege the arbiter."""


def besieged(kind: bytes, messages: int) -> tuple[Siege, Line]:
    """An honest node with messages, and the connection on which the peer has spoken no frame yet."""
    siege = Siege(kind)
    assert siege.name == PEERS[kind[0]]
    for _ in range(messages):
        siege.send()
    siege.settle()
    (line,) = siege.lines.values()
    return siege, line


def say(siege: Siege, line: Line, *frames: Ack | Resume) -> None:
    """The peer sends these frames in one record."""
    assert line.ciphers is not None
    plaintext = b"".join(map(encode_control, frames))
    record = bytearray(2) + plaintext + bytes(16)
    line.ciphers[0].seal(memoryview(record), 0, len(plaintext))
    siege.network.receive(line.number, bytes(record), siege.now)
    siege.settle()


def resume(siege: Siege, known: Known | None = None, incarnation: bytes = bytes(16)) -> Resume:
    """The peer's resume frame, as one that follows."""
    return Resume(incarnation, 0, siege.heard.binding if siege.heard else 1, 1 << 20, 100, known)


def be_gone(siege: Siege) -> None:
    """The peer does not come back."""
    siege.refuse = True
    for number in list(siege.lines):
        siege.lines.pop(number)
        siege.network.lost(number, siege.now)
    siege.pass_time(60.0)


def test_an_acknowledgement_of_what_was_sent_and_of_what_was_not_loses_no_message() -> None:
    siege, line = besieged(ARBITER, 3)
    say(siege, line, resume(siege))
    say(siege, line, Ack((1, 2, 99)))
    be_gone(siege)
    assert sorted(map(repr, siege.ends)) == ["0", "1", "2"]


def test_an_acknowledgement_that_names_a_message_twice_loses_no_message() -> None:
    siege, line = besieged(ARBITER, 2)
    say(siege, line, resume(siege))
    say(siege, line, Ack((1, 1)))
    be_gone(siege)
    assert sorted(map(repr, siege.ends)) == ["0", "1"]


def test_a_resume_frame_that_has_what_was_sent_and_what_was_not_loses_no_message() -> None:
    siege, line = besieged(ARBITER, 2)
    say(siege, line, resume(siege))
    siege.lines.pop(line.number)
    siege.network.lost(line.number, siege.now)
    siege.pass_time(1.0)
    (line,) = siege.lines.values()
    assert siege.heard is not None
    say(siege, line, resume(siege, Known(siege.heard.incarnation, 0, 3, ((2, 1 << 20),), ())))
    be_gone(siege)
    assert sorted(map(repr, siege.ends)) == ["0", "1"]


def test_a_peer_that_says_it_has_restarted_and_has_our_messages_loses_none_of_them() -> None:
    siege, line = besieged(ARBITER, 2)
    say(siege, line, resume(siege))
    siege.lines.pop(line.number)
    siege.network.lost(line.number, siege.now)
    siege.pass_time(1.0)
    (line,) = siege.lines.values()
    assert siege.heard is not None
    say(siege, line, resume(siege, Known(siege.heard.incarnation, 0, 3, (), ()), incarnation=b"2" * 16))
    be_gone(siege)
    assert sorted(map(repr, siege.ends)) == ["0", "1"]


def test_g5_a_connection_that_breaks_when_it_has_just_taken_over_from_our_dial_leaves_nothing_waiting_for_ever() -> (
    None
):
    siege, line = besieged(ARBITER, 1)
    siege.dial()  # the peer dialed too; its connection is the newer one and is chosen
    siege.settle()
    (newer,) = siege.lines.values()
    assert newer is not line
    siege.lines.pop(newer.number)
    siege.network.lost(newer.number, siege.now)
    siege.refuse = True
    siege.pass_time(5.0)
    assert siege.ends == [0]


def passed(world: Middle, seconds: float = 0.0) -> None:
    """The attacker passes on what is there, and time passes."""
    for _ in range(20):
        for link in list(world.links):
            for to in (0, 1):
                pieces = link.lanes[to].pieces
                data = b"".join(pieces)
                pieces.clear()
                world.put(link, to, data)
        world.settle()
    world.run(seconds)


def test_what_a_process_said_before_it_crashed_and_comes_late_doubles_nothing_that_the_next_one_sent() -> None:
    world = Middle()
    ann, bob = identity_of("ann.test"), identity_of("bob.test")
    first, second = (world.add(each, static_directory(ann, bob)) for each in (ann, bob))
    second.taking = False
    world.post(first, bob.name, b"of the first life")
    (old,) = world.links
    for to in (1, 0):  # messages 1 and 2 pass; message 3 and the resume frame are held back
        world.put(old, to, old.lanes[to].pieces.popleft())
        world.settle()
    world.crash(first)
    world.links.remove(old)
    again = world.add(ann, static_directory(ann, bob))
    world.post(again, bob.name, b"of the second life")
    passed(world)
    assert second.headers() == [b"of the second life"]
    world.put(old, 1, b"".join(old.lanes[1].pieces))
    world.settle()
    world.links.append(old)
    world.hang_up(old)
    passed(world, 1.0)
    passed(world, 1.0)
    assert second.headers() == [b"of the second life"]
    second.network.taken(second.untaken[0], world.now)
    passed(world)
    passed(world)
    assert (again.delivered(), again.failed()) == ([b"of the second life"], [])


def waiting_for_the_registrar() -> tuple[Node, int, Middle]:
    """Bob, who has Ann's handshake and waits for the registrar to say who she is; his connection with her."""
    world = Middle()
    ann, bob = identity_of("ann.test"), identity_of("bob.test")
    world.add(REGISTRAR, Registrar(REGISTRAR))
    second = world.add(bob, RegistrarDirectory(GENESIS))
    first = world.add(ann, static_directory(ann, bob), port=None)
    world.post(first, bob.name, b"hello")
    (link,) = world.links
    assert world.listening[(host_of(bob.name), 9000)] is second
    for to in (1, 0, 1):
        world.put(link, to, link.lanes[to].pieces.popleft())
        world.settle()
    assert link.ends[1] is not None
    return second, link.ends[1][1], world


def test_a_flood_of_empty_pieces_before_the_name_is_believed_is_bounded() -> None:
    node, number, world = waiting_for_the_registrar()
    for _ in range(20):
        node.network.receive(number, bytes(2) * 1000, world.now)
    assert any(event == Close(number) for event in _closes(node))


def _closes(node: Node) -> list[object]:
    return [Close(event.connection) for event in iter(node.network.next_event, None) if isinstance(event, Close)]
