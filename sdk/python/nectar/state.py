"""State that loads and saves itself: a dataclass with a version, and migrations from earlier ones.

    @dataclass
    class Counted(nectar.State, version=2):
        count: int = 0
        adds: int = 0

        @nectar.migration(1)
        @staticmethod
        def count_adds(old: bytes) -> nectar.Json:
            return {"count": int.from_bytes(old, "little"), "adds": 0}

    counted = Counted.load()
    with counted:
        counted.count += 5

What is saved is JSON, `{"version": 2, "count": 5, "adds": 0}`. Whatever else a process has saved before it had such a
state is version 1, and its migration is given the bytes as they are; those of later versions are given the fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Self

from nectar import json, kernel
from nectar.errors import BadJson, BadState
from nectar.json import Json

_VERSION = "version"


@dataclasses.dataclass(frozen=True, slots=True)
class Migration:
    """A step from a version to the next."""

    version: int
    step: Callable[[Any], Json]


def migration(version: int) -> Callable[[Callable[[Any], Json]], Migration]:
    """Mark a function, in the body of a State, as the step from `version` to the one after it.

    It is given what was saved: the fields as a dict, or bytes if `version` is 1 and they had no version. It returns the
    fields of the next version.
    """

    def mark(step: Callable[[Any], Json]) -> Migration:
        return Migration(version, step)

    return mark


class State:
    """The base of a process's state: a dataclass whose fields have JSON, all with defaults."""

    _version: ClassVar[int] = 1
    _steps: ClassVar[dict[int, Callable[[Any], Json]]] = {}

    def __init_subclass__(cls, version: int = 1, **more: Any) -> None:
        """`version` is that of the fields as they are now; raises TypeError if a migration to it is missing."""
        super().__init_subclass__(**more)
        steps = {each.version: each.step for each in vars(cls).values() if isinstance(each, Migration)}
        missing = set(range(min(steps, default=version), version)) - set(steps)
        if missing or any(each >= version for each in steps):
            raise TypeError(f"{cls.__name__} is of version {version}, and has migrations from {sorted(steps)}")
        cls._version, cls._steps = version, steps

    @classmethod
    def load(cls) -> Self:
        """Return what is saved, migrated and saved again if it is of an earlier version; the defaults if nothing is.

        Raises BadState if it cannot be read.
        """
        saved = kernel.get_state()
        if saved is None:
            return cls()
        version, fields = parse(saved)
        if version > cls._version:
            raise BadState(f"the saved state is of version {version}, and this process knows {cls._version}")
        found = cls._decode(version, fields)
        if version < cls._version:
            found.save()
        return found

    @classmethod
    def _decode(cls, version: int, fields: Any) -> Self:
        for each in range(version, cls._version):
            if each not in cls._steps:
                raise BadState(f"the saved state is of version {each}, from which there is no migration")
            fields = cls._steps[each](fields)
        if not isinstance(fields, dict):
            raise BadState("the saved state is none of this process")
        try:
            return json.decode(cls, fields)
        except BadJson as error:
            raise BadState(f"the saved state cannot be read: {error}") from None

    def save(self) -> None:
        """Save the fields; they are durable when this returns."""
        kernel.set_state(json.dumps({_VERSION: self._version, **json.plain(self)}))

    def __enter__(self) -> Self:
        """Begin a change."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Save what was changed; if the change has failed, put back what is saved."""
        if kind is None:
            self.save()
        else:
            vars(self).update(vars(type(self).load()))


def parse(saved: bytes) -> tuple[int, Any]:
    """Return the version of a saved state, and its fields, or the bytes if they have no version.

    ```pycon
    >>> parse(b'{"version": 3, "a": 1}')
    (3, {'a': 1})
    >>> parse(b"12345678")
    (1, b'12345678')

    ```
    """
    try:
        found = json.loads(saved)
    except BadJson:
        return 1, saved
    version = found.get(_VERSION) if isinstance(found, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return 1, saved
    return version, {key: value for key, value in found.items() if key != _VERSION}
