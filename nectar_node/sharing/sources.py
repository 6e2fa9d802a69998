"""The nodes that a release is fetched from: which one is asked next, which is left in peace for a while, and which is
not asked any more, and why. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nectar_node.sharing.wire.limits import PAUSES, PIECES_OF_SOURCE


@dataclass(slots=True, eq=False)
class ReleaseSource:
    """One node."""

    name: str
    dropped: str | None = None
    """Why it is not asked any more, as half a sentence after its name; None: it is."""
    false: bool = False
    """Whether it was dropped because what it served was not what was published."""
    away: str = ""
    """What it said, or what was found, when it gave no answer last; empty: it has answered."""
    failures: int = 0
    """How often in a row it gave none."""
    rests_until: float | None = None
    """When it may be asked again; None: now."""
    asked: set[object] = field(default_factory=set)
    """What it is being asked for."""

    def rests(self, now: float) -> bool:
        """Return whether it is left in peace."""
        return self.rests_until is not None and self.rests_until > now


class Sources:
    """All nodes of one fetch, in the order in which they were named."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.all = {name: ReleaseSource(name) for name in names}
        self._turn = 0

    @property
    def left(self) -> list[ReleaseSource]:
        """Those that have not been dropped."""
        return [each for each in self.all.values() if each.dropped is None]

    @property
    def asked(self) -> bool:
        """Whether any is being asked for something."""
        return any(each.asked for each in self.all.values())

    def free(self, now: float, places: int = PIECES_OF_SOURCE) -> list[ReleaseSource]:
        """Return those that can be asked for one more thing, those with the least to do first; equals take turns."""
        self._turn += 1
        found = [each for each in self.left if not each.rests(now) and len(each.asked) < places]
        if not found:
            return found
        first = self._turn % len(found)
        return sorted(found[first:] + found[:first], key=lambda each: len(each.asked))

    @property
    def next_at(self) -> float | None:
        """When the first of those that rest may be asked again; None: none rests."""
        return min((each.rests_until for each in self.left if each.rests_until is not None), default=None)

    def wake(self, now: float) -> None:
        """Let those ask again whose time has come."""
        for each in self.all.values():
            if not each.rests(now):
                each.rests_until = None

    def answered(self, source: ReleaseSource) -> None:
        """Note that a node has answered."""
        source.failures, source.away = 0, ""

    def fails(self, source: ReleaseSource, why: str, now: float) -> None:
        """Leave a node in peace for a while: it cannot be reached, or is busy."""
        if source.rests(now):
            return  # all that it was asked for fails at once
        source.away = why
        source.rests_until = now + PAUSES[min(source.failures, len(PAUSES) - 1)]
        source.failures += 1

    def drop(self, source: ReleaseSource, why: str, *, false: bool) -> bool:
        """Ask a node no more; return whether it was asked until now."""
        if source.dropped is not None:
            return False
        source.dropped, source.false = why, false
        return True

    def summary(self) -> str:
        """Return what is known of each, as the end of a sentence."""
        told = [f"{each.name} {each.dropped or each.away}" for each in self.all.values() if each.dropped or each.away]
        return "; ".join(told) or "nobody answers"
