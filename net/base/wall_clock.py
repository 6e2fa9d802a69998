"""Unix time, which a machine's clock tells and somebody may set, beside the monotonic time of all events.

Pure: whoever owns the network says how far they are apart, and says so again when that has changed.
"""

STEP_SECONDS = 0.5
"""A change of the wall clock that is worth a thought: records live for days. What is slewed adds up to it in time."""


class WallClock:
    """One node's, shared by all of its parts that deal with name records."""

    __slots__ = ("_offset",)

    def __init__(self, offset: float) -> None:
        """`offset`: Unix time minus `now`, in seconds."""
        self._offset = offset

    def set(self, offset: float) -> bool:
        """It is that from now on; False: that is hardly anything else."""
        if abs(offset - self._offset) < STEP_SECONDS:
            return False
        self._offset = offset
        return True

    def unix(self, now: float) -> float:
        """The Unix time at `now`."""
        return now + self._offset

    def when(self, unix: float) -> float:
        """The `now` at that Unix time."""
        return unix - self._offset
