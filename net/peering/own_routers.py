"""The routers through which this node is reached, and what each has answered. Only one that keeps a place is
a route.
"""

from collections.abc import Iterable
from enum import StrEnum

from net.contract.events import FailureReason


class Place(StrEnum):
    """What this node has at a router of its own."""

    AWAITED = "awaited"
    """The router has not answered yet: it is being reached, or has just been asked."""
    HELD = "held"
    """The router keeps a place: it connects callers with this node."""
    REFUSED = "refused"
    """The router has no place for this node, or not any more; it is asked again."""
    UNREACHABLE = "unreachable"
    """The router cannot be reached; it is tried again."""


class OwnRouters:
    """The routers in this node's record, and its place at each."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._places = dict.fromkeys(self.names, Place.AWAITED)
        self._troubles: dict[str, FailureReason | None] = {}
        """The last trouble with each router that was logged."""

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def places(self) -> dict[str, Place]:
        """This node's place at each router, by the router's name, in the order of the node's record."""
        return dict(self._places)

    def fails(self, name: str, reason: FailureReason) -> str | None:
        """Note that a router cannot be reached; return what to log, or None if the same reason was logged before."""
        self._places[name] = Place.UNREACHABLE
        return self._news(name, reason, f"the router {name} cannot be reached: {reason}; it is tried again")

    def reached(self, name: str) -> None:
        """Note that a router is connected and asked for a place, so its next trouble is news."""
        if self._places[name] is not Place.REFUSED:
            self._troubles.pop(name, None)
            self._places[name] = Place.AWAITED

    def lost(self, name: str) -> None:
        """Note that the connection to a router is gone, and with it the place."""
        self._places[name] = Place.AWAITED

    def answered(self, name: str, *, accepted: bool) -> str | None:
        """Note whether a router keeps a place; return what to log if that is news."""
        if not accepted:
            self._places[name] = Place.REFUSED
            return self._news(name, None, f"{name} has no place for this node; it is asked again")
        news = self._places[name] is not Place.HELD
        self._places[name] = Place.HELD
        self._troubles.pop(name, None)
        return f"{name} keeps a place for this node" if news else None

    def _news(self, name: str, trouble: FailureReason | None, text: str) -> str | None:
        if name in self._troubles and self._troubles[name] is trouble:
            return None
        self._troubles[name] = trouble
        return text
