"""Which nodes have a router's places. While there are some, every node that asks gets one; then addresses share them
equally.

A place that is wanted at an address with none is taken from the address with most. Names and keys cost nothing, so one
client would otherwise have all of them; and no address has a right to fewer than others, so a node that shares fairly
loses none. Tests: tests/net/peering/test_router_places.py.
"""

from collections import Counter
from typing import NamedTuple

from net.base.limits import MAX_PLACES_PER_KEY
from net.base.origins import address_of
from net.session.session import Session


class _Place(NamedTuple):
    session: Session
    origin: str
    """The unit of the node's address (`origins.address_of`)."""
    key: bytes
    """The node's public key."""


class Places:
    """The places of a router, by the nodes that have them."""

    def __init__(self, most: int) -> None:
        """`most` is how many places there are."""
        self._most = most
        self._places: dict[str, _Place] = {}
        """The places by the node's name; the one that was called, or came, longest ago first."""
        self._of_origin: Counter[str] = Counter()
        self._of_key: Counter[bytes] = Counter()
        self._sizes: Counter[int] = Counter()
        """How many origins have a given number of places, so that a refusal takes no search."""

    def names(self) -> list[str]:
        """Return the names of the nodes that have a place."""
        return list(self._places)

    def take(self, session: Session, host: str, key: bytes) -> tuple[bool, Session | None]:
        """Give the peer at `host`, whose key this is, a place if possible. Return whether it has one now, and the
        session that has lost one for it."""
        name, evicted = session.name, None
        if name in self._places:
            self._remove(name)
        origin = address_of(host)
        if self._of_key[key] >= MAX_PLACES_PER_KEY:
            return False, None
        if len(self._places) >= self._most:
            evicted = self._make_room(self._of_origin[origin])
            if evicted is None:
                return False, None
        self._places[name] = _Place(session, origin, key)
        self._of_key[key] += 1
        self._resize(origin, 1)
        return True, evicted

    def _make_room(self, mine: int) -> Session | None:
        """Take a place from the address that has most, for one that has `mine`; return None if no address
        has two more.
        """
        greediest = max(self._sizes, default=0)
        if greediest < mine + 2:
            return None
        for name, place in self._places.items():
            if self._of_origin[place.origin] == greediest:
                self._remove(name)
                return place.session
        raise AssertionError("an origin has places, and none of them is there")

    def leave(self, session: Session) -> None:
        """Free the peer's place. Another session may have the place of that name."""
        place = self._places.get(session.name)
        if place is not None and place.session is session:
            self._remove(session.name)

    def call(self, name: str) -> Session | None:
        """Return the session of the node `name`, which is called, if it has a place."""
        place = self._places.pop(name, None)
        if place is None:
            return None
        self._places[name] = place
        return place.session

    def mend(self) -> None:
        """Repair the table (see `containment`): nodes that are not connected have no place, and all counts
        are right.
        """
        self._places = {name: each for name, each in self._places.items() if each.session.connection is not None}
        self._of_key = Counter(each.key for each in self._places.values())
        self._of_origin = Counter(each.origin for each in self._places.values())
        self._sizes = Counter(self._of_origin.values())

    def _remove(self, name: str) -> None:
        place = self._places.pop(name)
        self._of_key[place.key] -= 1
        if not self._of_key[place.key]:
            del self._of_key[place.key]
        self._resize(place.origin, -1)

    def _resize(self, origin: str, change: int) -> None:
        before = self._of_origin[origin]
        for size, step in ((before, -1), (before + change, 1)):
            if size:
                self._sizes[size] += step
                if not self._sizes[size]:
                    del self._sizes[size]
        self._of_origin[origin] = before + change
        if not self._of_origin[origin]:
            del self._of_origin[origin]
