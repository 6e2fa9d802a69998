"""Journals of runs, and their reports."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from nectar_node.base.decoding import BadShape, decode_untrusted
from nectar_node.base.errors import BadInput
from testnet.journal.journal import JournalEnd, read_journal_untrusted
from testnet.report.page import render
from testnet.runs.journal_files import DEFAULT_FOLDER
from testnet.web.site import journal_path

MAX_JOURNALS = 50
"""The newest ones."""
_ENDING = ".journal"
_TAIL_BYTES = 4096
"""A journal's last line is shorter, unless its text is very long."""


def list_journals(folder: Path = DEFAULT_FOLDER) -> dict[str, Any]:
    """Return the newest journals in the folder where `nectar sim` and `nectar testnet play` write them."""
    found = []
    try:
        for path in folder.iterdir():
            told = path.lstat()
            if path.name.endswith(_ENDING) and stat.S_ISREG(told.st_mode) and told.st_size:
                found.append((told.st_mtime, path, told.st_size))
    except OSError:
        found = []  # there is none yet
    found.sort(reverse=True)
    rows = [
        {"name": path.name, "time": time, "bytes": size, "page": journal_path(path.name), **_end(path)}
        for time, path, size in found[:MAX_JOURNALS]
    ]
    return {"folder": str(folder), "journals": rows, "left_out": max(0, len(found) - MAX_JOURNALS)}


def journal_report(name: str, folder: Path = DEFAULT_FOLDER) -> str:
    """Return the report of a journal in that folder as a page; raises BadInput."""
    path = folder / name
    if name != Path(name).name or not name.endswith(_ENDING) or not name.isprintable() or path.is_symlink():
        raise BadInput("A journal is named by its file, which ends in .journal.")
    return render(read_journal_untrusted(path), str(path))


def _end(path: Path) -> dict[str, str]:
    """Return how the run ended; empty texts: the last line does not say."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
        end = decode_untrusted(last.removeprefix(b"end "), JournalEnd)
    except (OSError, BadShape):
        return {"result": "", "text": ""}
    return {"result": end.result, "text": end.text}
