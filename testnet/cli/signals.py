"""Signals that are taken in another way for as long as something lasts."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def handled(signals: Sequence[signal.Signals], handler: Handler) -> Iterator[None]:
    """Let `handler` take these signals within this."""
    before = [signal.signal(number, handler) for number in signals]
    try:
        yield
    finally:
        for number, usual in zip(signals, before, strict=True):
            signal.signal(number, usual)
