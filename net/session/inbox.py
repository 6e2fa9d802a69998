"""The receiver's side of `outbox`: messages as they become whole, and what our kernel has taken of them.

It holds nothing for which the peer was not given credit, nor anything without an account that pays for the memory
(`memory`). It knows no streams: a message has only a number here.
"""

from typing import NamedTuple

from net.base.errors import BadFrame, CreditOverrun, NoMemory
from net.base.frames import Data, Known
from net.base.limits import FIRST_ALLOCATION_BYTES, MESSAGE_MEMORY_BYTES, MESSAGE_OVERHEAD_BYTES
from net.base.memory import UNMETERED, Account
from net.contract.events import Buffer

_new = tuple.__new__


class Arrived(NamedTuple):
    """A message that is whole."""

    sequence: int
    """The message's number, for `Inbox.taken`."""
    header: bytes
    """The header, as sent."""
    blob: Buffer | None
    """The blob, as sent."""
    pair: bytes | None
    """The name of the pair of processes, if the header lacks that."""


class _Partial:
    """A message that has begun to arrive. Its memory grows with its bytes, not on the peer's word."""

    __slots__ = ("blob", "blob_length", "filled", "header", "header_length", "paid", "pair", "since")

    def __init__(self, header_length: int, blob_length: int | None, pair: bytes | None) -> None:
        self.header_length = header_length
        self.blob_length = blob_length
        self.pair = pair
        self.paid = True
        """Whether the peer's account pays for it."""
        self.since: float | None = None
        """When `Inbox.oldest` looked at it first."""
        self.clear()

    def clear(self) -> None:
        """Forget all bytes."""
        self.header = bytearray()
        self.blob = bytearray()
        self.filled = 0

    @property
    def received(self) -> int:
        """Bytes of header and blob that are there."""
        return len(self.header) + self.filled

    @property
    def cost(self) -> int:
        """Credit that it takes, in bytes."""
        return self.header_length + (self.blob_length or 0) + MESSAGE_OVERHEAD_BYTES

    def add(self, chunk: memoryview) -> bool:
        """Append a chunk; return whether the message is whole now. Raises BadFrame if there is too much."""
        missing = self.header_length - len(self.header)
        if missing:
            self.header += chunk[:missing]
            chunk = chunk[missing:]
        end = self.filled + len(chunk)
        if end > (self.blob_length or 0):
            raise BadFrame("a message that is longer than it announced")
        self._store(chunk)
        self.filled = end
        return end == (self.blob_length or 0) and len(self.header) == self.header_length

    def _store(self, chunk: memoryview) -> None:
        """Put a chunk into the memory that was set aside, and behind that by appending, which grows the block where it
        lies or moves its pages. Setting aside ever larger blocks instead took more time than decrypting the chunks."""
        if chunk and not self.filled:
            self.blob = bytearray(min(self.blob_length or 0, FIRST_ALLOCATION_BYTES))
        room = len(self.blob) - self.filled
        if room:
            with memoryview(self.blob) as view:
                view[self.filled : self.filled + len(chunk)] = chunk[:room]
        if room < len(chunk):
            self.blob += chunk[room:]

    def finish(self) -> tuple[bytes, Buffer | None]:
        """Return header and blob of the whole message."""
        return bytes(self.header), None if self.blob_length is None else self.blob


class Inbox:
    """The messages of one lineage of the peer, from their first frame until our kernel has taken them."""

    def __init__(self, credit_bytes: int, credit_messages: int, account: Account = UNMETERED) -> None:
        """Make an empty inbox: the peer may have this many bytes and messages in it, and `account` pays for them."""
        self._account = account
        self._credit_bytes = credit_bytes
        self._credit_messages = credit_messages
        self._next = 1
        self._partial: dict[int, _Partial] = {}
        self._untaken: dict[int, int] = {}
        """Credit of each whole message that is not taken, by number."""
        self._cost = 0
        self.partial_cost = 0
        """Credit of the messages that are not whole, in bytes."""
        self.partial_bytes = 0
        """Bytes so far of messages that came in pieces."""
        self.large = 0
        """How many messages have begun that came in pieces."""
        self._acks: list[int] = []
        """Numbers of taken messages whose acknowledgement is not written yet."""
        self._acks_cost = 0
        """Credit of these messages. The peer has it back when it is told, so it is given back when the acknowledgement
        is written and not before: a peer that does not read can make no more acknowledgements wait than it has credit
        for messages."""

    @property
    def idle(self) -> bool:
        """Whether our kernel has taken all that was whole. Of the rest nothing is left when the peer has been given up
        (`shrink`), and only then does this matter."""
        return not self._untaken

    @property
    def incomplete(self) -> bool:
        """Whether messages have begun that are not whole."""
        return bool(self._partial)

    @property
    def begun(self) -> int:
        """How many messages have begun so far."""
        return self._next - 1

    @property
    def cost(self) -> int:
        """Credit in use, in bytes."""
        return self._cost

    @property
    def held_bytes(self) -> int:
        """Bytes of the messages that have arrived, even in part, and that nobody has taken yet."""
        partial = sum(len(each.header) + len(each.blob) for each in self._partial.values())
        return partial + sum(self._untaken.values())

    def receive(self, frame: Data) -> Arrived | None:
        """Take in a data frame; return the message if it is whole now. Raises BadFrame, CreditOverrun, or NoMemory, and
        then nothing has changed."""
        sequence, lengths, chunk, pair = frame
        size = len(chunk)
        partial = self._partial.get(sequence)
        if lengths is None:
            if partial is None or partial.received == 0:
                raise BadFrame("a piece of a message that has not begun")
        elif partial is not None:
            if partial.received or (partial.header_length, partial.blob_length, partial.pair) != (*lengths, pair):
                raise BadFrame("a message that begins twice")
            if not partial.paid:
                self._pay(partial.cost)
                partial.paid = True
        else:
            header_length, blob_length = lengths
            total = header_length if blob_length is None else header_length + blob_length
            self._begin(sequence, total + MESSAGE_OVERHEAD_BYTES)
            if size == total:
                self._untaken[sequence] = total + MESSAGE_OVERHEAD_BYTES
                blob = None if blob_length is None else bytes(chunk[header_length:])
                return _new(Arrived, (sequence, bytes(chunk[:header_length]), blob, pair))
            partial = self._partial[sequence] = _Partial(header_length, blob_length, pair)
            self.partial_cost += partial.cost
            self.large += 1
        self.partial_bytes += size
        if not partial.add(chunk):
            return None
        del self._partial[sequence]
        self.partial_cost -= partial.cost
        self._untaken[sequence] = partial.cost
        return Arrived(sequence, *partial.finish(), partial.pair)

    def _begin(self, sequence: int, cost: int) -> None:
        """Account for a message that begins."""
        if sequence != self._next:
            raise BadFrame("a message out of sequence")
        count = len(self._partial) + len(self._untaken) + len(self._acks)
        if count >= self._credit_messages or (count and self._cost + cost > self._credit_bytes):
            raise CreditOverrun("a message beyond its credit")
        self._pay(cost)
        self._next += 1
        self._cost += cost

    def _pay(self, cost: int) -> None:
        """Charge the peer's account. Raises NoMemory."""
        size = cost + MESSAGE_MEMORY_BYTES
        if not self._account.may_add(size):
            raise NoMemory
        self._account.add(size)

    def has_memory(self, frame: Data) -> bool:
        """Return whether there is memory by now for a message at whose first frame `receive` has raised NoMemory."""
        assert frame.lengths is not None
        header_length, blob_length = frame.lengths
        return self._account.may_add(header_length + (blob_length or 0) + MESSAGE_OVERHEAD_BYTES + MESSAGE_MEMORY_BYTES)

    def taken(self, sequence: int) -> bool:
        """Acknowledge a message that our kernel has taken; return whether that was still to be done."""
        cost = self._untaken.pop(sequence, None)
        if cost is None:
            return False
        self._account.remove(cost + MESSAGE_MEMORY_BYTES)
        self._acks.append(sequence)
        self._acks_cost += cost
        return True

    @property
    def has_acks(self) -> bool:
        """Whether `take_acks` would return any."""
        return bool(self._acks)

    def take_acks(self) -> tuple[int, ...]:
        """Return the acknowledgements to send now, at most as many as the peer has credit for messages."""
        acks = tuple(self._acks)
        self._acks.clear()
        self._cost -= self._acks_cost
        self._acks_cost = 0
        return acks

    def known(self, incarnation: bytes, epoch: int) -> Known:
        """Return what the resume frame says; it includes unsent acknowledgements, which are then not sent again."""
        self.take_acks()
        partial = tuple((sequence, item.received) for sequence, item in self._partial.items())
        return Known(incarnation, epoch, self._next, partial, tuple(self._untaken))

    def shrink(self) -> None:
        """Drop incomplete messages, since the peer is gone for now, or does not go on with them. They begin again."""
        for partial in self._partial.values():
            partial.clear()
            partial.since = None
            if partial.paid:
                partial.paid = False
                self._account.remove(partial.cost + MESSAGE_MEMORY_BYTES)

    def abandon(self) -> None:
        """Drop everything and return its memory to the account, after our own code has failed."""
        self.shrink()
        self._partial.clear()
        while self._untaken:
            self._account.remove(self._untaken.popitem()[1] + MESSAGE_MEMORY_BYTES)

    def oldest(self, now: float) -> float:
        """Return when the oldest of the incomplete messages was looked at first; now, if none was before."""
        for partial in self._partial.values():
            if partial.since is None:
                partial.since = now
        return min((partial.since for partial in self._partial.values() if partial.since is not None), default=now)

    def __repr__(self) -> str:
        return f"Inbox({len(self._partial)} partial, {len(self._untaken)} untaken, {self._cost} bytes)"
