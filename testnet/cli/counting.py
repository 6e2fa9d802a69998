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
_NARROW = 60
"""Columns below which there is no bar."""


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
        name = TextColumn("{task.description}", markup=False)
        columns = (text,) if console.width < _NARROW else (name, BarColumn(bar_width=None), text)
        self._progress = Progress(*columns, console=console, expand=True)
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
