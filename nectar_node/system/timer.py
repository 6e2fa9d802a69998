"""timer:distro:sys: answers a request after a given number of milliseconds.

Body: {"SetTimer": milliseconds}, or eight little-endian bytes as in the first packages; "Debug" (`debug` in those) is
answered {"Debug": {"running": number}}. Public. A timer ends with the process that requested it. A timer that is longer
than its request waits for the answer is never started: the answer would reach nobody. Timers do not survive a reboot,
and neither do the requests that wait for them.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.message import Envelope, Request
from nectar_node.system.process import SORRY, Cause, SystemProcess, bare, metadata_bytes, reply

TIMER = ProcessId("timer", "distro", "sys")
MAX_TIMERS = 200_000
"""Timers that run at the same time, of all processes; a further one is refused."""
MAX_TIMERS_OF_ONE = 20_000
"""Timers of the processes of one package, children included: no package can use up those of the others."""
MAX_BODY_BYTES = 1024
"""Bytes of a request's body."""
MAX_METADATA_BYTES = 1024
"""Bytes of a request's metadata, which is kept, and echoed in the answer."""


class Timer(SystemProcess):
    """The timers of one node."""

    id = TIMER
    public = True

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._running: dict[int, Envelope] = {}
        """Running timers, by number."""
        self._of: dict[ProcessId, set[int]] = {}
        """The numbers of each process's timers."""
        self._of_package: Counter[PackageId] = Counter()
        self._due: list[tuple[float, int]] = []
        """A heap of expiry times and numbers; timers that are gone are still in it."""

    def receive(self, envelope: Envelope, now: float) -> None:
        """Start a timer, or answer a request that is not one with an error at once."""
        if envelope.reply_to is None:
            return  # nobody would hear of it
        body = envelope.message.body
        milliseconds = _milliseconds_untrusted(body)
        if body in (b"debug", b"Debug", b'"Debug"'):
            self._answer(envelope, b'{"Debug":{"running":%d}}' % len(self._running))
        elif milliseconds is None:
            self._answer(envelope, b'{"Err":"expected {\\"SetTimer\\": milliseconds}"}')
        elif metadata_bytes(envelope) > MAX_METADATA_BYTES:
            self._answer(envelope, b'{"Err":"too much metadata"}')
        else:
            self._start(envelope, milliseconds / 1000, now)

    def _start(self, envelope: Envelope, seconds: float, now: float) -> None:
        request, caller = envelope.message, envelope.source.process
        waits = request.expects_response if isinstance(request, Request) else None
        if waits is not None and seconds > waits:
            return  # the kernel tells the caller when that is over
        if len(self._running) >= MAX_TIMERS or self._of_package[caller.package_id] >= MAX_TIMERS_OF_ONE:
            self._answer(envelope, b'{"Err":"too many timers"}')
            return
        self._number += 1
        self._running[self._number] = bare(envelope)
        self._of.setdefault(caller, set()).add(self._number)
        self._of_package[caller.package_id] += 1
        heapq.heappush(self._due, (now + seconds, self._number))

    def ended(self, process: ProcessId, now: float) -> None:
        """Drop the timers of a process that has ended."""
        for number in tuple(self._of.get(process, ())):
            self._take_off(process, number)
        if len(self._due) > 2 * len(self._running):  # else processes that come and go would fill it
            self._due = [each for each in self._due if each[1] in self._running]
            heapq.heapify(self._due)

    def next_deadline(self) -> float | None:
        """Return when the first timer expires, or None."""
        while self._due and self._due[0][1] not in self._running:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def on_timer(self, now: float) -> None:
        """Answer the timers that have expired."""
        while self._due and self._due[0][0] <= now:
            number = self._due[0][1]
            expired = self._running.get(number)
            if expired is not None:
                self._answer(expired, b"")
                self._take_off(expired.source.process, number)
            heapq.heappop(self._due)

    def _take_off(self, process: ProcessId, number: int) -> None:
        del self._running[number]
        numbers = self._of[process]
        numbers.remove(number)
        if not numbers:
            del self._of[process]
        self._of_package -= Counter([process.package_id])  # which forgets those without any

    def recover(self, cause: Cause, now: float) -> None:
        """End the timer whose handling has failed."""
        if isinstance(cause, Envelope):
            self._fail(cause)
        elif self._due and self._due[0][0] <= now:
            first = self._running.get(heapq.heappop(self._due)[1])
            if first is not None:
                self._fail(first)
        set_off = {number for _, number in self._due}
        for number in [each for each in self._running if each not in set_off]:
            self._fail(self._running[number])
        self._of = {}
        for number, envelope in self._running.items():
            self._of.setdefault(envelope.source.process, set()).add(number)
        self._of_package = Counter(envelope.source.process.package_id for envelope in self._running.values())

    def _fail(self, envelope: Envelope) -> None:
        for number in [each for each, kept in self._running.items() if kept.reply_to == envelope.reply_to]:
            del self._running[number]
        self._answer(envelope, json.dumps({"Err": SORRY}).encode())

    def _answer(self, envelope: Envelope, body: bytes) -> None:
        answer = reply(TIMER, envelope, body)
        if answer is not None:
            self._out.append(answer)


def _milliseconds_untrusted(body: bytes) -> int | None:
    if len(body) > MAX_BODY_BYTES:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return int.from_bytes(body, "little") if len(body) == 8 else None
    if isinstance(value, dict) and len(value) == 1:
        milliseconds = value.get("SetTimer")
        if isinstance(milliseconds, int) and not isinstance(milliseconds, bool) and 0 <= milliseconds < 1 << 64:
            return milliseconds
    return None
