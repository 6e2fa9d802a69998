"""timer:distro:sys: answers a request after so many milliseconds.

Body: {"SetTimer": milliseconds}, or eight little-endian bytes as in the first packages; "Debug" (`debug` in those) is
answered {"Debug": {"running": number}}. Public. Timers do not survive a reboot: neither do the requests that wait for
them.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, deque

from kernel.address import ProcessId
from kernel.events import Reply
from kernel.guest import Arrival, Failure, Program
from kernel.message import Envelope, Request
from nectar_node.storage.operations import Job, Outcome
from nectar_node.system.process import reply
from nectar_node.world import BadCode

TIMER = ProcessId("timer", "distro", "sys")
MAX_TIMERS = 100_000
"""Timers that run at once, of all processes; a further one is refused."""
MAX_TIMERS_OF_ONE = 10_000
"""The same of one process: nobody can use up those of the others."""


class Timer:
    """The timers of one node."""

    id = TIMER
    public = True
    remote = False

    def __init__(self) -> None:
        self._number = 0
        self._running: list[tuple[float, int, Envelope]] = []
        self._of: Counter[ProcessId] = Counter()
        self._replies: deque[Reply] = deque()

    def receive(self, envelope: Envelope, now: float) -> None:
        """Start a timer; what is no duration is answered at once, with an error."""
        if envelope.reply_to is None:
            return  # nobody would hear of it
        body, caller = envelope.message.body, envelope.source.process
        milliseconds = _milliseconds_untrusted(body)
        if body in (b"debug", b'"Debug"'):
            self._answer(envelope, b'{"Debug":{"running":%d}}' % len(self._running))
        elif milliseconds is None:
            self._answer(envelope, b'{"Err":"expected {\\"SetTimer\\": milliseconds}"}')
        elif len(self._running) >= MAX_TIMERS or self._of[caller] >= MAX_TIMERS_OF_ONE:
            self._answer(envelope, b'{"Err":"too many timers"}')
        else:
            self._number += 1
            self._of[caller] += 1
            # Nothing is kept but what the answer needs.
            request = Request(False, None, b"", envelope.message.metadata)
            bare = envelope._replace(message=request, blob=None)
            heapq.heappush(self._running, (now + milliseconds / 1000, self._number, bare))

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """It has no disk jobs."""
        raise AssertionError("the timer asks nothing of the disk")

    def code_fetched(self, token: object, program: Program | BadCode, now: float) -> None:
        """It fetches no code."""
        raise AssertionError("the timer fetches no code")

    def answered(self, token: object, answer: Arrival | Failure, now: float) -> None:
        """It sends no requests."""
        raise AssertionError("the timer sends no requests")

    def ended(self, process: ProcessId, now: float) -> None:
        """It keeps nothing for a process."""

    def next_deadline(self) -> float | None:
        """When the first timer expires."""
        return self._running[0][0] if self._running else None

    def on_timer(self, now: float) -> None:
        """Answer what has expired."""
        while self._running and self._running[0][0] <= now:
            expired = heapq.heappop(self._running)[2]
            caller = expired.source.process
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]
            self._answer(expired, b"")

    def next_action(self) -> Reply | None:
        """The next answer."""
        return self._replies.popleft() if self._replies else None

    def _answer(self, envelope: Envelope, body: bytes) -> None:
        answer = reply(TIMER, envelope, body)
        if answer is not None:
            self._replies.append(answer)


def _milliseconds_untrusted(body: bytes) -> int | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return int.from_bytes(body, "little") if len(body) == 8 else None
    if isinstance(value, dict) and len(value) == 1:
        milliseconds = value.get("SetTimer")
        if isinstance(milliseconds, int) and not isinstance(milliseconds, bool) and 0 <= milliseconds < 1 << 64:
            return milliseconds
    return None
