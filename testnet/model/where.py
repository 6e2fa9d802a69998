"""The links that a fault is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nectar_node.base.errors import BadInput
from net.base.node_names import is_node_name
from testnet.model.rule import Link
from testnet.model.value import shown

ANY = "*"
PARAMETERS = ("between", "node", "source", "target")
"""The parameters of a schedule that name links: `between` two nodes, all of a `node`, or from `source` to `target`."""


@dataclass(frozen=True, slots=True)
class Where:
    """The links from `source` to `target`, by their names; ANY stands for every node."""

    source: str = ANY
    target: str = ANY
    both: bool = True
    """Whether the other direction is meant as well."""

    def covers(self, link: Link) -> bool:
        """Return whether `link` is one of them."""
        return self._matches(*link) or (self.both and self._matches(*link.back))

    def words(self) -> str:
        """Describe the links for people, after a verb."""
        if self == EVERYWHERE:
            return "all nodes from each other"
        if self.both:
            return f"{_who(self.source)} from {_who(self.target)}"
        return f"{_who(self.source)} to {_who(self.target)}"

    def links(self) -> str:
        """Describe the links for people: "on the link from send.nec to recv.nec"."""
        if self.both and ANY in (self.source, self.target):
            return "on all links" if self.names == () else f"on all links of {self.names[0]}"
        if self.both:
            return f"on the links between {self.source} and {self.target}"
        return f"on the links from {_who(self.source)} to {_who(self.target)}"

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes that it names."""
        return tuple(name for name in (self.source, self.target) if name != ANY)

    def _matches(self, source: str, target: str) -> bool:
        return self.source in (ANY, source) and self.target in (ANY, target)


EVERYWHERE = Where()
"""All links."""
NOWHERE = Where("", "")
"""No link, since no node has this name."""


def write_where(where: Where) -> dict[str, object]:
    """Return the parameters that `read_where` reads."""
    if where == EVERYWHERE:
        return {}
    if not where.both:
        return {"source": where.source, "target": where.target}
    return {"node": where.source} if where.target == ANY else {"between": [where.source, where.target]}


def read_where(kind: str, given: Mapping[str, object]) -> Where:
    """Make a `Where` from those of `PARAMETERS` that are given for a fault of that kind. Raises BadInput."""
    match given:
        case {"between": ends, **rest} if not rest:
            return Where(*_two_ends(kind, ends))
        case {"node": name, **rest} if not rest:
            return Where(_name(kind, "node", name))
        case {"source": _} | {"target": _} if not set(given) - {"source", "target"}:
            source, target = (_name(kind, each, given.get(each, ANY)) for each in ("source", "target"))
            return Where(source, target, both=False)
        case {}:
            if not given:
                return EVERYWHERE
    raise BadInput(
        f"{kind}: its links are given by between, by node, or by source and target, not by several of these."
    )


def _two_ends(kind: str, ends: object) -> tuple[str, str]:
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise BadInput(
            f'{kind}: between must be the names of two nodes, as ["a.nec", "b.nec"], or in a command a.nec,b.nec, '
            f"and not {shown(ends)}."
        )
    first, second = (_name(kind, "between", end) for end in ends)
    if first == second != ANY:
        raise BadInput(f"{kind}: between names {first} twice.")
    return first, second


def _name(kind: str, parameter: str, name: object) -> str:
    if isinstance(name, str) and (name == ANY or is_node_name(name)):
        return name
    raise BadInput(
        f"{kind}: {parameter} must be a node's name, such as a.nec, or {ANY} for all, and not {shown(name)}."
    )


def _who(name: str) -> str:
    return "all" if name == ANY else name
