"""How a peer's credit is shared among its processes, so that a stuck one does not use it up.

With `C` the peer's credit, a target may have begun and unacknowledged at most `f * f / (8 * C)`, where `f` is what
would be free if it had nothing: an eighth while no other target has anything, and less, the less is free. A stuck
target keeps what it has; `k` of them leave at least `C * 8 / (8 + k)`, and the next one's share of that is never zero.
(A share that is a fraction of `f` itself, Choudhury and Hahne's dynamic threshold, would leave `C * (7 / 8) ** k`: a
stuck target never gives back what it took while more was free. A share that counts the active targets holds up many
healthy ones.) Bytes and messages are shared alike. Two exceptions:

- A target that has nothing begun may begin one message of any size that leaves an eighth of the credit free, so that
  the largest message passes although it exceeds every share; and, as far as the number of messages goes, one in any
  case.
- If such a message has to wait, the others' shares are taken as if it had begun, so that bulk streams do not pass it
  over for ever; but never as if less than a quarter were free, for it may wait for one that is stuck.

What follows, whatever stuck targets hold: with `k` of them the next one may still begin a message of `C * 8 / (64 + k)
** 2`; 10 leave 191 KiB of 128 MiB, 100 leave 38 KiB. One of 64 MiB passes if they leave it and an eighth free. The
2,048 messages suffice for 250 stuck targets that have all they can, and each of those has filled its own inbox before.
Tests: tests/net/session/test_credit.py.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from net.base.limits import CREDIT_SHARES

S = TypeVar("S")


KEPT_SHARES = 64
"""Shares without messages that are kept at least."""


class Share(Generic[S]):
    """One target's part of the credit, and the streams that wait for more."""

    __slots__ = ("blocked", "cost", "count", "key", "turn", "users")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.cost = 0
        """Credit of its messages that have begun and are not acknowledged, in bytes."""
        self.count = 0
        """Number of its messages that have begun and are not acknowledged."""
        self.users = 0
        """Messages to it, begun or not."""
        self.blocked: deque[S] | None = None
        """Streams whose next message waits for credit, in order; None: there was never one, as for most."""
        self.turn: S | None = None
        """The blocked stream that may try now."""


class Shares(Generic[S]):
    """All credit of one session, shared among targets."""

    __slots__ = (
        "_ample_bytes",
        "_ample_messages",
        "_by_key",
        "_cost",
        "_count",
        "_credit_bytes",
        "_credit_messages",
        "_large",
        "_reserved",
        "_sweep_at",
        "starved",
    )

    def __init__(self) -> None:
        self._by_key: dict[bytes, Share[S]] = {}
        """Those with messages, and some that had any."""
        self._sweep_at = KEPT_SHARES
        """How many of them there are when those without messages go."""
        self.starved: dict[Share[S], None] = {}
        """Shares with blocked streams, in order."""
        self._credit_bytes = 0
        self._credit_messages = 0
        self._ample_bytes = 0
        """While all together take no more than half of an eighth, `a`, no target has more than its share, for `a * 8 *
        C` is less than `(C - a) ** 2`. Almost every message needs to know no more than that."""
        self._ample_messages = 0
        """The same bound, as a number of messages."""
        self._cost = 0
        self._count = 0
        self._large: Share[S] | None = None
        """The target whose first message has waited longest for bytes."""
        self._reserved = 0
        """The cost of that message."""

    def set_credit(self, credit_bytes: int, credit_messages: int) -> None:
        """Set what the peer allows from now on."""
        self._credit_bytes = credit_bytes
        self._credit_messages = credit_messages
        self._ample_bytes = credit_bytes // (2 * CREDIT_SHARES)
        self._ample_messages = credit_messages // (2 * CREDIT_SHARES)

    def obtain(self, key: bytes) -> Share[S]:
        """Return the share of a target, for one more message: who takes that out subtracts it from `users`."""
        share = self._by_key.get(key)
        if share is None:
            if len(self._by_key) >= self._sweep_at:
                self._by_key = {key: each for key, each in self._by_key.items() if each.users}
                self._sweep_at = max(KEPT_SHARES, 2 * len(self._by_key))
            share = self._by_key[key] = Share(key)
        share.users += 1
        return share

    def begin(self, share: Share[S], cost: int) -> bool:
        """Take credit for a message; return False if it has to wait."""
        ample = self._count < self._ample_messages and self._cost + cost <= self._ample_bytes
        if (not ample or self._large is not None) and not self._may_begin(share, cost):
            return False
        self._count += 1
        self._cost += cost
        share.count += 1
        share.cost += cost
        return True

    def release(self, share: Share[S], cost: int) -> None:
        """Give back what `begin` took."""
        self._count -= 1
        self._cost -= cost
        share.count -= 1
        share.cost -= cost

    def _may_begin(self, share: Share[S], cost: int) -> bool:
        """Return whether the rules allow the message to begin; if not, others may have to leave credit for it."""
        if not self._count:
            if not self._credit_messages:
                return False
        elif not self._has_messages(share):
            return False
        elif not self._has_bytes(share, cost):
            if self._large is None and not share.count:
                self._large, self._reserved = share, cost
            return False
        if share is self._large:
            self._large, self._reserved = None, 0
        return True

    def _has_messages(self, share: Share[S]) -> bool:
        credit, count = self._credit_messages, self._count
        if count >= credit or not share.count:
            return count < credit
        free = credit - count + share.count
        return (share.count + 1) * CREDIT_SHARES * credit <= free * free

    def _has_bytes(self, share: Share[S], cost: int) -> bool:
        credit = self._credit_bytes
        free = credit - self._cost
        if cost > free:
            return False
        last = credit // CREDIT_SHARES
        if share is not self._large:
            free = max(free - self._reserved, min(free, 2 * last))
        if not share.count and cost <= free - last:
            return True
        whole = free + share.cost
        return (share.cost + cost) * CREDIT_SHARES * credit <= whole * whole

    # --- streams that wait ---

    def must_wait(self, share: Share[S], stream: S) -> bool:
        """Return whether others of the same target wait, and it is not this one's turn."""
        return bool(share.blocked) and share.turn is not stream

    def block(self, share: Share[S], stream: S) -> None:
        """Let a stream wait for credit."""
        if share.blocked is None:
            share.blocked = deque()
        if share.turn is stream:
            share.turn = None
            share.blocked.appendleft(stream)
        else:
            share.blocked.append(stream)
        if share.turn is None:
            self.starved[share] = None

    def next_turn(self, share: Share[S]) -> S | None:
        """Return the waiting stream of this target that may try now that another has begun a message, or credit is
        free."""
        share.turn = share.blocked.popleft() if share.blocked else None
        return share.turn

    def feed(self) -> list[S]:
        """Return the streams that may try now that credit is free: one of each target with blocked streams."""
        if not self.starved:
            return []
        starved, self.starved = self.starved, {}
        turns = (self.next_turn(share) for share in starved)
        return [stream for stream in turns if stream is not None]

    def forget_waiters(self) -> None:
        """Forget the blocked streams: all begin to try afresh."""
        for share in self._by_key.values():
            share.blocked = share.turn = None
        self.starved.clear()
        self._large, self._reserved = None, 0
