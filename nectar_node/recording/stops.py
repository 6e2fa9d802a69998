"""Where a replay stops for people: at a step, at a time, at a log line or a message with certain words.

Messages are seen by a tracer that the recorded node did not have, beside its own if it had one: it asks for nothing,
and changes nothing that the core does. The bodies of messages are searched whole.

Pure, but for the guests' engine. Tests: tests/nectar_node/recording/test_stops.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from kernel.contract.address import Address
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob, Reason, Response
from kernel.router.trace import Tracer
from nectar_node.base.errors import BadInput
from nectar_node.contract.actions import DriverAction, LogLine, Printed
from nectar_node.recording.both_tracers import listen
from nectar_node.recording.replay import NodeReplay, ReplayDifference, time_of
from nectar_node.recording.segments import TapeEntry

SHOWN_BYTES = 200
"""Bytes of a body that are shown."""
Watch = Callable[[NodeReplay, list[DriverAction]], bool]
_STEP = re.compile(r"#(\d{1,15})")
_SECONDS = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)s?")


class ReplayEvent(NamedTuple):
    """What a replay stops at: one of the three."""

    step: int | None = None
    seconds: float | None = None
    """After the boot."""
    words: str = ""
    """In a log line, an address, a body, the reason why a message failed, or its number: `request 123`."""

    @classmethod
    def parse(cls, text: str) -> ReplayEvent:
        """Return the event that a user has typed: `#412`, `12.5` or `12.5s`, or words; raises BadInput."""
        if match := _STEP.fullmatch(text):
            return cls(step=int(match[1]))
        if match := _SECONDS.fullmatch(text):
            return cls(seconds=float(match[1]))
        if not text.strip():
            raise BadInput('A replay stops at "#STEP", at SECONDS after the boot, or at words: name one of them.')
        return cls(words=text)


class ReplayStop(NamedTuple):
    """Where a replay has stopped."""

    step: int
    """The number of the step that is next."""
    seconds: float
    """After the boot."""
    why: str
    """In words."""


class _Listener(Tracer):
    """Hears of all messages, and remembers the first one with certain words."""

    def __init__(self, our: str) -> None:
        super().__init__(our)
        self.words = b""
        self.found = ""

    def _hear(self, what: str, source: object, target: object, body: Buffer, reason: str = "") -> None:
        self.records.clear()
        if not self.words or self.found:
            return
        texts = (what, str(source), str(target), reason)
        if self.words in bytes(body) or any(self.words in text.encode() for text in texts):
            text = bytes(body[:SHOWN_BYTES]).decode(errors="replace")
            why = f": {reason}" if reason else ""
            self.found = f"{what} from {source} to {target}{why}, {len(body)} bytes: {text}"

    def sent(self, envelope: Envelope, now: float) -> None:
        """Look at a request."""
        super().sent(envelope, now)
        self._hear(f"request {envelope.id}", envelope.source, envelope.target, envelope.message.body)

    def left(self, response: Envelope, now: float) -> None:
        """Look at a response to another node."""
        super().left(response, now)
        self._hear(f"response to {response.id}", response.source, response.target, response.message.body)

    def answered(self, id: int, source: Address, answer: Response, blob: LazyLoadBlob | None, now: float) -> None:
        """Look at a response."""
        super().answered(id, source, answer, blob, now)
        self._hear(f"response to {id}", source, self._our, answer.body)

    def failed(self, id: int, reason: Reason, now: float) -> None:
        """Look at a request whose sender is told that it failed."""
        super().failed(id, reason, now)
        record = self._sent.get(id)
        if record is not None:
            self._hear(f"failed request {id}", record.source, record.target, record.beginning, reason.value)

    def dropped(self, envelope: Envelope, reason: Reason, now: float) -> None:
        """Look at a message that has reached nobody."""
        super().dropped(envelope, reason, now)
        self._hear(
            f"dropped message {envelope.id}", envelope.source, envelope.target, envelope.message.body, reason.value
        )


class StoppingReplay:
    """A replay that stops at events and goes on."""

    def __init__(self, make: Callable[[Watch], NodeReplay]) -> None:
        """`make` returns a fresh replay that tells a function of its actions, as `NodeReplay` does. Raises what it
        raises."""
        self._make = make
        self._line = ""
        self._words = ""
        self.player = make(self._watch)
        self.difference: ReplayDifference | None = None
        self.step = 1
        """The number of the step that is next."""
        self._listener = _Listener(str(self.player.core.our))

    @property
    def seconds(self) -> float:
        """How long after the boot it is."""
        return self.player.now - self.player.first

    def go(self, event: ReplayEvent | None) -> ReplayStop | None:
        """Go on, to the event or to the end; return where it has stopped. None: it is at the end, or there is a
        `difference`. Raises BadRecording.
        """
        self._line, self._words = "", event.words if event is not None else ""
        listener, player = self._listener, self.player
        listener.found, listener.words = "", self._words.encode()
        why = ""

        def stops(entry: TapeEntry) -> bool:
            nonlocal why
            step, now = entry.number, time_of(entry)
            listen(player.core.kernel, listener)
            self.step = step
            if event is None:
                return False
            if event.step is not None and step >= event.step:
                why = "the step that was asked for"
            elif event.seconds is not None and now is not None and now - player.first >= event.seconds - 1e-6:
                why = "the time that was asked for"
            elif self._line:
                why = f"at the log line {self._line}"
            elif listener.found:
                why = f"at the {listener.found}"
            return bool(why)

        self.difference = player.run(stops)
        return ReplayStop(self.step, self.seconds, why) if why else None

    def again(self) -> StoppingReplay:
        """Return another replay that has come to the same step, to be taken apart."""
        other = StoppingReplay(self._make)
        other.go(ReplayEvent(step=self.step))
        return other

    def _watch(self, _: NodeReplay, actions: list[DriverAction]) -> bool:
        if self._words and not self._line:
            for action in actions:
                if isinstance(action, LogLine):
                    line = f"{action.source}: {action.text}"
                elif isinstance(action, Printed):
                    line = action.text
                else:
                    continue
                if self._words in line:
                    self._line = line
                    break
        return False
