"""Eventual convergence: when the faults are over, all that look see the same, and soon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from testnet.check.operation import Operation, Status, Value, exact, same
from testnet.check.verdict import Verdict, holds, undecided, violated


@dataclass(frozen=True, slots=True)
class Converges:
    """From `within` seconds after the end of the faults on, all clients read the same, for each key (the arguments)."""

    within: float = 60.0
    """Seconds."""
    reads: tuple[str, ...] = ("read", "get")
    name: str = "eventual convergence"

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Check the reads that were called when the faults had ended; the text says how long it took."""
        if calm is None:
            return undecided("nobody has said when the faults ended (`calm`)")
        looks: defaultdict[tuple[Value, ...], list[Operation]] = defaultdict(list)
        for each in operations:
            if each.name in self.reads and each.status is Status.OK and each.called.time >= calm:
                looks[tuple(map(exact, each.arguments))].append(each)
        took = 0.0
        compared = False
        for those in looks.values():
            last = {each.client: each for each in those}
            compared = compared or len(last) > 1
            final = those[-1]
            for each in last.values():
                if not same(each.result, final.result):
                    seconds = min(each.called.time, final.called.time) - calm
                    text = f"{seconds:g} s after the end of the faults and later, clients read different values"
                    if seconds < self.within:
                        return undecided(
                            f"the last reads differ, and were only {seconds:g} s after the end of the faults"
                        )
                    return violated(text, each, final)
            different = [each for each in those if not same(each.result, final.result)]
            if different:
                late = max(different, key=lambda each: each.called)
                took = max(took, late.called.time - calm)
                if late.called.time - calm > self.within:
                    seconds = late.called.time - calm
                    text = f"a client still reads a value {seconds:g} s after the end of the faults that others do not"
                    return violated(f"{text}; {self.within:g} s are promised", late, final)
        if not compared:
            return undecided("no two clients have read the same key after the end of the faults")
        return holds(f"equal {took:g} s after the end of the faults" if took else "equal from the end of the faults on")
