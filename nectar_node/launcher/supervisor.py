"""Runs a node in a process of its own, and starts it again when its own code has ended it.

That is when it says so (`errors.EX_SOFTWARE`), or when the operating system has ended it for what native code did. A
node that has ended in any other way, as its user or a lab has told it to or by kill -9, stays down, and so does one
that has not once been ready. The supervisor is the node's parent and nothing else: it passes on the signals that it
gets, ends when the node does, in the same way, and the node ends with it. It loads none of what a node loads.

Between two starts it holds the lock of the node's folder, so whoever wants to stop the node finds it there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from nectar_node.base import log
from nectar_node.base.errors import EX_SOFTWARE, AlreadyRunning
from nectar_node.base.program import load_module
from nectar_node.contract.config import NodeConfig

FIRST_PAUSE_SECONDS = 1.0
"""Before a node is started again; twice as long each time that it fails soon after."""
MOST_PAUSE_SECONDS = 60.0
HEALTHY_SECONDS = 60.0
"""What a node has run for when its next failure counts as its first one."""
CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""Signals that nobody sends: what native code did has ended the node."""
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_REPORT_BYTES = 1 << 16
_MAX_SIGNALS = 64
"""Taken at once."""

Handlers = dict[signal.Signals, object]


def run_supervised(config: NodeConfig) -> int:
    """Run a node for as long as it is to run; its exit code. One that a signal has ended ends this process as well."""
    return Supervisor(config, _run_node).run()


def run_once(config: NodeConfig) -> int:
    """Run a node in this process; its exit code."""
    return _run_node(config)


def _run_node(config: NodeConfig) -> int:
    code: int = load_module("nectar_node.driver.node").run(config)
    return code


def pause_before(failures: int) -> float:
    """Seconds before a node is started again that has failed so many times in a row."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), MOST_PAUSE_SECONDS))


def is_our_failure(status: int) -> bool:
    """Whether a process that has ended with that wait status has done so by a failure of its own code."""
    code = os.waitstatus_to_exitcode(status)
    return code == EX_SOFTWARE or -code in CRASHES


class Supervisor:
    """Of one node."""

    def __init__(self, config: NodeConfig, run: Callable[[NodeConfig], int]) -> None:
        """`run` is the node, in a process of its own."""
        self._config = config
        self._run = run
        self._node: int | None = None
        """Its process, while there is one."""
        self._stopping = False
        """Somebody has told this process to end."""
        self._woken, self._wake = os.pipe()
        """Each signal that comes is written there, as a byte: to pass it on is not the handler's business."""
        self._ready = False

    def run(self) -> int:
        """See `run_supervised`."""
        failures = 0
        with self._signals() as before:
            while True:
                began = time.monotonic()
                status = self._run_once(before)
                if self._stopping or not self._ready or not is_our_failure(status):
                    return _end_like(status)
                failures = 1 if time.monotonic() - began >= HEALTHY_SECONDS else failures + 1
                pause = pause_before(failures)
                log.write_line("node", f"{self._config.name} {_how(status)}: it is started again in {pause:g} s")
                if not self._wait(pause):
                    return 0 if self._stopping else _end_like(status)

    def _run_once(self, before: Handlers) -> int:
        """Until the node has ended; how, as a wait status."""
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        us = os.getpid()
        self._node = os.fork()
        if self._node == 0:
            _restore(before)
            _end_with(us)
            for descriptor in (reading, self._woken, self._wake, self._config.ready_descriptor):
                if descriptor is not None:
                    os.close(descriptor)
            _become(lambda: self._run(replace(self._config, ready_descriptor=writing)))
        os.close(writing)
        self._await_report(reading)
        os.close(reading)
        ended = os.pidfd_open(self._node)
        self._await(ended)
        os.close(ended)
        _, status = os.waitpid(self._node, 0)
        self._node = None
        return status

    def _await_report(self, reading: int) -> None:
        """The node says that it is ready, or why it never will be; or it ends. Whoever has started us wants to know."""
        report = b""
        while not report.endswith(b"\n"):
            self._await(reading)
            if not (data := os.read(reading, _REPORT_BYTES)):
                break
            report += data
        outside, told = self._config.ready_descriptor, report.endswith(b"\n")
        self._ready = self._ready or (told and not report.startswith(b'{"error"'))
        if outside is not None:
            with contextlib.suppress(OSError):  # it has gone away
                os.write(outside, report)
            os.close(outside)
            self._config = replace(self._config, ready_descriptor=None)

    def _wait(self, seconds: float) -> bool:
        """Hold the node's place; False: it is not to be started again."""
        try:
            lock = self._config.folder.acquire()
        except (AlreadyRunning, OSError):  # somebody else has started it, or its folder is gone
            return False
        try:
            lifeline = [] if self._config.lifeline is None else [self._config.lifeline]
            ready = select.select([self._woken, *lifeline], [], [], seconds)[0]
            if self._woken in ready:
                self._take_signals()
            return not ready
        finally:
            os.close(lock)

    # --- signals ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[Handlers]:
        """Within this, the node gets the signals that we get; what was done with them before."""
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)
        before: Handlers = {number: signal.signal(number, self._on_signal) for number in _PASSED_ON}
        try:
            yield before
        finally:
            _restore(before)
            os.close(self._woken)
            os.close(self._wake)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, bytes([number]))

    def _await(self, descriptor: int) -> None:
        """Return when it can be read from; until then, the node gets the signals that come."""
        ready: list[int] = []
        while descriptor not in ready:
            ready = select.select([descriptor, self._woken], [], [])[0]
            if self._woken in ready:
                self._take_signals()

    def _take_signals(self) -> None:
        """Pass on what has come to the node, if there is one; it is not to be started again."""
        self._stopping = True
        for number in os.read(self._woken, _MAX_SIGNALS):
            if self._node is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._node, number)


def _restore(handlers: Handlers) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)  # type: ignore[arg-type]


def _end_with(parent: int) -> None:
    """This process is killed when its parent has ended, however that did."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _become(run: Callable[[], int]) -> None:
    """Be the node, and nothing of who has started it."""
    code = 1
    try:
        code = run()
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
        code = EX_SOFTWARE
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"has ended by {signal.Signals(-code).name}" if code < 0 else "has ended, since its own code has failed"


def _end_like(status: int) -> int:
    """The exit code; whoever was ended by a signal ends us by the same one."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    return code
