"""Starts nodes as copies of a process that has a node's modules loaded already (`fork_server`).

Each is a process of its own, as if its program had been started by itself: with its own id, session, log, environment
and exit code. Whoever starts one node alone loads its modules for it; for more of them, or further ones, that
is done once. A copy has the limits, rights and namespaces of what it is a copy of; so for each kind of these there is a
server of its own, up to a bound.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Protocol

from nectar_node.launcher import fork_server
from nectar_node.launcher.fork_server import ROOM_BYTES, Wanted

MAX_SERVERS = 3
_AT_START = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OPENSSL_", "LC_", "LANG", "TZ")
"""Beginnings of environment variables that a program reads while it is loaded, so that a copy could not."""
_OF_STATUS = ("Umask", "Uid", "Gid", "Groups", "Sig", "Cap", "NoNewPrivs", "Seccomp", "Cpus", "Mems")
"""Beginnings of lines in /proc/…/status that a process hands on to those that it starts."""
_NOT_OF_STATUS = ("SigQ", "SigPnd", "SigCgt")
_UNKNOWN = 1
"""The exit code of a process whose starter has been killed."""

Surroundings = tuple[object, ...]


class StartedProcess(Protocol):
    """A process that this one has started: a `subprocess.Popen`, or a `ForkedProcess`."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """The pipe of its standard input."""

    @property
    def returncode(self) -> int | None:
        """How it ended, once `poll` or `wait` has seen that; minus the number of the signal that ended it."""

    def poll(self) -> int | None:
        """Return how it ended, or None if it still runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired after `timeout` seconds."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""


class ForkedProcess:
    """A process that a fork server has started for this one."""

    def __init__(self, pid: int, handle: int, status: int, stdin: IO[bytes]) -> None:
        """`handle` is its pidfd, and `status` the pipe for its exit status; both are closed here."""
        self.pid = pid
        self.stdin: IO[bytes] | None = stdin
        self.returncode: int | None = None
        self._handle = handle
        self._status = status

    def poll(self) -> int | None:
        """Return how it ended, or None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self.returncode is None:
            self._await(self._status, deadline, timeout)
            if not (status := os.read(self._status, 16)):  # the server is gone, and cannot tell
                self._await(self._handle, deadline, timeout)
            self.returncode = int(status) if status else _UNKNOWN
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def __del__(self) -> None:
        os.close(self._handle)
        os.close(self._status)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def _await(self, descriptor: int, deadline: float | None, timeout: float | None) -> None:
        watched = select.poll()
        watched.register(descriptor, select.POLLIN)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if not watched.poll(left):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)


class Forking:
    """A fork server of this process."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        us = os.pidfd_open(self._owner)
        try:
            passed = (theirs.fileno(), us)
            self._server = subprocess.Popen(
                [*fork_server.command(fork_server.__name__, list(map(str, passed))), "-" * ROOM_BYTES],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=passed,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        finally:
            theirs.close()
            os.close(us)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._server.pid

    @property
    def serves(self) -> bool:
        """Whether it still runs, and is this process's: a copy of this one has none."""
        return self._owner == os.getpid() and self._server.poll() is None

    def start(
        self,
        module: str,
        given: Mapping[str, int],
        words: Sequence[str],
        log: int,
        environment: Mapping[str, str],
        network: Path | None = None,
    ) -> ForkedProcess | None:
        """Start the program in `module`, with the options `given`, whose values are descriptors of ours, before
        `words`, and its output in `log`. It enters the namespace that the file `network` stands for, if there is one.
        None: it cannot be started in this way.
        """
        if sum(len(os.fsencode(word)) for word in words) > ROOM_BYTES // 2:  # its command line could not be shown
            return None
        wanted = Wanted(module, tuple(given), tuple(words), dict(environment), network is not None)
        request = json.dumps(asdict(wanted)).encode()
        with contextlib.ExitStack() as stack:
            reading, told = os.pipe()
            stack.callback(os.close, reading)
            status, ended = os.pipe()
            stack.callback(os.close, ended)
            try:
                folder = os.open(".", os.O_PATH)
                stack.callback(os.close, folder)
                passed = [reading, log, folder, ended]
                if network is not None:
                    passed.append(os.open(network, os.O_RDONLY))
                    stack.callback(os.close, passed[-1])
                with self._lock:
                    socket.send_fds(self._requests, [request], [*passed, *given.values()])
                    answer, handles, _, _ = socket.recv_fds(self._requests, 64, 1, socket.MSG_CMSG_CLOEXEC)
            except OSError:  # it is gone, the request is too long, or there is no such folder or namespace
                answer, handles = b"", []
            except BaseException:
                os.close(told)
                os.close(status)
                self.close()  # its answer would be taken for the next one's
                raise
        if not handles:
            os.close(told)
            os.close(status)
            return None
        return ForkedProcess(int(answer), handles[0], status, open(told, "wb"))

    def close(self) -> None:
        """Let it end; what it has started goes on."""
        self._requests.close()
        if self._owner == os.getpid():
            self._server.wait()


_servers: dict[Surroundings, Forking] = {}
_choosing = threading.Lock()


def forking(nodes: int) -> Forking | None:
    """Return the fork server for a process that starts so many nodes now; None: loading each by itself is quicker, or
    this process has too many servers for other surroundings.
    """
    with _choosing:
        for surroundings in [key for key, each in _servers.items() if not each.serves]:
            del _servers[surroundings]
        try:
            surroundings = _surroundings()
        except OSError:  # a system without some of that
            return None
        if surroundings not in _servers and nodes > 1 and len(_servers) < MAX_SERVERS:
            with contextlib.suppress(OSError):
                _servers[surroundings] = Forking()
        return _servers.get(surroundings)


def close_all() -> None:
    """Let all fork servers of this process end."""
    with _choosing:
        for each in _servers.values():
            each.close()
        _servers.clear()


atexit.register(close_all)


def _surroundings() -> Surroundings:
    """Return all that a process hands on to those that it starts, and that cannot be set in one afterwards."""
    us = Path("/proc/thread-self")
    status = [
        line
        for line in us.joinpath("status").read_text().splitlines()
        if line.startswith(_OF_STATUS) and not line.startswith(_NOT_OF_STATUS)
    ]
    return (
        tuple(status),
        us.joinpath("limits").read_text(),
        us.joinpath("cgroup").read_text(),
        tuple(os.readlink(each) for each in sorted(us.joinpath("ns").iterdir())),
        os.getpriority(os.PRIO_PROCESS, 0),
        tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(_AT_START))),
    )
