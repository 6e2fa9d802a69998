"""For all tests: what depends neither on how they were started nor on how fast the machine is."""

from __future__ import annotations

import signal

from hypothesis import settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it, and hand it on
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Beside other work an example takes as long as it takes.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")
