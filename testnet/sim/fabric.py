"""The links between simulated nodes: connections whose bytes take time, keep their order, and meet faults.

A connection behaves as TCP does. Bytes arrive in the order in which they left. An end takes no more bytes from its node
than a socket buffer holds and the other side has not read. A network that is gone makes bytes late and does not lose
them: TCP sends them again some time after the network is back. When a node dies, its host ends its connections, and the
other side learns of it when that news can arrive. When a host dies, nobody is told: what is sent to it is sent again,
and answered by a reset once the host is back.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from net.contract.events import DialFailure
from testnet.faults.resending import DATA_SECONDS, DIAL_SECONDS, sent_again
from testnet.model.points import SEND
from testnet.model.rule import (
    PASS,
    Answering,
    Closing,
    Dialing,
    Judgement,
    Late,
    Link,
    Passing,
    PlainVerdict,
    Reset,
    Rule,
    judge,
    most_at_once,
    still_late,
)
from testnet.sim.timeline import Timeline
from testnet.sim.wired import Flight, LinkEnd, Wired

SEGMENT_BYTES = 1 << 18
"""The most bytes that a link takes from a node at once."""
PIECE_BYTES = 1 << 16
"""The most bytes that faults judge at once, as between real nodes: a slow link carries a large segment piece by
piece."""
BUFFER_BYTES = 9 << 18
"""The most bytes in flight in one direction of a connection: as much as the socket buffers of both ends hold, 2 MiB
that the other side has not read and a little that has not been sent (`net.io.tcp.UNSENT_BYTES`)."""


PIECES_UNDER_WAY = 10
"""The most pieces in flight in one direction of a connection over a slow link, where a piece is a tenth of a second or
a packet (`Bandwidth.most_at_once`): TCP's first congestion window (RFC 6928), or a queue of a second."""


@dataclass(frozen=True, slots=True)
class LinkBehaviour:
    """The delay of a segment, in seconds: drawn between the two bounds for each, with order kept."""

    least_delay: float = 0.0005
    most_delay: float = 0.02


@dataclass(slots=True, eq=False)
class _Attempt:
    """A dial that waits for the network."""

    end: LinkEnd
    host: str
    sent: float
    """When it was made."""
    lost: bool = False
    """Whether TCP sends the dial again; if not, it goes on when it may."""


class Fabric:
    """All connections of a network, and the faults that hold."""

    def __init__(self, timeline: Timeline, nodes: Mapping[str, Wired], behaviour: LinkBehaviour) -> None:
        """`nodes` are those that run, by host."""
        self.behaviour = behaviour
        self.rules: list[Rule] = []
        """The faults of links that hold now; call `changed` after a change."""
        self._timeline = timeline
        self._nodes = nodes
        self._chances: dict[Link, random.Random] = {}
        self._connections = 0
        self._waiting: dict[LinkEnd, None] = {}
        """Ends with bytes that the network holds back."""
        self._attempts: list[_Attempt] = []
        self._late: dict[LinkEnd, None] = {}
        """Ends with bytes that arrive late."""
        self._off: set[str] = set()
        """Hosts without power."""

    def changed(self) -> None:
        """Judge again what waits, after `rules` have changed."""
        self._timeline.schedule(self._timeline.now, self._judge_again)

    def _judge_again(self) -> None:
        for end in self._late:
            self._hurry(end)
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            self._try_again(attempt)
        for end in list(self._waiting):
            self._go_on(end)

    def _try_again(self, attempt: _Attempt) -> None:
        if not attempt.lost:
            self._reach(attempt)
            return
        attempt.lost = False
        due = sent_again(attempt.sent, self._timeline.now, DIAL_SECONDS)
        self._timeline.schedule(due, lambda: self._reach(attempt))

    def _go_on(self, end: LinkEnd) -> None:
        if end.sent is None:
            self._let_go(end)
            return
        due = sent_again(end.sent, self._timeline.now, DATA_SECONDS)
        self._timeline.schedule(due, lambda: self._send_again(end))

    def _send_again(self, end: LinkEnd) -> None:
        sent, end.sent = end.sent, None
        self._let_go(end)
        if end.sent is not None:
            end.sent = sent  # it was lost again, and the pauses grow

    def _judge(self, event: Dialing | Answering | Passing | Closing) -> Judgement:
        return judge(self.rules, event)

    def _delay(self, link: Link) -> float:
        """Draw the delay of one segment."""
        chance = self._chances.get(link)
        if chance is None:
            chance = self._chances[link] = self._timeline.chance("link", *link)
        return chance.uniform(self.behaviour.least_delay, self.behaviour.most_delay)

    # --- connections begin ------------------------------------------------------------------------------------------

    def dial(self, node: Wired, connection: int, host: str) -> None:
        """Dial `host` for a node."""
        self._connections += 1
        end = LinkEnd(node, connection, Link(node.name, host), self._connections)
        node.ends[connection] = end
        self._timeline.record(node.host, f"dials {host}")
        attempt = _Attempt(end, host, self._timeline.now)
        self._timeline.schedule(self._timeline.now + self._delay(end.link), lambda: self._reach(attempt))

    def _reach(self, attempt: _Attempt) -> None:
        """Bring a dial to its target, unless the network keeps it."""
        end, link = attempt.end, attempt.end.link
        if not end.open:
            return
        there = self._judge(Dialing(link, self._timeline.now))
        back = self._judge(Answering(link.back, self._timeline.now))
        for verdict in (there.verdict, back.verdict):
            if verdict is not PASS:
                self._keep_from(attempt, verdict)
                return
        target = there.host or attempt.host
        self._timeline.schedule(self._timeline.now + there.delay + back.delay, lambda: self._meet(attempt, target))

    def _keep_from(self, attempt: _Attempt, verdict: PlainVerdict | Reset) -> None:
        match verdict:
            case PlainVerdict.HOLD | PlainVerdict.RESEND:
                attempt.lost = verdict is PlainVerdict.RESEND
                self._attempts.append(attempt)
            case PlainVerdict.LOSE:
                pass
            case PlainVerdict.NO_ROUTE:
                self._fail(attempt.end, DialFailure.UNREACHABLE)
            case _:
                self._fail(attempt.end, DialFailure.REFUSED)

    def _meet(self, attempt: _Attempt, host: str) -> None:
        mine, other = attempt.end, self._nodes.get(host)
        if not mine.open:
            return
        if host in self._off:
            attempt.lost = True
            self._attempts.append(attempt)
            return
        if other is None:
            self._fail(mine, DialFailure.REFUSED)
            return
        theirs = LinkEnd(other, other.port.new_connection(), mine.link.back, mine.number, mine)
        mine.peer = theirs
        other.ends[theirs.connection] = theirs
        other.happens(lambda: other.accepted(theirs.connection, mine.node.host))
        self._later(mine, lambda: mine.node.connected(mine.connection) if mine.open else None)

    def _fail(self, end: LinkEnd, failure: DialFailure) -> None:
        self._later(end, lambda: self._failed(end, failure))

    def _failed(self, end: LinkEnd, failure: DialFailure) -> None:
        if end.open:
            end.open = False
            end.node.ends.pop(end.connection, None)
            end.node.dial_failed(end.connection, failure)

    def _later(self, end: LinkEnd, what: Callable[[], None]) -> None:
        """Let `what` happen to the node of `end` when news from the other side can have arrived."""
        end.node.at(self._timeline.now + self._delay(end.link.back), what)

    # --- bytes travel -----------------------------------------------------------------------------------------------

    def transmit(self, node: Wired, connection: int) -> bool:
        """Take a node's bytes for a connection, as far as there is capacity; return whether there were any."""
        end = node.ends.get(connection)
        if end is None or end.peer is None:
            return False
        window = self._window(end)
        if end.under_way >= window:
            end.choked = True
            return False
        limit = min(SEGMENT_BYTES, window // 4)
        data = b"".join(node.port.pending(connection, limit))
        if not data:
            return False
        self._put(end, data)
        if 2 * len(data) >= limit:  # otherwise this was all, and a Writable event tells when there is more
            # The link takes the next segment when this one has left; until then the core may change it.
            node.at(self._timeline.now, partial(self._transmit_on, end))
        return True

    def _window(self, end: LinkEnd) -> int:
        """Return the most bytes of an end that may be in flight or unread: as much as the buffers hold, and where a
        link is slow, as much as it carries in a second."""
        assert end.peer is not None
        window = end.peer.node.window
        if self.rules and (most := most_at_once(self.rules, end.link, PIECE_BYTES)) < PIECE_BYTES:
            return min(window, PIECES_UNDER_WAY * most)
        return window

    def _transmit_on(self, end: LinkEnd) -> None:
        node = end.node
        if self.transmit(node, end.connection) or node.unsettled:
            node.go_on()

    def _put(self, end: LinkEnd, data: bytes) -> None:
        assert end.peer is not None
        timeline = self._timeline
        timeline.recording.add_bytes(timeline.now, end.node.host, data, end.link.target)
        end.under_way += len(data)
        if not timeline.points.wanted:
            end.leaving.append(data)
            self._let_go(end)
            return
        points, host = timeline.points, end.node.host
        sent = points.follow(end.number, end.link, data)
        begun = points.before(host, SEND) if points.active else None
        end.leaving.append(data)
        self._let_go(end)
        if begun is not None:
            points.after(begun, sent.what, timeline.now, sent)

    def _let_go(self, end: LinkEnd) -> None:
        """Send what the network lets pass."""
        if end.sent is not None:
            return  # it is behind what is sent again
        self._waiting.pop(end, None)
        if not self.rules:
            while end.leaving and not end.lost:
                piece = end.leaving.popleft()
                self._arrive(end, piece, piece or b"", ())
            return
        while end.leaving and not end.lost:
            _split(end.leaving, most_at_once(self.rules, end.link, PIECE_BYTES))
            piece = end.leaving[0]
            judged = self._judge_piece(end, piece)
            match judged.verdict:
                case PlainVerdict.HOLD | PlainVerdict.NO_ROUTE:
                    self._waiting[end] = None
                    return
                case PlainVerdict.RESEND:
                    end.sent = self._timeline.now
                    self._waiting[end] = None
                    return
                case PlainVerdict.LOSE:
                    end.lost = True
                    end.leaving.clear()
                case PlainVerdict.REFUSE:
                    self._break(end, b"", 0)
                case Reset(after):
                    self._break(end, judged.data[:after], after)
                case _:
                    end.leaving.popleft()
                    self._arrive(end, piece, judged.data, judged.delays)

    def _judge_piece(self, end: LinkEnd, piece: bytes | None) -> Judgement:
        now = self._timeline.now
        if piece is None:
            return self._judge(Closing(end.link, end.number, now))
        return self._judge(Passing(end.link, end.number, end.offset, piece, now))

    def _arrive(self, end: LinkEnd, piece: bytes | None, data: bytes, delays: tuple[Late, ...]) -> None:
        peer = end.peer
        assert peer is not None
        if piece is None:
            self._fly(end, delays, partial(self._hear_of_the_end, peer))
            return
        end.offset += len(piece)
        self._fly(end, delays, partial(self._come, peer, data, len(piece), self._timeline.now))

    def _fly(self, end: LinkEnd, delays: tuple[Late, ...], what: Callable[[], None]) -> None:
        """Let `what` happen at the other side, after all that has left before."""
        soonest = self._timeline.now + self._delay(end.link)
        if delays or end.late:
            # Late pieces keep the order by themselves; for others it is enough to remember the last arrival.
            flight = Flight(soonest if end.late else max(soonest, end.arrives), delays, what)
            end.late.append(flight)
            self._late[end] = None
            self._send_off(end, flight)
        else:
            end.arrives = max(end.arrives, soonest)
            self._timeline.schedule(end.arrives, what)

    def _send_off(self, end: LinkEnd, flight: Flight) -> None:
        due = end.arrives = max(end.arrives, flight.soonest + still_late(flight.delays, self.rules))
        flight.arrives = due
        self._timeline.schedule(due, lambda: self._land(end, flight, due))

    def _land(self, end: LinkEnd, flight: Flight, due: float) -> None:
        if flight.arrives != due or flight not in end.late:
            return  # it has arrived earlier
        end.late.popleft()
        if not end.late:
            self._late.pop(end, None)
        flight.what()

    def _hurry(self, end: LinkEnd) -> None:
        """Judge late pieces again after the rules have changed."""
        end.arrives = self._timeline.now
        for flight in end.late:
            self._send_off(end, flight)

    def _break(self, end: LinkEnd, data: bytes, count: int) -> None:
        """Reset the connection for both ends, after `data` has arrived."""
        peer = end.peer
        assert peer is not None
        end.leaving.clear()
        peer.leaving.clear()
        end.lost = peer.lost = True
        when = max(end.arrives, self._timeline.now + self._delay(end.link))
        if data:
            sent = self._timeline.now
            self._timeline.schedule(when, lambda: self._come(peer, data, count, sent))
        for each in (peer, end):
            self._timeline.schedule(when, lambda each=each: each.node.happens(lambda: self._lose(each)))  # type: ignore[misc]

    def _come(self, end: LinkEnd, data: bytes, count: int, sent: float) -> None:
        """Deliver bytes to the host of an end. The host takes them even while its node is paused, and the node reads
        them. If the node or the connection is gone, the host resets; if the host is gone, nobody answers."""
        node = end.node
        if node.crashed and node.host in self._off:
            self._vanish(end, data, sent)
        elif node.crashed or not end.open:
            self._reset(end)
        else:
            end.unread.append((data, count))
            node.happens(partial(self._read, end))

    def _vanish(self, end: LinkEnd, data: bytes, sent: float) -> None:
        """Let bytes that were sent at `sent` stay unacknowledged: they are sent again, and later ones wait."""
        sender = end.peer
        if sender is not None and sender.open and sender.sent is None:
            sender.sent = sent
            sender.offset -= len(data)
            sender.leaving.appendleft(data)
            self._waiting[sender] = None

    def _reset(self, end: LinkEnd) -> None:
        """Tell the other side that nobody is here."""
        if end.peer is not None and None not in end.leaving and not end.lost:
            end.leaving.append(None)
            self._let_go(end)

    def hold(self, node: Wired, connection: int, held: bool) -> None:
        """Stop reading from a connection, or read again."""
        end = node.ends.get(connection)
        if end is None:
            return
        end.held = held
        if not held:
            node.at(self._timeline.now, lambda: self._read(end))

    def _read(self, end: LinkEnd) -> None:
        while end.open and end.unread and not end.held:
            piece = end.unread.popleft()
            if piece is None:
                self._lose(end)
                return
            data, count = piece
            self._note_read(end.peer, count)
            end.node.receive(end.connection, data)

    def _note_read(self, end: LinkEnd | None, count: int) -> None:
        """Note that the other side has read `count` bytes of this end."""
        if end is None:
            return
        full = end.full or end.choked
        end.under_way -= count
        if full and end.open:
            end.choked = False
            end.node.at(self._timeline.now, lambda: self._transmit_on(end))

    # --- connections end --------------------------------------------------------------------------------------------

    def close(self, node: Wired, connection: int, farewell: bytes) -> None:
        """Close a node's connection, with last bytes."""
        end = node.ends.pop(connection, None)
        if end is None:
            return
        end.open = False
        if end.peer is None:
            return
        if farewell and not end.full:
            self._put(end, farewell)
        if end.unread:
            end.leaving.clear()  # closing with unread bytes resets, and what has not left yet is lost
        self._reset(end)

    def cut(self, node: Wired) -> None:
        """Break all connections of a node, for both ends at once."""
        for end in list(node.ends.values()):
            for each in (end.peer, end):
                if each is not None:
                    each.leaving.clear()
                    each.node.happens(lambda each=each: self._lose(each))  # type: ignore[misc]

    def abandon(self, node: Wired) -> None:
        """Let a host end the connections of its node, which is gone."""
        for connection in list(node.ends):
            self.close(node, connection, b"")

    def power_off(self, host: str) -> None:
        """Take the power from a host: nothing leaves it any more, and nobody is told."""
        self._off.add(host)
        node = self._nodes.get(host)
        ends = [*(node.ends.values() if node is not None else ()), *self._waiting]
        for end in ends:
            if end.node.host == host:
                end.open = False
                end.leaving.clear()
                end.node.ends.pop(end.connection, None)
                self._waiting.pop(end, None)

    def power_on(self, host: str) -> None:
        """Give a host its power back; it knows of no connection."""
        if host in self._off:
            self._off.discard(host)
            self.changed()

    def _hear_of_the_end(self, end: LinkEnd) -> None:
        """Tell a node that the other side has closed: after all earlier bytes if it reads, else when what it has
        written since then comes back."""
        if None in end.unread:
            end.node.happens(lambda: self._lose(end))
            return
        end.unread.append(None)
        end.node.happens(lambda: self._read(end))

    def _lose(self, end: LinkEnd) -> None:
        """Tell the node that the connection is gone."""
        if end.open:
            end.open = False
            end.node.ends.pop(end.connection, None)
            end.node.lost(end.connection)


def _split(leaving: deque[bytes | None], most: int) -> None:
    """Split a large first piece."""
    first = leaving[0]
    if first is not None and len(first) > most:
        leaving[0] = first[most:]
        leaving.appendleft(first[:most])
