"""Many messages over one session: fair, in order, within credit, and over any number of connections.

Theory of operation. Each direction of a session is a *lineage* of messages. A message gets its sequence number when its
first frame is written, so the receiver sees new numbers without gaps: it need only know the next one, which messages
have begun and are not whole, and which are whole and not taken by its kernel. A resume frame says just that, and stays
small however many messages pass a slow one. Messages that the other side has never seen begin anew with new numbers;
partial ones go on where they stopped.

Streams exist at the sender only, as does this module: the receiver's side is `inbox`. The messages of one stream are
written one after the other, so they become whole in order (G4); streams take turns, frame by frame. Credit is given
back by acknowledgements, which are sent when the receiving kernel has taken the message, so what a sender may have
unacknowledged bounds the receiver's memory.

One target process that takes nothing must not hold up the others (G24): what it leaves unacknowledged stays begun for
as long as it is stuck, from all senders. So the sender shares the session's credit out among the targets, not the
streams: a hundred senders to one stuck target hold no more than one does. The share of each is the smaller, the less is
free (`credit` has the rule and what follows from it), so whatever set of targets is stuck, free credit does not run
out, and a message to one that takes is delivered. Streams to the same target wait for its share in order.

Rejected: a window per stream on the wire (as in HTTP/2), which needs stream ids and their life cycle at the receiver,
for no promise that this does not give; a fixed share per target, of which a few stuck ones use up everything or, if it
is small, a single bulk stream cannot use what is there. Tests: tests/net/session/test_outbox.py.
"""

from collections import deque
from collections.abc import Callable, Sequence

from net.base.errors import BadFrame
from net.base.frames import (
    DATA,
    DATA_HEADER,
    FIRST,
    FIRST_HEADER,
    NAMED,
    NAMED_HEADER,
    NO_BLOB,
    NUMBERED,
    NUMBERED_HEADER,
    Known,
)
from net.base.limits import (
    MAX_CHUNK_WORTH_WAITING,
    MAX_PAIRS,
    MAX_QUEUED_BYTES,
    MAX_QUEUED_MESSAGES,
    MESSAGE_OVERHEAD_BYTES,
)
from net.contract.events import Buffer
from net.session.credit import Share, Shares

_DATA_BYTES, _FIRST_BYTES = DATA_HEADER.size, FIRST_HEADER.size
_NAMED_BYTES, _NUMBERED_BYTES = NAMED_HEADER.size, NUMBERED_HEADER.size
_NAME_BYTES = _NAMED_BYTES - _FIRST_BYTES
_NUMBERED, _NAMED = FIRST | NUMBERED, FIRST | NAMED


KEPT_STREAMS = 64
"""Streams without messages that are kept at least: to make one for each message takes longer than all else here."""


class _Message:
    """A message to the peer, until it is acknowledged."""

    __slots__ = ("blob", "cost", "header", "name_bytes", "offset", "sequence", "share", "stream", "token", "total")

    def __init__(
        self,
        stream: "_Stream",
        share: "Share[_Stream]",
        header: bytes,
        blob: Buffer | None,
        token: object,
        name_bytes: int,
    ) -> None:
        self.stream = stream
        self.share = share
        """The target's share of the session's credit."""
        self.header = header
        self.blob = None if blob is None else memoryview(blob).cast("B")
        self.token = token
        self.name_bytes = name_bytes
        """Bytes that its first frame may need to tell the stream; 0: the header tells it."""
        self.total = len(header) if self.blob is None else len(header) + len(self.blob)
        self.cost = self.total + MESSAGE_OVERHEAD_BYTES
        """Credit that the message takes, in bytes."""
        self.sequence = 0
        """The sequence number; 0 until the first frame is written."""
        self.offset = 0
        """Bytes of header and blob that are written."""


class _Stream:
    """The messages of one pair of processes."""

    __slots__ = ("count", "key", "number", "scheduled", "waiting")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.waiting: deque[_Message] = deque()
        """Messages not written to the end; the first may have begun."""
        self.count = 0
        """How many messages have begun and are not acknowledged."""
        self.scheduled = False
        """Whether the stream takes turns, or waits for credit to do so."""
        self.number = 0
        """The number that it was given last, on whatever connection."""


class PairNumbers:
    """The numbers that the pairs of processes have on one connection, on the way out."""

    __slots__ = ("_next", "streams")

    def __init__(self) -> None:
        self.streams: dict[int, _Stream] = {}
        """The stream of each number."""
        self._next = 0

    def give(self, stream: _Stream) -> int:
        """Give a stream a number; when all are taken, it is that of the stream that has got one longest ago."""
        number = stream.number = self._next
        self.streams[number] = stream
        self._next = (number + 1) % MAX_PAIRS
        return number


class Outbox:
    """The messages to one peer, from `queue` until they are acknowledged or given up."""

    def __init__(self) -> None:
        self._streams: dict[bytes, _Stream] = {}
        """Those with messages, and some that had any: most are used again and again."""
        self._sweep_at = KEPT_STREAMS
        """How many of them there are when those without messages go."""
        self._ready: deque[_Stream] = deque()
        self._shares: Shares[_Stream] = Shares()
        self._begun: dict[int, _Message] = {}
        self._next = 1
        self._unwritten_bytes = 0
        self._unwritten_messages = 0
        self._unwritten_names = 0
        self.bytes = 0
        """Bytes of all messages in here."""
        self.messages = 0
        """Count of all messages in here."""
        self.large = 0
        """How many messages have begun that are written in pieces."""
        self.partial_bytes = 0
        """Bytes so far of pieces behind which more of the same message was left."""
        self.leaving: Sequence[_Message] = ()
        """Messages that are being taken out; the caller that does so empties this after it has told their outcome."""

    @property
    def full(self) -> bool:
        """Whether `queue` must not be called."""
        return self.messages >= MAX_QUEUED_MESSAGES or self.bytes >= MAX_QUEUED_BYTES

    def queue(
        self,
        key: bytes,
        header: bytes,
        blob: Buffer | None,
        token: object,
        target: bytes | None = None,
        paired: bool = False,
    ) -> None:
        """Add a message to the end of stream `key`. Its size and `full` have been checked. `target` and `paired` are as
        in `Outgoing`."""
        stream = self._streams.get(key)
        if stream is None:
            if len(self._streams) >= self._sweep_at:
                self._sweep()
            stream = self._streams[key] = _Stream(key)
        share = self._shares.obtain(key if target is None else target)
        name_bytes = len(key) + _NAME_BYTES if paired else 0
        message = _Message(stream, share, header, blob, token, name_bytes)
        stream.waiting.append(message)
        self._unwritten_names += name_bytes
        self.messages += 1
        self.bytes += message.total
        self._unwritten_messages += 1
        self._unwritten_bytes += message.total
        if not stream.scheduled:
            self._schedule(stream)

    def set_credit(self, credit_bytes: int, credit_messages: int) -> None:
        """Set what the peer allows from now on."""
        self._shares.set_credit(credit_bytes, credit_messages)
        self._feed()

    @property
    def without_credit(self) -> bool:
        """Whether messages wait although nothing is begun: the peer allows not even one."""
        return bool(self.messages) and not self._begun and not self._ready

    @property
    def begun(self) -> int:
        """How many messages have begun so far."""
        return self._next - 1

    @property
    def writable(self) -> bool:
        """Whether `write` may have something to write."""
        return bool(self._ready)

    def estimate(self) -> int:
        """Return a lower bound of the bytes that `write` would need for all there is, record overhead included."""
        payload = self._unwritten_bytes + self._unwritten_names
        return payload + _FIRST_BYTES * self._unwritten_messages + 64 * (1 + payload // 32768)

    def write(self, buffer: memoryview, position: int, end: int, pairs: PairNumbers) -> int:
        """Write frames to `buffer` from `position` on, at most up to `end`; return the position behind them. `pairs`
        are those of the connection."""
        ready = self._ready
        while ready:
            stream = ready[0]
            message = stream.waiting[0]
            room = end - position - (_DATA_BYTES if message.offset else _FIRST_BYTES + message.name_bytes)
            rest = message.total - message.offset
            if room < rest and room < MAX_CHUNK_WORTH_WAITING:
                break
            if message.sequence == 0 and not self._begin(message):
                ready.popleft()
                continue
            size = min(rest, room)
            if not message.offset and message.name_bytes:
                self._unwritten_names -= message.name_bytes
            position = _write_frame(message, buffer, position, size, pairs)
            self._unwritten_bytes -= size
            ready.popleft()
            if message.offset == message.total:
                stream.waiting.popleft()
                self._unwritten_messages -= 1
            else:
                self.partial_bytes += size
                if message.offset == size:
                    self.large += 1
            if stream.waiting:
                ready.append(stream)
            else:
                stream.scheduled = False
        return position

    def acknowledge(self, sequences: tuple[int, ...]) -> list[object]:
        """Remove messages that the peer's kernel has taken; return their tokens. Raises BadFrame if one was not sent
        whole or is named twice; then nothing has changed."""
        begun, messages = self._begun, []
        for sequence in sequences:
            message = begun.get(sequence)
            if message is None or message.offset < message.total:
                raise BadFrame("an acknowledgement of what was not sent")
            messages.append(message)
        if len(sequences) > 1 and len(set(sequences)) < len(sequences):
            raise BadFrame("an acknowledgement that names a message twice")
        self.leaving = messages
        for message in messages:
            self._forget(message)
        if self._shares.starved:
            self._feed()
        return [message.token for message in messages]

    def resume(self, known: Known | None) -> list[object]:
        """Go on where the peer stands; return the tokens of what it has taken.

        None means that the peer has nothing of this lineage. Raises BadFrame if it claims what cannot be; then nothing
        has changed.
        """
        if known is not None:
            self._check(known)
        following = known.next if known is not None else 1
        partial = dict(known.partial) if known is not None else {}
        untaken = frozenset(known.untaken) if known is not None else frozenset()
        self.leaving = [*self.leaving, *self._begun.values()]
        delivered: list[object] = []
        again: list[_Message] = []
        for sequence, message in sorted(self._begun.items()):
            if sequence >= following:
                message.offset = 0
                again.append(message)
            elif sequence in partial:
                message.offset = partial[sequence]
                again.append(message)
            elif sequence not in untaken:
                delivered.append(message.token)
                self._forget(message)
        self._rewind(again, following)
        return delivered

    def _check(self, known: Known) -> None:
        if not 1 <= known.next <= self._next:
            raise BadFrame("a resume frame that knows more than was sent")
        partial = dict(known.partial)
        for sequence, message in self._begun.items():
            if sequence in partial:
                if partial[sequence] > message.offset or partial[sequence] == message.total:
                    raise BadFrame("a resume frame that has more of a message than can be")
            elif sequence < known.next and message.offset < message.total:
                raise BadFrame("a resume frame that has a message that was not sent whole")

    def spell_out(self, header_of: Callable[[object], bytes]) -> None:
        """Give each message whose header lacks its stream one that has it, for a peer of version 1 that has seen none
        of them. `header_of` returns it for a token."""
        for stream in self._streams.values():
            for message in stream.waiting:
                if message.name_bytes:
                    assert not message.sequence
                    self._change(message, header_of(message.token))
                    message.name_bytes = 0
        self._unwritten_names = 0

    def reword(self, reworded: Callable[[object, bytes, bool], bytes]) -> None:
        """Give each message of which the peer has seen nothing the header that `reworded` returns for its token, its
        header, and whether that lacks the stream."""
        for stream in self._streams.values():
            for message in stream.waiting:
                if not message.sequence:
                    header = reworded(message.token, message.header, message.name_bytes > 0)
                    if header is not message.header:
                        self._change(message, header)

    def _change(self, message: _Message, header: bytes) -> None:
        """Give a message that has not begun another header."""
        more = len(header) - len(message.header)
        message.header = header
        message.total += more
        message.cost += more
        self.bytes += more
        self._unwritten_bytes += more

    def fail_begun(self) -> list[object]:
        """Give up every message of which the peer may have seen a part; return the tokens. The others count from 1
        again."""
        self.leaving = begun = list(self._begun.values())
        for message in begun:
            waiting = message.stream.waiting
            if waiting and waiting[0] is message:
                waiting.popleft()
        for message in begun:
            self._forget(message)
        self._rewind([], 1)
        return [message.token for message in begun]

    def fail_all(self) -> list[object]:
        """Give up everything; return the tokens, begun messages first, then stream by stream."""
        tokens = self.fail_begun()
        self.leaving = [*self.leaving, *(message for stream in self._streams.values() for message in stream.waiting)]
        for stream in self._streams.values():
            tokens.extend(message.token for message in stream.waiting)
            for message in stream.waiting:
                message.share.users -= 1
        self._streams.clear()
        self._sweep_at = KEPT_STREAMS
        self._ready.clear()
        self._shares.forget_waiters()
        self._unwritten_bytes = self._unwritten_messages = self._unwritten_names = self.bytes = self.messages = 0
        return tokens

    def salvage(self) -> list[object]:
        """Empty the outbox, whatever state it is in; return the tokens of all messages whose outcome was not told, once
        each."""
        waiting = (message for stream in self._streams.values() for message in stream.waiting)
        found = {id(each): each for each in (*self.leaving, *self._begun.values(), *waiting)}
        self.__init__()  # type: ignore[misc]  # nothing of it is to be relied on
        return [message.token for message in found.values()]

    def _begin(self, message: _Message) -> bool:
        """Give the message a number if credit allows; otherwise note that its stream waits."""
        stream, share, shares = message.stream, message.share, self._shares
        if (share.blocked and shares.must_wait(share, stream)) or not shares.begin(share, message.cost):
            shares.block(share, stream)
            return False
        if share.turn is stream and (following := shares.next_turn(share)) is not None:
            self._ready.append(following)
        message.sequence = self._next
        self._next += 1
        self._begun[message.sequence] = message
        stream.count += 1
        return True

    def _forget(self, message: _Message) -> None:
        """Account for a message that has left the outbox."""
        del self._begun[message.sequence]
        self.bytes -= message.total
        self.messages -= 1
        message.stream.count -= 1
        self._shares.release(message.share, message.cost)
        message.share.users -= 1

    def _sweep(self) -> None:
        """Forget the streams without messages."""
        self._streams = {key: stream for key, stream in self._streams.items() if stream.count or stream.waiting}
        self._sweep_at = max(KEPT_STREAMS, 2 * len(self._streams))

    def _schedule(self, stream: _Stream) -> None:
        if not stream.scheduled:
            stream.scheduled = True
            self._ready.append(stream)

    def _feed(self) -> None:
        """Let the streams that wait for credit try again, since some may be free."""
        self._ready.extend(self._shares.feed())

    def _rewind(self, again: list[_Message], following: int) -> None:
        """Put begun messages back to the heads of their streams, and bring all accounts in line."""
        for message in again:
            waiting = message.stream.waiting
            if waiting and waiting[0] is message:
                waiting.popleft()
        for message in reversed(again):
            message.stream.waiting.appendleft(message)
            if message.sequence >= following:
                message.stream.count -= 1
                self._shares.release(message.share, message.cost)
                del self._begun[message.sequence]
                message.sequence = 0
        self._next = following
        self._ready.clear()
        self._shares.forget_waiters()
        self._unwritten_bytes = self._unwritten_messages = self._unwritten_names = 0
        for stream in self._streams.values():
            stream.scheduled = False
            self._unwritten_messages += len(stream.waiting)
            self._unwritten_bytes += sum(message.total - message.offset for message in stream.waiting)
            self._unwritten_names += sum(0 if message.offset else message.name_bytes for message in stream.waiting)
            if stream.waiting:
                self._schedule(stream)

    def __repr__(self) -> str:
        return f"Outbox({self.messages} messages, {len(self._begun)} begun, {self.bytes} bytes)"


def _write_frame(message: _Message, buffer: memoryview, position: int, size: int, pairs: PairNumbers) -> int:
    """Write one data frame with the next `size` bytes of `message`; return the position behind it."""
    offset = message.offset
    blob = message.blob
    header_length = len(message.header)
    if offset == 0:
        blob_length = NO_BLOB if blob is None else len(blob)
        if not message.name_bytes:
            FIRST_HEADER.pack_into(buffer, position, DATA, FIRST, size, message.sequence, header_length, blob_length)
            position += _FIRST_BYTES
        else:
            stream = message.stream
            key, number = stream.key, stream.number
            fields = size, message.sequence, header_length, blob_length
            if pairs.streams.get(number) is stream:
                NUMBERED_HEADER.pack_into(buffer, position, DATA, _NUMBERED, *fields, number)
                position += _NUMBERED_BYTES
            else:
                NAMED_HEADER.pack_into(buffer, position, DATA, _NAMED, *fields, pairs.give(stream), len(key))
                position += _NAMED_BYTES
                buffer[position : position + len(key)] = key
                position += len(key)
    else:
        DATA_HEADER.pack_into(buffer, position, DATA, 0, size, message.sequence)
        position += _DATA_BYTES
    message.offset = offset + size
    if size == header_length == message.total:
        buffer[position : position + size] = message.header
        return position + size
    if offset < header_length:
        part = min(header_length - offset, size)
        buffer[position : position + part] = memoryview(message.header)[offset : offset + part]
        position += part
        offset += part
        size -= part
    if size:
        assert blob is not None
        start = offset - header_length
        buffer[position : position + size] = blob[start : start + size]
    return position + size
