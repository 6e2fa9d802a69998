"""Bars that show progress on a terminal, drawn by Rich, which only they and tables need."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from nectar_node.console import output

_LEAST_BAR = 4
"""Columns of the narrowest terminal that gets a bar."""
_BESIDE = 4
"""Columns that a line leaves free: two gaps, and the ^C that a terminal shows. A line that wraps cannot be drawn over.
"""
_SEEN = ("", "sending")
"""States without words on a bar, because the bar moves."""
_TITLE = TextColumn("{task.description}", markup=False)
_TEXT = TextColumn("{task.fields[text]}", markup=False)


class _Drawn:
    """What is drawn on a terminal again and again, in the same place, until its context ends."""

    def __init__(self, drawn: Progress) -> None:
        self._drawn = drawn

    def note(self, sentence: str) -> None:
        """Print a line above it."""
        self._drawn.console.print(output.printable(sentence))

    def __enter__(self) -> Self:
        self._drawn.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawn.stop()


class Bar(_Drawn):
    """A bar that is drawn again and again in the same place, and becomes shorter when its text becomes longer."""

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._longest = 0
        super().__init__(Progress(_TEXT, console=console))
        self._task: TaskID = self._drawn.add_task(title, total=None, text="starting")
        self._make_room("starting")

    def show(self, done: int, total: int, text: str, state: str = "") -> None:
        """Draw the bar again."""
        text = text if state in _SEEN else f"{state}, {text}"
        self._make_room(text)
        self._drawn.update(self._task, completed=done, total=total, text=text)

    def _make_room(self, text: str) -> None:
        self._longest = max(self._longest, len(text))
        left = self._drawn.console.width - self._longest - cell_len(self._title) - _BESIDE
        bar = (BarColumn(bar_width=left),) if left >= _LEAST_BAR else ()
        self._drawn.columns = (*((_TITLE,) if left >= 0 else ()), *bar, _TEXT)


class Bars(_Drawn):
    """Several bars on a terminal, one below the other; each may be shown by a thread of its own."""

    def __init__(self, console: Console) -> None:
        super().__init__(Progress(_TITLE, BarColumn(), _TEXT, console=console))

    def add(self, title: str) -> _OneOfBars:
        """Return one more, which is drawn as long as all of them are."""
        return _OneOfBars(self._drawn, self._drawn.add_task(output.printable(title), total=None, text="starting"))


class _OneOfBars:
    """One of several bars."""

    def __init__(self, drawn: Progress, task: TaskID) -> None:
        self._drawn = drawn
        self._task = task

    def show(self, done: int, total: int, text: str, state: str = "") -> None:
        """Draw the bar again."""
        self._drawn.update(self._task, completed=done, total=total, text=f"{state}, {text}" if state else text)

    def note(self, sentence: str) -> None:
        """Print a line above all bars."""
        self._drawn.console.print(output.printable(sentence))

    def __enter__(self) -> _OneOfBars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
