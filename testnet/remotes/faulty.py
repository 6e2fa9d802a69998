"""A remote whose operations take virtual time, and which fails as it is told: it is late, refuses, or damages what it
has taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from nectar_node.backup.format.errors import BackupError, ObjectExists, ObjectMissing, RemoteFailed
from nectar_node.backup.format.names import HEADS
from nectar_node.backup.operations import (
    DeleteObject,
    GetObject,
    Listed,
    ListObjects,
    Operation,
    PutObject,
    RemoteOperation,
    Work,
    carry_out,
)
from nectar_node.backup.stores.memory import MemoryRemote
from testnet.model.backups import RemoteTrouble
from testnet.remotes.conductor import Ended

_SECONDS = 0.04
"""The mean time of an operation."""
_BYTES_PER_SECOND = 10e6
_SLOWER = 40
"""How many times as long a slow one takes."""
_WORK_SECONDS = 0.001
"""The mean time of work for a processor."""
_FLAKY = 0.1
"""The share of operations at which a flaky one fails."""
_GIVES_UP = 2.0
"""Seconds after which a remote that is down counts as such."""


def work(
    chance: Random, at: Callable[[float, Callable[[], None]], None], operation: Work, ended: Ended
) -> Callable[[], None]:
    """Let a processor work for a while; return what breaks that off."""
    at(chance.expovariate(1 / _WORK_SECONDS), lambda: ended(operation.perform(), None))
    return lambda: None


class _Under:
    """An operation that is under way."""

    def __init__(self, operation: RemoteOperation, ended: Ended) -> None:
        self.operation = operation
        self.ended: Ended | None = ended
        """None: whoever began it is gone."""
        self.fails = False
        """Whether the remote has gone down meanwhile: it is done or not, and the answer is lost."""


class FaultyRemote:
    """One node's remote: what it keeps, and what is wrong with it."""

    def __init__(
        self,
        chance: Random,
        now: Callable[[], float],
        at: Callable[[float, Callable[[], None]], None],
        others: Callable[[], list[bytes]],
    ) -> None:
        """`at` calls back after so many seconds; `others` gives objects that another node has at its remotes."""
        self.memory = MemoryRemote()
        self.broken: list[tuple[float, RemoteTrouble]] = []
        """When and how it has broken a promise, in seconds since the network began."""
        self.pruned = False
        """Whether the node has ever begun to prune it: what was moved may be there twice."""
        self.was_stale = False
        """Whether it has ever listed what it had in place of what it has."""
        self.disturbances = 0
        """How many troubles have begun so far."""
        self._chance = chance
        self._now = now
        self._at = at
        self._others = others
        self._troubles: Counter[RemoteTrouble] = Counter()
        self._under: list[_Under] = []
        self._states: list[dict[str, bytes]] = [{}]
        """What it had after each head."""
        self._stale: dict[str, bytes] = {}

    @property
    def objects(self) -> dict[str, bytes]:
        """What it has, by name."""
        return self.memory.objects

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it now."""
        return not any(self._troubles.values())

    def begin(self, operation: Operation, ended: Ended) -> Callable[[], None]:
        """Begin an operation, or work for a processor; return what breaks it off."""
        if not isinstance(operation, PutObject | GetObject | ListObjects | DeleteObject):
            return work(self._chance, self._at, operation, ended)
        under = _Under(operation, ended)
        self._under.append(under)
        seconds = self._chance.expovariate(1 / _SECONDS) + _size(operation) / _BYTES_PER_SECOND
        if self._troubles["slow"]:
            seconds *= _SLOWER
        if self._troubles["down"]:
            under.fails, seconds = True, _GIVES_UP
        self._at(seconds, lambda: self._due(under))
        return lambda: self._break_off(under)

    def _due(self, under: _Under) -> None:
        if under.ended is None:
            return
        self._under.remove(under)
        result, failure = None, None
        try:
            if not under.fails and self._troubles["flaky"] and self._chance.random() < _FLAKY:
                under.fails = True
                self._leave(under)
            if under.fails:
                raise RemoteFailed("The remote cannot be reached.")
            result = self._carry_out(under.operation)
        except Exception as error:  # it is the engine's to deal with
            failure = error
        under.ended(result, failure)

    def _carry_out(self, operation: RemoteOperation) -> object:
        if isinstance(operation, ListObjects) and self._troubles["lists_stale"]:
            return [Listed(name, len(data)) for name, data in self._stale.items() if name.startswith(operation.prefix)]
        result = carry_out(self.memory, operation)
        if isinstance(operation, PutObject) and operation.name.startswith(HEADS):
            self._states.append(dict(self.memory.objects))
        return result

    def _break_off(self, under: _Under) -> None:
        """Let the process that waits for an operation be gone: it is done, or not; or half done, if this tears."""
        if under.ended is None or under not in self._under:
            return
        self._under.remove(under)
        under.ended = None
        self._leave(under)

    def _leave(self, under: _Under) -> None:
        if self.memory.down:
            return
        match under.operation:
            case PutObject(name, data) if self._troubles["tears"] and name not in self.memory.objects:
                self.memory.objects[name] = data[: self._chance.randrange(len(data))]
                self.broken.append((self._now(), "tears"))
            case PutObject() | DeleteObject() if self._chance.random() < 0.5:
                try:
                    self._carry_out(under.operation)
                except (BackupError, ObjectExists, ObjectMissing):  # nobody is there who could be told
                    return

    # --- troubles ---------------------------------------------------------------------------------------------------

    def trouble(self, how: RemoteTrouble) -> None:
        """Let something be wrong from now on, or once."""
        self._troubles[how] += 1
        self.disturbances += 1
        memory = self.memory
        match how:
            case "down":
                for under in self._under:
                    if not under.fails:
                        under.fails = True
                        self._leave(under)
                memory.down = True
            case "full":
                memory.room = self._chance.choice((0, 9_000, 30_000, 100_000))
            case "append_only":
                memory.appends_only = True
            case "lists_stale":
                self._stale, self.was_stale = dict(memory.objects), True
            case "loses" | "alters" | "mixes_up" if memory.objects:
                self._damage(how, self._chance.choice(sorted(memory.objects)))
            case "rolls_back" if len(self._states) > 1:
                memory.objects = dict(self._chance.choice(self._states[:-1]))
                self.broken.append((self._now(), how))

    def _damage(self, how: RemoteTrouble, name: str) -> None:
        objects = self.memory.objects
        if how == "loses":
            del objects[name]
        elif how == "alters":
            data = bytearray(objects[name])
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
            objects[name] = bytes(data)
        else:
            others = [data for data in self._others() if data] or [objects[each] for each in sorted(objects)]
            objects[name] = self._chance.choice(others)
        self.broken.append((self._now(), how))

    def mend(self, how: RemoteTrouble) -> None:
        """End a trouble; what was damaged stays so."""
        self._troubles[how] -= 1
        self.disturbances += 1
        if self._troubles[how] > 0:
            return
        match how:
            case "down":
                self.memory.down = False
            case "full":
                self.memory.room = None
            case "append_only":
                self.memory.appends_only = False


def _size(operation: RemoteOperation) -> int:
    match operation:
        case PutObject(_, data):
            return len(data)
        case GetObject(_, _, length):
            return min(length, 100_000)  # what is asked for is often more than there is
    return 0
