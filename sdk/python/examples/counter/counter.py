"""A counter that goes on counting after a restart.

{"Add": 5}  →  {"Count": 5}
"Get"       →  {"Count": 5}
"""

from dataclasses import dataclass

import nectar

MAX_ADD = 1_000_000_000


@dataclass
class Counted(nectar.State, version=2):
    """What is saved: `{"version": 2, "count": 5, "adds": 1}`."""

    count: int = 0
    adds: int = 0
    """How often something was added; the first version did not know that."""

    @nectar.migration(1)
    @staticmethod
    def from_bytes(old: bytes) -> nectar.Json:
        """Version 1 was the count alone, as eight bytes."""
        if len(old) != 8:
            raise nectar.BadState("a count of version 1 has eight bytes")
        return {"count": int.from_bytes(old, "little"), "adds": 0}


counted = Counted()


@nectar.on_start
def start() -> None:
    global counted
    counted = Counted.load()


@nectar.on_request
def answer(request: nectar.Request) -> nectar.Json:
    match request.json():
        case {"Add": int(number)} if not isinstance(number, bool) and 0 <= number <= MAX_ADD:
            with counted:
                counted.count += number
                counted.adds += 1
        case "Get":
            pass
        case _:
            raise nectar.Refused('expected {"Add": NUMBER} or "Get"')
    return {"Count": counted.count}
