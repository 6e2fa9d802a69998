"""Which links a fault is about."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.faults.rule import Link

ANY = "*"


@dataclass(frozen=True, slots=True)
class Where:
    """The links from `source` to `target`, by their names; ANY stands for every node."""

    source: str = ANY
    target: str = ANY
    both: bool = True
    """The other direction as well."""

    def covers(self, link: Link) -> bool:
        """Whether `link` is one of them."""
        return self._matches(*link) or (self.both and self._matches(*link.back))

    def words(self) -> str:
        """For people, after a verb."""
        if self == EVERYWHERE:
            return "all nodes from each other"
        if self.both:
            return f"{_who(self.source)} from {_who(self.target)}"
        return f"{_who(self.source)} to {_who(self.target)}"

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes that it names."""
        return tuple(name for name in (self.source, self.target) if name != ANY)

    def _matches(self, source: str, target: str) -> bool:
        return self.source in (ANY, source) and self.target in (ANY, target)


EVERYWHERE = Where()
"""All links."""


def _who(name: str) -> str:
    return "all" if name == ANY else name
