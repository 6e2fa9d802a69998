"""Unix time, which a machine's clock tells and people may set, beside the monotonic time of all events.

Pure: the owner of the network says how far they are apart, and says so again when that has changed.
"""

STEP_SECONDS = 0.5
"""A change of the wall clock that is worth acting on: records live for days. What is slewed adds up to it in time."""


class WallClock:
    """The wall clock of one node, shared by all that deals with name records."""

    __slots__ = ("_offset",)

    def __init__(self, offset: float) -> None:
        """`offset` is Unix time minus `now`, in seconds."""
        self._offset = offset

    def set(self, offset: float) -> bool:
        """Set the offset; return False if that is hardly a change."""
        if abs(offset - self._offset) < STEP_SECONDS:
            return False
        self._offset = offset
        return True

    def unix(self, now: float) -> float:
        """Return the Unix time at `now`."""
        return now + self._offset

    def when(self, unix: float) -> float:
        """Return the `now` at that Unix time."""
        return unix - self._offset
