"""Traces that users follow: of all records of the kernel's tracer, those of lineages that touch an address.

A lineage touches an address when any of its messages comes from there or goes there. That is often seen only after its
first messages, so the latest records of all lineages are kept for a while, bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from kernel.contract.address import Address
from kernel.router.sampled_trace import SampledTracer, bound_of
from kernel.router.trace import Tracer, TraceRecord, TraceStep

__all__ = ["TraceRecord", "TraceStep", "Traced", "Traces"]

MAX_LINEAGES = 1000
"""Lineages whose latest records are kept."""
MAX_EARLIER_RECORDS = 100
"""Records of one lineage that nobody follows yet; the first ones, since they are its beginning."""


class Traced(NamedTuple):
    """A record for a user who follows a trace."""

    token: object
    """The token that was given to `NodeCore.trace`."""
    record: TraceRecord


@dataclass(slots=True)
class _Lineage:
    earlier: list[TraceRecord] = field(default_factory=list)
    followers: list[object] = field(default_factory=list)
    """Tokens of the users who have been given all of it."""


class Traces:
    """Which address each user follows."""

    def __init__(self, our: str, clock: Callable[[], float] | None) -> None:
        """`clock` is that of `Tracer`."""
        self._our = our
        self._clock = clock
        self._followed: dict[object, Address | None] = {}
        self._shares: dict[object, float] = {}
        """Which share of all lineages each user follows."""
        self._lineages: OrderedDict[int, _Lineage] = OrderedDict()
        self.tracer: Tracer | None = None
        """The kernel's tracer; None while nobody follows anything."""

    def follow(self, address: Address | None, token: object, share: float = 1.0) -> None:
        """Follow all lineages that touch `address` from now on; None: every lineage, or that share of them.

        Whoever follows a share gets more of them while somebody else follows more, and leaves those out.
        """
        self._followed[token] = address
        self._shares[token] = share
        self._set_tracer()

    def _set_tracer(self) -> None:
        """Have a tracer of as much as anybody follows: another one begins anew."""
        most = bound_of(max(self._shares.values()))
        has = self.tracer
        if has is None or (has.below if isinstance(has, SampledTracer) else bound_of(1.0)) != most:
            everything = most >= bound_of(1.0)
            self.tracer = Tracer(self._our, self._clock) if everything else SampledTracer(self._our, self._clock, most)

    def leave(self, token: object) -> None:
        """Stop following."""
        self._followed.pop(token, None)
        self._shares.pop(token, None)
        if self._followed:
            self._set_tracer()
        else:
            self.tracer = None
            self._lineages.clear()

    @property
    def waiting(self) -> bool:
        """Whether `take` has anything to return."""
        return self.tracer is not None and bool(self.tracer.records)

    def take(self) -> Iterator[Traced]:
        """Return the records that were written since the last call, for those who follow them."""
        if self.tracer is None:
            return
        records, lineages, followed = self.tracer.records, self._lineages, self._followed
        if len(followed) == 1 and None in followed.values():
            # One user follows everything, as in every simulation: there is nothing to sort, and nothing to keep.
            lineages.clear()
            (token,) = followed
            while records:
                yield Traced(token, records.popleft())
            return
        while records:
            record = records.popleft()
            lineage = lineages.get(record.root)
            if lineage is None or len(lineage.followers) != 1 or len(followed) != 1:
                yield from self._sort(record)
                continue
            # The same in short: one user follows, and this lineage already.
            (token,) = lineage.followers
            if token not in followed:
                yield from self._sort(record)
                continue
            lineages.move_to_end(record.root)
            if len(lineage.earlier) < MAX_EARLIER_RECORDS:
                lineage.earlier.append(record)
            yield Traced(token, record)

    def _sort(self, record: TraceRecord) -> Iterator[Traced]:
        lineage = self._lineages.get(record.root)
        if lineage is not None:
            self._lineages.move_to_end(record.root)
        else:
            lineage = self._lineages[record.root] = _Lineage()
            if len(self._lineages) > MAX_LINEAGES:
                self._lineages.popitem(last=False)
        for token in lineage.followers:
            if token in self._followed:
                yield Traced(token, record)
        for token, address in self._followed.items():
            if token not in lineage.followers and address in (None, record.source, record.target):
                lineage.followers.append(token)
                for each in (*lineage.earlier, record):
                    yield Traced(token, each)
        if len(lineage.earlier) < MAX_EARLIER_RECORDS:
            lineage.earlier.append(record)
