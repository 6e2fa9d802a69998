"""How an error that nobody catches is told: as Python's own traceback, with the author's files and lines."""

from __future__ import annotations

import linecache
import re
import sys
import traceback
from pathlib import Path

from nectar import kernel

_AUTHORS = "/0/"
"""The folder in which the compiler has the author's modules; the SDK's and its own have other numbers."""
_MAX_SOURCE_BYTES = 1 << 20
"""Of a module whose lines are kept: they make the process larger."""
_FOLDER = re.compile(r'^(\s*File ")/\d+/', re.MULTILINE)


def keep_sources() -> None:
    """Keep the lines of the author's modules for tracebacks: where the process runs, their files are not there."""
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if not name or not name.startswith(_AUTHORS):
            continue
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if len(text) <= _MAX_SOURCE_BYTES:
            # Without a time, linecache does not look whether the file has changed.
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)


def tell(error: BaseException) -> None:
    """Print a traceback to the node's log, as one block, without what is the SDK's."""
    told = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    each: traceback.TracebackException | None = told
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        ours = [frame for frame in each.stack if frame.filename.startswith(_AUTHORS)]
        if ours:
            each.stack = traceback.StackSummary.from_list(ours)
        each = each.__cause__ or each.__context__
    for line in _FOLDER.sub(r"\1", "".join(told.format())).splitlines():
        kernel.print_line(0, line)
