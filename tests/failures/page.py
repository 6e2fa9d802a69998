"""The table on the page, and how what was seen is compared with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
NOTHING = "-"
TIMEOUT_CELL = "its timeout"
_COLUMNS = 7
_ERRORS = {"Offline", "Timeout"}
_MOST_LINES = 12
"""Of a node's log, about one fault and the two messages that it met."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    request: str
    """What the sender of a request gets: answer, Offline or Timeout; -: there is no request."""
    message: str
    """What becomes of a message that wants no answer: arrives, Offline, Timeout or nothing."""
    reasons: tuple[str, ...]
    """In the dead letters of the sender's node, of both."""
    after: str
    sender_log: tuple[str, ...]
    target_log: tuple[str, ...]

    def seconds(self, timeout: float) -> tuple[float, bool]:
        """After how long the outcome is there, and whether exactly then; `timeout`: the request's own."""
        if self.after == "at once":
            return 0.0, True
        if self.after == TIMEOUT_CELL:
            return timeout, True
        match = re.fullmatch(r"(within )?(\d+) s", self.after)
        assert match is not None, f"{self.name}: {self.after!r} is no time"
        return float(match[2]), match[1] is None


@dataclass(slots=True)
class Observed:
    """What was seen of one row."""

    request: str = NOTHING
    message: str = "nothing"
    reasons: tuple[str, ...] = ()
    after: float = 0.0
    """Seconds from the send to the outcome."""
    traced: tuple[str | None, ...] | None = None
    """The reasons in the trace of the request; None: nobody looked."""
    arrived: bool | None = None
    """Whether the trace says that the other node has taken the request."""
    timeout: float = 0.0
    """The request's own."""
    sender_log: list[str] = field(default_factory=list)
    """What the node said of messages and peers, each line as `source: text`."""
    target_log: list[str] | None = field(default_factory=list)
    """None: there is no such node, or it was killed."""


def read_table() -> dict[str, Row]:
    """The rows of docs/errors.md, by name."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| what goes wrong"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == _COLUMNS, line
        name, request, message, reason, after, sender, target = cells
        reasons = tuple(part.strip() for part in reason.split("<br>")) if reason != NOTHING else ()
        assert name not in rows, f"{name} is there twice"
        rows[name] = Row(name, request, message, reasons, after, _quoted(sender), _quoted(target))
    return rows


def _quoted(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def check_outcomes(row: Row, seen: Observed) -> None:
    """Who was told what, and why."""
    assert (seen.request, seen.message) == (row.request, row.message), seen
    assert tuple(dict.fromkeys(seen.reasons)) == row.reasons, seen
    if {row.request, row.message} <= _ERRORS:
        assert len(seen.reasons) == 2, seen
    if seen.traced is not None and row.request in _ERRORS:
        assert seen.traced == row.reasons, seen


def check_log(wanted: Iterable[str], lines: list[str], *, complete: bool) -> None:
    """All that the page says is in the log; `complete`: and nothing else, and not too much of that."""
    patterns = [_pattern(each) for each in wanted]
    for pattern in patterns:
        assert any(pattern(line) for line in lines), (pattern, lines)
    if complete:
        assert [line for line in lines if not any(pattern(line) for pattern in patterns)] == []
        assert len(lines) <= _MOST_LINES


def _pattern(text: str) -> Callable[[str], object]:
    """`text` as the page has it; … stands for anything."""
    return re.compile(".*".join(map(re.escape, text.split("…")))).fullmatch
