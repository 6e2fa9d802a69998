"""The progress of something, for people: a bar on a terminal, plain lines elsewhere.

`RateMeter` is pure: it is told the time. The two displays know nothing of what they show.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO

from nectar_node.console import output

if TYPE_CHECKING:
    from rich.console import Console

    from nectar_node.console.bars import Bars

RATE_WINDOW = 3.0
"""Seconds over which the shown rate is an average: calm enough to read, quick enough to show a stall."""

LINE_INTERVAL = 5.0
"""Seconds between two plain lines."""
TRANSFER_LINE_INTERVAL = 1.0
"""Seconds between two plain lines of a transfer."""

_MAX_SAMPLES = 64


@dataclass(slots=True)
class RateMeter:
    """The rate of a growing count, averaged over the last seconds."""

    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_MAX_SAMPLES))

    def update(self, count: int, now: float) -> None:
        """Learn that the count is `count` bytes at the time `now`, in seconds of any clock that does not go back."""
        while len(self._samples) > 1 and now - self._samples[0][0] > RATE_WINDOW:
            self._samples.popleft()
        self._samples.append((now, count))

    def rate(self) -> float:
        """Return bytes per second; 0 until there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (begin, first), (end, last) = self._samples[0], self._samples[-1]
        return max(0, last - first) / (end - begin) if end > begin else 0.0

    def time_left(self, size: int) -> float | None:
        """Return the seconds until the count reaches `size`; None while nothing moves."""
        rate = self.rate()
        return max(0, size - self._samples[-1][1]) / rate if rate > 0 else None


class Display(Protocol):
    """Shows the progress of something while it runs."""

    def show(self, done: int, total: int, text: str, state: str = "") -> None:
        """Show that `done` of `total` is done; `text` says more. A new `state` is shown at once."""

    def note(self, sentence: str) -> None:
        """Print one line above what is shown."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def display(
    console: Console, title: str, interval: float = LINE_INTERVAL, clock: Callable[[], float] = time.monotonic
) -> Display:
    """Return the display that suits `console`; `title` says what is shown, `interval` is the seconds between two plain
    lines.
    """
    title = output.printable(title)
    if console.is_terminal:
        from nectar_node.console.bars import Bar

        return Bar(console, title)
    return _Lines(console.print, title, interval, clock)


def display_on(stream: TextIO, title: str, interval: float = LINE_INTERVAL) -> Display:
    """Return the display that suits a stream; a library for terminals is loaded if that is one."""
    if stream.isatty():
        return display(output.console(stream), title, interval)
    return _Lines(partial(print, file=stream, flush=True), output.printable(title), interval, time.monotonic)


def bars_on(stream: TextIO) -> Bars:
    """Return several bars on a stream that is a terminal."""
    from nectar_node.console.bars import Bars

    return Bars(output.console(stream))


class _Lines:
    """Shows one line now and then, and one for each change of state."""

    def __init__(self, tell: Callable[[str], object], title: str, interval: float, clock: Callable[[], float]) -> None:
        self._tell = tell
        self._title = title
        self._interval = interval
        self._clock = clock
        self._last = ("", clock())

    def show(self, done: int, total: int, text: str, state: str = "") -> None:
        """Print a line if it is time for one, or if the state is new."""
        now = self._clock()
        if state != self._last[0] or now - self._last[1] >= self._interval:
            self._last = (state, now)
            self._tell(f"{self._title}: {state}{', ' if state else ''}{text}")

    def note(self, sentence: str) -> None:
        """Print a line."""
        self._tell(output.printable(sentence))

    def __enter__(self) -> _Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class TransferDisplay:
    """Shows a transfer on any display."""

    def __init__(self, display: Display, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._clock = clock
        self._meter = RateMeter()

    def show(self, state: str, done: int, size: int, files: tuple[int, int] = (0, 0)) -> None:
        """Show that the transfer is in `state`, and `done` of `size` bytes have arrived; of a folder, also how many of
        how many files.
        """
        self._meter.update(done, self._clock())
        text = describe(self._meter, done, size)
        if files[1]:
            text = f"{files[0]:,} of {files[1]:,} files, {text}"
        # An empty file is a whole one: a bar of 0 out of 0 would stay empty.
        self._display.show(done if size else 1, size or 1, text, state)

    def note(self, sentence: str) -> None:
        """Print one line above what is shown."""
        self._display.note(sentence)


def describe(meter: RateMeter, done: int, size: int) -> str:
    """Return bytes, share, rate and time left in one line."""
    share = 100 * done // size if size else 100
    if not size:
        return output.size(done)
    text = f"{output.size(done)} of {output.size(size)} ({share}%)"
    if done >= size:
        return text
    left = meter.time_left(size)
    ending = "waiting" if left is None else f"{output.duration(left)} left"
    return f"{text}, {output.size(meter.rate())}/s, {ending}"
