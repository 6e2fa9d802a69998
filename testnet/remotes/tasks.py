"""What is begun with the backups of a simulated node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol

from nectar_node.backup.format.errors import BackupError
from nectar_node.backup.operations import Result
from nectar_node.backup.verify import VerifyFindings

_ENDED = "The node has ended."


class BreaksOff(Protocol):
    """Something that takes a while."""

    def break_off(self) -> None:
        """End it where it is; nobody is told."""


@dataclass(slots=True, eq=False)
class BegunTask(Generic[Result]):
    """Something that was begun with the backups of a node."""

    remote: str
    result: Result | None = None
    error: Exception | None = None
    undisturbed: bool = True
    under_way: BreaksOff | None = None
    """What does it."""

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.result is not None or self.error is not None

    @property
    def failure(self) -> str | None:
        """The sentence that says why it came to nothing."""
        return None if self.error is None else str(self.error)

    def break_off(self) -> None:
        """End it with the process that does it."""
        if self.under_way is not None:
            self.under_way.break_off()
        self.undisturbed, self.error = False, BackupError(_ENDED)


@dataclass(slots=True, eq=False)
class VerifyTask(BegunTask[VerifyFindings]):
    """A look at everything."""

    @property
    def damages(self) -> tuple[str, ...]:
        """The sentences about what is damaged."""
        assert self.result is not None
        return tuple(map(str, self.result.damages))
