"""The sessions of one node, by the names of the peers: never more than its capacity, unless none can be spared."""

from collections.abc import Callable, Iterable

from net.base.limits import MAX_SESSIONS
from net.contract.config import NetworkConfig
from net.peering.connections import Switchboard
from net.session.session import Session


class SessionTable:
    """The sessions with known peers, up to a limit."""

    def __init__(
        self, our: str, config: NetworkConfig, switchboard: Switchboard, entropy: Callable[[int], bytes]
    ) -> None:
        """`our` is this node's name."""
        self._our = our
        self._routers = config.routers
        self._credit = (config.credit_bytes, config.credit_messages)
        self._memory = config.memory
        self._frames_version = config.frames_version
        self._switchboard = switchboard
        self._entropy = entropy
        self._by_name: dict[str, Session] = {}
        self._idle: set[str] = set()
        """Names of the peers that could be forgotten at the last sweep."""

    def get(self, name: str) -> Session | None:
        """Return the session with `name`, or None."""
        return self._by_name.get(name)

    def all(self) -> list[Session]:
        """Return all sessions, oldest first."""
        return list(self._by_name.values())

    def obtain(self, name: str) -> Session | None:
        """Return the session with `name`, made if need be, or None if there is no capacity."""
        session = self._by_name.get(name)
        if session is None:
            if not self._make_room():
                return None
            session = self._by_name[name] = self._new(name, guest=False)
        return session

    def guest(self, name: str) -> Session:
        """Return a session with a peer that has not registered that name yet; it is in no table."""
        return self._new(name, guest=True)

    def take(self, name: str) -> Session | None:
        """Remove the session with `name` and return it."""
        return self._by_name.pop(name, None)

    def forget(self, names: Iterable[str]) -> None:
        """Forget the sessions of these names, which are nobody's any more, where that costs nothing."""
        awaited = self._awaited()
        for session in filter(None, map(self._by_name.get, names)):
            if session.idle and not self._is_wanted(session, awaited):
                del self._by_name[session.name]

    def sweep(self, keep: str | None) -> bool:
        """Forget each peer but `keep` that could be forgotten at no cost at the last sweep and can be now; return
        whether there is any to look at again."""
        awaited = self._awaited()
        idle = {each.name for each in self._by_name.values() if each.idle and not self._is_wanted(each, awaited)}
        idle.discard(keep or "")
        for name in idle & self._idle:
            del self._by_name[name]
        self._idle = idle - self._idle
        return bool(self._idle)

    def admit(self, session: Session) -> None:
        """Add a session that was a guest's. If no other can be forgotten, there is one too many: all are connected, or
        wanted."""
        if session.name not in self._by_name:
            self._make_room()
        self._by_name[session.name] = session

    def renew(self, session: Session) -> None:
        """Replace this session, if it is in the table, with a fresh one that knows nothing of its peer."""
        if self._by_name.get(session.name) is session:
            fresh = self._new(session.name, guest=False)
            fresh.succeed(session)
            self._by_name[session.name] = fresh

    def _make_room(self) -> bool:
        """Forget the oldest peer that can be forgotten at no cost, if there are too many; return False if there is
        none. A peer whose resume frame is awaited cannot be, nor can a router of this node, which nobody reaches
        without it."""
        if len(self._by_name) < MAX_SESSIONS:
            return True
        awaited = self._awaited()
        for session in self._by_name.values():
            if session.idle and not self._is_wanted(session, awaited):
                del self._by_name[session.name]
                return True
        return False

    def _awaited(self) -> set[Session | None]:
        return {connection.session for connection in self._switchboard.all()}

    def _is_wanted(self, session: Session, awaited: set[Session | None]) -> bool:
        return session in awaited or session.name in self._routers

    def _new(self, name: str, *, guest: bool) -> Session:
        arbiter = self._our < name
        account = self._memory.of_node(name)
        return Session(
            name,
            arbiter=arbiter,
            guest=guest,
            credit=self._credit,
            account=account,
            entropy=self._entropy,
            frames_version=self._frames_version,
        )

    def __repr__(self) -> str:
        return f"SessionTable({self.all()})"
