"""How far a transfer is, for people: a bar on a terminal, plain lines elsewhere.

`RateMeter` is pure: it is told the time. The two displays know nothing of nodes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from nectar_node.cli import output

RATE_WINDOW = 3.0
"""Seconds over which the shown rate is an average: calm enough to read, quick enough to show a stall."""

LINE_INTERVAL = 1.0
"""Seconds between two plain lines."""

_MAX_SAMPLES = 64


@dataclass(slots=True)
class RateMeter:
    """The rate of a growing count, averaged over the last seconds."""

    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_MAX_SAMPLES))

    def update(self, count: int, now: float) -> None:
        """The count is `count` bytes at the time `now`, in seconds of any clock that does not go back."""
        while len(self._samples) > 1 and now - self._samples[0][0] > RATE_WINDOW:
            self._samples.popleft()
        self._samples.append((now, count))

    def rate(self) -> float:
        """Bytes per second; 0 until there are two samples."""
        if len(self._samples) < 2:
            return 0.0
        (begin, first), (end, last) = self._samples[0], self._samples[-1]
        return max(0, last - first) / (end - begin) if end > begin else 0.0

    def time_left(self, size: int) -> float | None:
        """Seconds until the count reaches `size`; None while nothing moves."""
        rate = self.rate()
        return max(0, size - self._samples[-1][1]) / rate if rate > 0 else None


class Display(Protocol):
    """Shows a transfer while it runs."""

    def show(self, state: str, done: int, size: int) -> None:
        """The transfer is in `state`, and `done` of `size` bytes have arrived."""

    def note(self, sentence: str) -> None:
        """Print one line above what is shown."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def display(console: Console, title: str, clock: Callable[[], float] = time.monotonic) -> Display:
    """The display that suits `console`; `title` says what is shown."""
    return BarDisplay(console, title, clock) if console.is_terminal else LineDisplay(console, title, clock)


class LineDisplay:
    """One line each second, and one for each change of state."""

    def __init__(self, console: Console, title: str, clock: Callable[[], float]) -> None:
        self._console = console
        self._title = output.printable(title)
        self._clock = clock
        self._meter = RateMeter()
        self._last: tuple[str, float] | None = None

    def show(self, state: str, done: int, size: int) -> None:
        """Print a line if one is due."""
        now = self._clock()
        self._meter.update(done, now)
        if self._last is None or state != self._last[0] or now - self._last[1] >= LINE_INTERVAL:
            self._last = (state, now)
            self._console.print(f"{self._title}: {state}, {describe(self._meter, done, size)}")

    def note(self, sentence: str) -> None:
        """Print `sentence`."""
        self._console.print(output.printable(sentence))

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class BarDisplay:
    """A bar that is drawn again and again in the same place."""

    def __init__(self, console: Console, title: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._meter = RateMeter()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            expand=True,
        )
        self._task: TaskID = self._progress.add_task(output.printable(title), total=None, text="starting")

    def show(self, state: str, done: int, size: int) -> None:
        """Move the bar."""
        self._meter.update(done, self._clock())
        text = f"{'' if state == 'sending' else f'{state}, '}{describe(self._meter, done, size)}"
        # An empty file is a whole one: a bar of 0 out of 0 would stay empty.
        self._progress.update(self._task, completed=done if size else 1, total=size or 1, text=text)

    def note(self, sentence: str) -> None:
        """Print `sentence` above the bar."""
        self._progress.console.print(output.printable(sentence))

    def __enter__(self) -> BarDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def describe(meter: RateMeter, done: int, size: int) -> str:
    """Bytes, share, rate and time left in one line."""
    share = 100 * done // size if size else 100
    text = f"{output.size(done)} of {output.size(size)} ({share}%)"
    if done >= size:
        return text
    left = meter.time_left(size)
    ending = "waiting" if left is None else f"{output.duration(left)} left"
    return f"{text}, {output.size(meter.rate())}/s, {ending}"
