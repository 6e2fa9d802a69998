"""Straight-line Python, written line by line and compiled once: what `lift` and `lower` generate functions with.

Owns text, indentation and fresh names; knows nothing of types. Only names and numbers out of the tables of `wit` ever
become source, never anything that a guest sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Source:
    """One module's worth of generated functions, which share a namespace."""

    def __init__(self, title: str, namespace: dict[str, object]) -> None:
        self.title = title
        """Shown in tracebacks."""
        self.namespace = dict(namespace)
        """The globals of the generated functions."""
        self._finished: list[str] = []
        self._lines: list[str] = []
        self._depth = 0
        self._fresh = 0

    def line(self, text: str) -> None:
        """Append one line at the current depth."""
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Indent what is appended inside under `head`, such as `if x:`."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def function(self, head: str) -> Iterator[None]:
        """Append a function; inside another one it is put before that one, not into it."""
        lines, depth = self._lines, self._depth
        self._lines, self._depth = [], 0
        with self.block(head):
            yield
        self._finished += self._lines
        self._lines, self._depth = lines, depth

    def name(self, stem: str) -> str:
        """Return a name that occurs nowhere else."""
        self._fresh += 1
        return f"{stem}{self._fresh}"

    def constant(self, stem: str, value: object) -> str:
        """Return the name of a new global that holds `value`."""
        name = self.name(stem)
        self.namespace[name] = value
        return name

    def compile(self, name: str) -> Callable[..., object]:
        """Compile what was appended and return the function `name`."""
        assert not self._lines, "code outside of a function"
        code = compile("\n".join(self._finished), f"<{self.title}>", "exec")
        exec(code, self.namespace)
        function = self.namespace[name]
        assert callable(function)
        return function
