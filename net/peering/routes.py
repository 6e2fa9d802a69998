"""Which routes lead to a peer, as far as the directory knows, and which names to look up for more. Changes nothing."""

from net.names.directory import Directory, NameRecord
from net.session.reach import Route
from net.session.session import Session


class Routes:
    """Finds the routes to peers in the directory."""

    def __init__(self, our: str, directory: Directory) -> None:
        """`our` is this node's name."""
        self._our = our
        self._directory = directory
        genesis = directory.genesis
        self._fixed = {our} if genesis is None else {our, genesis.name}

    def known(self, session: Session, record: NameRecord | None) -> tuple[Route, ...]:
        """Return the peer's endpoints, then those of its routers: first the routers that gave no reason for
        distrust.
        """
        if record is None:
            return ()
        routes = [Route(endpoint, None, (record.public_key,)) for endpoint in record.endpoints]
        distrusted = session.distrusted
        for name in sorted(record.routers, key=lambda name: distrusted.index(name) if name in distrusted else -1):
            router = self._directory.find(name) if name != self._our else None
            if router is not None:
                keys = (router.public_key, record.public_key)
                routes.extend(Route(endpoint, name, keys) for endpoint in router.endpoints)
        return tuple(routes)

    def unknown_routers(self, session: Session, record: NameRecord) -> set[str]:
        """Return the peer's routers whose records are not here and were not asked for in this episode."""
        known = {name for name in record.routers if self._directory.find(name) is not None}
        return set(record.routers) - known - session.looked_up_names - {self._our}

    def names(self, session: Session) -> set[str]:
        """Return the names whose records tell how to reach the peer: its own, and its routers'."""
        record = self._directory.find(session.name)
        return self.askable({session.name, *(record.routers if record is not None else ())})

    def askable(self, names: set[str]) -> set[str]:
        """Return those of the names that the registrar is asked for: its own record is fixed, and ours is what we
        register."""
        return names - self._fixed
