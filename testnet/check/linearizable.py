"""Linearizability: each operation seems to happen at one moment between its call and its return."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from nectar_node.base.errors import BadInput
from testnet.check.core import smallest_core
from testnet.check.model import Model
from testnet.check.operation import Operation, Status, exact, text_of
from testnet.check.search import MAX_CONFIGURATIONS, search
from testnet.check.verdict import Verdict, VerdictKind, holds, undecided
from testnet.check.zones import clash


@dataclass(frozen=True, slots=True)
class Linearizable:
    """The operations of a history seem to happen one after the other, each between its call and its return.

    Operations that failed are left out; those of unknown outcome may have happened at any time after their call."""

    model: Model
    """What the object does."""
    limit: int = MAX_CONFIGURATIONS
    """Configurations of one object after which the search ends undecided."""
    name: str = "linearizable"

    def __post_init__(self) -> None:
        if isinstance(self.model, type) or not isinstance(self.model, Model):
            raise BadInput(f"{repr(self.model)[:80]} is no model: Linearizable takes one, such as RegisterModel().")

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Check the operations of each key apart."""
        late: list[str] = []
        for those in partition(self.model, operations):
            key = None if any(self.model.key(each) is None for each in those) else self.model.key(those[0])
            about = "" if key is None else f" of {_key_text(key)}"
            core = clash(self.model, those)
            if core is not None:
                if core:
                    return _impossible(about, core, _others(those, core))
                continue
            found = search(self.model, those, self.limit)
            if found.ruling is VerdictKind.VIOLATED:
                core, others = smallest_core(self.model, those, found.furthest)
                return _impossible(about, core, others)
            if found.ruling is VerdictKind.UNDECIDED:
                late.append(f"the {len(those)} operations{about}")
        if late:
            more = f" and {len(late) - 1} more keys" if len(late) > 1 else ""
            return undecided(
                f"{late[0]}{more} have too many possible orders, more than {self.limit:,} configurations. "
                "Fewer operations with unknown outcomes, or fewer at once, can be checked."
            )
        return holds()


def partition(model: Model, operations: Sequence[Operation]) -> list[list[Operation]]:
    """Return the operations that have not failed, those about one key together; if one of them is about everything, all
    are."""
    parts: dict[Hashable, list[Operation]] = {}
    for each in operations:
        if each.status is not Status.FAILED:
            parts.setdefault(exact(model.key(each)), []).append(each)
    if None in parts and len(parts) > 1:
        return [[each for each in operations if each.status is not Status.FAILED]]
    return list(parts.values())


def _others(operations: Sequence[Operation], core: Sequence[Operation]) -> int:
    """Return how many operations besides `core` were called before the last of it returned."""
    end = max(each.returned for each in core)
    return sum(each.called <= end for each in operations) - len(core)


def _impossible(about: str, core: tuple[Operation, ...], others: int) -> Verdict:
    these = "this operation" if len(core) == 1 else f"these {len(core)} operations"
    beside = f", whatever the {others} others of before did" if others else ""
    text = f"the history{about} is not linearizable: no order explains {these}{beside}"
    return Verdict(VerdictKind.VIOLATED, text, core)


def _key_text(key: Hashable) -> str:
    return text_of(key[0]) if isinstance(key, tuple) and len(key) == 1 else text_of(key)
