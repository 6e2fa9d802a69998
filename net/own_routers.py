"""The routers through which this node is reached, and which of them are known to be in trouble."""

from collections.abc import Iterable

from net.events import FailureReason


class OwnRouters:
    """See the module's text."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._troubles: dict[str, FailureReason] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def fails(self, name: str, reason: FailureReason) -> str | None:
        """One of them cannot be reached: what people are to be told; None: they have been, for the same reason."""
        if self._troubles.get(name) is reason:
            return None
        self._troubles[name] = reason
        return f"the router {name} cannot be reached: {reason}; it is tried again"

    def reached(self, name: str) -> None:
        """One of them is there: its next trouble is news."""
        self._troubles.pop(name, None)
