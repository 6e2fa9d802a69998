"""For all tests: Ctrl-C means the same to every program that they start, however the tests were started."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it, and hand it on
    signal.signal(signal.SIGINT, signal.default_int_handler)
