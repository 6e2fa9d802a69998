"""How far something is that takes many runs: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

LINE_SECONDS = 5.0
"""Between two plain lines."""
_TEXT = 64
"""Columns for the text, and for the ^C that a terminal shows: a line that it breaks cannot be drawn over."""
_LEAST_BAR = 8
"""Columns; a narrower terminal shows the text alone."""


class Display(Protocol):
    """Shows it while it runs."""

    def show(self, done: int, total: int, text: str) -> None:
        """So many runs of so many; `text` says more."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def counting(console: Console, title: str, clock: Callable[[], float] = time.monotonic) -> Display:
    """The display that suits `console`; `title` says what is counted."""
    return _Bar(console, title) if console.is_terminal else _Lines(console, title, clock)


class _Lines:
    def __init__(self, console: Console, title: str, clock: Callable[[], float]) -> None:
        self._console = console
        self._title = title
        self._clock = clock
        self._printed = clock()

    def show(self, done: int, total: int, text: str) -> None:
        """See `Display`."""
        if self._clock() - self._printed >= LINE_SECONDS:
            self._printed = self._clock()
            self._console.print(f"{self._title}: {text}")

    def __enter__(self) -> _Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Bar:
    def __init__(self, console: Console, title: str) -> None:
        text = TextColumn("{task.fields[text]}", markup=False)
        room = console.width - len(title) - _TEXT
        bar = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=room)) if room >= _LEAST_BAR else ()
        self._progress = Progress(*bar, text, console=console)
        self._task = self._progress.add_task(title, total=None, text="starting")

    def show(self, done: int, total: int, text: str) -> None:
        """See `Display`."""
        self._progress.update(self._task, completed=done, total=total, text=text)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
