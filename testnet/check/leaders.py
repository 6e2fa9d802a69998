"""At most one leader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from testnet.check.operation import NEVER, Instant, Operation, Status, Value, text_of
from testnet.check.verdict import Verdict, holds, violated


@dataclass(frozen=True, slots=True)
class AtMostOneLeader:
    """No two clients lead at once.

    `lead(term)` → whether the client leads in that term, in which nobody else does. Without a term, `lead()` →
    whether it
    leads from this return on, until it calls `resign()`, or `lead()` tells it that it does not lead any more.
    """

    claims: tuple[str, ...] = ("lead",)
    resigns: tuple[str, ...] = ("resign",)
    name: str = "at most one leader"

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Compare all that were told that they lead."""
        terms: dict[tuple[Value, ...], Operation] = {}
        leading: dict[str, Operation] = {}
        times: list[tuple[Instant, Instant, Operation]] = []
        for each in operations:
            if each.name in self.claims and each.arguments:
                if each.status is Status.OK and each.result:
                    other = terms.setdefault(each.arguments, each)
                    if other.client != each.client:
                        return violated(f"two lead in term {text_of(each.arguments[0])}", other, each)
                continue
            claims = each.name in self.claims and each.status is Status.OK
            if claims and each.result:
                leading.setdefault(each.client, each)
            elif (claims or each.name in self.resigns) and each.client in leading:
                claim = leading.pop(each.client)
                times.append((claim.returned, each.called, claim))
        times += [(claim.returned, NEVER, claim) for claim in leading.values()]
        times.sort(key=lambda each: each[0])
        latest: tuple[Instant, Operation] | None = None
        for begin, end, claim in times:
            if latest is not None and begin < latest[0] and claim.client != latest[1].client:
                text = f"{claim.client} leads from {begin.time:g} s on, while {latest[1].client} does"
                return violated(text, latest[1], claim)
            if latest is None or end > latest[0]:
                latest = (end, claim)
        return holds()
