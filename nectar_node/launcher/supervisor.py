"""Runs a node in a process of its own, and starts it again when its own code has failed.

A failure is when the node says so (`errors.EX_SOFTWARE`), or when the operating system has ended it for what native
code did. A node that has ended in any other way, on a command of its user or a lab or by kill -9, stays down, and so
does one that was never ready. The supervisor is the node's parent and nothing else: it passes on the signals that it
gets, ends when the node does, in the same way, and the node ends with it. It loads none of the node's modules.

Between two starts it holds the lock of the node's folder, so that a command that stops the node finds it there.
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
from nectar_node.base.errors import EX_SOFTWARE, AlreadyRunning, NodeError
from nectar_node.base.program import load_module
from nectar_node.contract.config import NodeConfig

FIRST_PAUSE_SECONDS = 1.0
"""Seconds before a node is started again; doubled each time that it fails soon after."""
MOST_PAUSE_SECONDS = 60.0
HEALTHY_SECONDS = 60.0
"""Seconds that a node must have run for its next failure to count as its first one."""
CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""Signals that nobody sends: native code in the node has caused them."""
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_REPORT_BYTES = 1 << 16
_MAX_SIGNALS = 64
"""Bytes of signals that are taken in one read."""

Handlers = dict[signal.Signals, object]


def run_supervised(config: NodeConfig) -> int:
    """Run a node, again after failures, and return its exit code; if a signal has ended it, this process ends the same
    way.
    """
    return Supervisor(config, _run_node).run()


def run_once(config: NodeConfig) -> int:
    """Run a node in this process, and return its exit code."""
    return _run_node(config)


def _run_node(config: NodeConfig) -> int:
    code: int = load_module("nectar_node.driver.node").run(config)
    return code


def pause_before(failures: int) -> float:
    """Return the seconds before a node is started again that has failed `failures` times in a row."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), MOST_PAUSE_SECONDS))


def is_our_failure(status: int) -> bool:
    """Whether a process with the wait status `status` has ended by a failure of its own code."""
    code = os.waitstatus_to_exitcode(status)
    return code == EX_SOFTWARE or -code in CRASHES


class Supervisor:
    """Runs one node."""

    def __init__(self, config: NodeConfig, run: Callable[[NodeConfig], int]) -> None:
        """`run` is the node's main function, called in a process of its own."""
        self._config = config
        self._run = run
        self._node: int | None = None
        """The node's process, while there is one."""
        self._stopping = False
        """Whether somebody has told this process to end."""
        self._woken, self._wake = os.pipe()
        """The pipe to which each signal is written, as a byte: the handler does no more than that."""
        self._ready = False

    def run(self) -> int:
        """Run the node, again after failures; return its exit code, or end by the signal that ended it."""
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
        """Run the node once; return how it ended, as a wait status."""
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
        """Wait until the node reports that it is ready, or why it never will be, or ends; pass the report on."""
        report = b""
        while not report.endswith(b"\n"):
            self._await(reading)
            if not (data := os.read(reading, _REPORT_BYTES)):
                break
            report += data
        descriptor, told = self._config.ready_descriptor, report.endswith(b"\n")
        self._ready = self._ready or (told and not report.startswith(b'{"error"'))
        if descriptor is not None:
            with contextlib.suppress(OSError):  # it has gone away
                os.write(descriptor, report)
            os.close(descriptor)
        # The boot file may have been changed since by `nectar config` when the node is started again.
        self._config = replace(self._config, ready_descriptor=None, boot_file=None)

    def _wait(self, seconds: float) -> bool:
        """Wait before a restart, holding the node's lock; False: it is not to be started again."""
        try:
            lock = self._config.folder.acquire()
        except AlreadyRunning:  # somebody else has started it
            return False
        except (NodeError, OSError) as error:  # its folder is gone, or the disk takes nothing more
            log.write_line("node", f"{self._config.name} is not started again: {error}")
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
        """Pass this process's signals to the node inside this context; the value is the handlers before it."""
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
        """Return when `descriptor` can be read; until then, pass signals to the node."""
        ready: list[int] = []
        while descriptor not in ready:
            ready = select.select([descriptor, self._woken], [], [])[0]
            if self._woken in ready:
                self._take_signals()

    def _take_signals(self) -> None:
        """Pass the signals that have come to the node, if there is one; it is then not started again."""
        self._stopping = True
        for number in os.read(self._woken, _MAX_SIGNALS):
            if self._node is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._node, number)


def _restore(handlers: Handlers) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)  # type: ignore[arg-type]


def _end_with(parent: int) -> None:
    """Have the system kill this process when its parent has ended, in whatever way."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _become(run: Callable[[], int]) -> None:
    """Become the node, without anything of the process that has started it."""
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
    """Return the exit code; if a signal has ended the node, end this process by the same one."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    return code
