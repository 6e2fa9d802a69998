"""The standard library's `logging` goes to the node's terminal and log.

Warnings and errors are always shown (verbosity 0), `info` with verbosity 1, `debug` with 2. A logger with a name of
its own puts that in front. `import nectar` sets this up; the level is INFO until `logging.getLogger().setLevel` says
another one.
"""

from __future__ import annotations

import logging

from nectar import kernel


def verbosity_of(level: int) -> int:
    """Return the verbosity with which a record of that level is printed.

    ```pycon
    >>> [verbosity_of(each) for each in (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)]
    [0, 0, 1, 2]

    ```
    """
    if level >= logging.WARNING:
        return 0
    return 1 if level >= logging.INFO else 2


class NodeLog(logging.Handler):
    """Prints records as lines of the node's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        where = "" if record.name == "root" else f"{record.name}: "
        for line in text.splitlines():
            kernel.print_line(verbosity_of(record.levelno), where + line)


def install() -> None:
    """Let the root logger print to the node's log, once."""
    root = logging.getLogger()
    if not any(isinstance(each, NodeLog) for each in root.handlers):
        root.addHandler(NodeLog())
        root.setLevel(logging.INFO)
