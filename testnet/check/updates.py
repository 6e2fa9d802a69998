"""No acknowledged update is lost, none appears that nobody made, and none is there twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from testnet.check.operation import Operation, Status, Value, exact, text_of
from testnet.check.verdict import Verdict, holds, undecided, violated


@dataclass(frozen=True, slots=True)
class NoLostUpdate:
    """What was acknowledged is there in the end.

    An update's last argument is its element, the others are its key; a read's arguments are the key, its result is a
    list of
    elements. Reads in the end are those after the faults, or each client's last one.
    """

    updates: tuple[str, ...] = ("add", "append")
    reads: tuple[str, ...] = ("read", "get")
    always: bool = False
    """Whether each read must have all that was acknowledged when it was called, and not only those in the end."""
    once: bool = True
    """Whether an element may be there only once."""
    excused: Callable[[Operation, Operation], bool] | None = None
    """Whether this update may be missing in this read, for a reason that the test knows."""
    name: str = "no lost update"

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Compare each read with the updates before it."""
        made: defaultdict[tuple[Value, ...], dict[Value, Operation]] = defaultdict(dict)
        for each in operations:
            if each.name in self.updates and each.arguments:
                *key, element = each.arguments
                place, element = tuple(map(exact, key)), exact(element)
                known = made[place].setdefault(element, each)
                if known is not each and known.status is not Status.OK:
                    made[place][element] = each
        reads = [each for each in operations if each.name in self.reads and each.status is Status.OK]
        if made and not reads:
            return undecided("nobody has read what the updates came to")
        final = _final(reads, calm)
        for read in reads:
            if not isinstance(read.result, tuple | frozenset):
                return violated(f"{read.words()} is no list of elements", read)
            shown = {exact(each): each for each in read.result}
            there = Counter(map(exact, read.result))
            mine = made[tuple(map(exact, read.arguments))]
            for element, times in there.items():
                update = mine.get(element)
                if update is None or update.status is Status.FAILED:
                    beside = (update,) if update is not None else ()
                    text = f"{text_of(shown[element])} is there, and no update that may have happened made it"
                    return violated(text, read, *beside)
                if times > 1 and self.once:
                    return violated(f"{text_of(shown[element])} is there {times} times", read, update)
            if not self.always and read.number not in final:
                continue
            for element, update in mine.items():
                if update.status is not Status.OK or not update.is_before(read) or element in there:
                    continue
                if self.excused is None or not self.excused(update, read):
                    return violated(f"the acknowledged {text_of(update.arguments[-1])} is lost", update, read)
        return holds()


def _final(reads: Sequence[Operation], calm: float | None) -> set[int]:
    """Return the numbers of the reads in the end."""
    if calm is not None:
        return {each.number for each in reads if each.called.time >= calm}
    return set({(each.client, each.arguments): each.number for each in reads}.values())
