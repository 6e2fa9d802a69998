"""From a saved file to nodes that run it: one step at a time, and what was saved meanwhile is not forgotten."""

from __future__ import annotations

import enum


class DevStep(enum.Enum):
    """What is to be done."""

    BUILD = "build"
    START = "start"


class Cycle:
    """Says what comes next. Nothing else is begun before the outcome of a step is told."""

    def __init__(self) -> None:
        self._saved = True
        self._step: DevStep | None = None
        self._built: str | None = None
        self._started: str | None = None
        """The digest of what the nodes were told to run."""

    @property
    def busy(self) -> bool:
        """Whether a step is under way, or due."""
        return self._step is not None or self._saved or self._built is not None

    def saved(self) -> None:
        """Something of the package has been saved."""
        self._saved = True

    def next(self) -> DevStep | None:
        """Return a step that begins now; None: one is under way, or there is nothing to do.

        What was saved is built first, also if a build is there that does not run yet: that would be replaced at once.
        """
        if self._step is None:
            if self._saved:
                self._saved, self._built, self._step = False, None, DevStep.BUILD
                return self._step
            if self._built is not None:
                self._step = DevStep.START
                return self._step
        return None

    def built(self, digest: str | None) -> None:
        """A build has ended: with a package of this digest, or not at all; then what runs goes on."""
        assert self._step is DevStep.BUILD
        self._step = None
        self._built = digest if digest != self._started else None

    def started(self) -> None:
        """All nodes have been told to run what was built; whether they do is theirs to say."""
        assert self._step is DevStep.START
        self._step, self._started, self._built = None, self._built, None
