"""`python -m nectar_node.base.program nectar_node.launcher.fork_server SOCKET STARTER ROOM`: copies itself into nodes.

It loads a node's modules once, which takes longer than all else of a start, and becomes a node by `fork` each time that
its starter asks for one (`nectar_node.launcher.forked`). It has one thread, runs nothing of a node itself, and ends
with its starter; the nodes do not end with it.

A request is one packet: JSON of `Wanted`, with the descriptors of standard input, the log, the current folder and the
pipe for the exit status, and those that the program is given. The answer is one packet with a descriptor of the new
process (pidfd), or without one if there can be none.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import socket
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

from nectar_node.base.program import load

ROOM_BYTES = 1 << 14
"""Bytes of a command line, which the operating system shows of a process."""
MAX_REQUEST_BYTES = 1 << 20
MAX_DESCRIPTORS = 16
FIXED = 4
"""Descriptors that each request has: standard input, log, current folder, pipe for the exit status."""
_PRELOADED = ("nectar_node.launcher.child", "nectar_node.driver.node")
_CLONE_NEWNET = 0x40000000
_ARG_START, _ARG_END = 45, 46
"""Places in /proc/self/stat, counted from behind the name."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A process that is to be started."""

    module: str
    """The module whose `main` it runs."""
    given: tuple[str, ...]
    """The options whose values are the descriptors that are passed, in their order."""
    words: tuple[str, ...]
    """What follows them on its command line."""
    environment: dict[str, str]
    enters: bool
    """Whether one more descriptor, before those given, is of a network namespace that it enters."""


class _Child(NamedTuple):
    pid: int
    status: int
    """The descriptor to which its exit status is written."""


class ForkServer:
    """Starts processes, and tells how they end."""

    def __init__(self, requests: socket.socket, starter: int) -> None:
        """`starter` is a pidfd: with that process this one ends."""
        self._requests = requests
        self._starter = starter
        self._children: dict[int, _Child] = {}
        """By the pidfd of each."""

    def run(self) -> None:
        """Serve until the starter has closed its end, or is gone."""
        watched = select.poll()
        for descriptor in (self._requests.fileno(), self._starter):
            watched.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in watched.poll():
                if descriptor in self._children:
                    watched.unregister(descriptor)
                    self._reap(descriptor)
                elif descriptor == self._starter or (started := self._serve()) is None:
                    return
                elif started >= 0:
                    watched.register(started, select.POLLIN)

    def _serve(self) -> int | None:
        """Answer one request: return the pidfd of what was started, -1 if nothing could be, None after the last."""
        data, passed, _, _ = socket.recv_fds(
            self._requests, MAX_REQUEST_BYTES, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            return None
        wanted = Wanted(**json.loads(data))  # which, unlike others, reads the bytes that no encoding has
        pid = -1
        if may_fork():
            with contextlib.suppress(OSError):  # no more processes, or no memory
                pid = os.fork()
        if pid == 0:
            self._become(wanted, passed)
        status = os.dup(passed[FIXED - 1])
        for descriptor in passed:
            os.close(descriptor)
        if pid < 0:
            os.close(status)
            self._requests.send(b"none")
            return -1
        handle = os.pidfd_open(pid)
        self._children[handle] = _Child(pid, status)
        socket.send_fds(self._requests, [str(pid).encode()], [handle])
        return handle

    def _reap(self, handle: int) -> None:
        child = self._children.pop(handle)
        _, status = os.waitpid(child.pid, 0)
        with contextlib.suppress(OSError):  # nobody wants to know
            os.write(child.status, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(child.status)
        os.close(handle)

    def _become(self, wanted: Wanted, passed: list[int]) -> NoReturn:
        """In the new process: run its program, without anything of this one, and end."""
        code = 1
        try:
            os.setsid()
            for handle, child in self._children.items():
                os.close(handle)
                os.close(child.status)
            os.close(self._starter)
            self._requests.close()
            stdin, log, folder, _ = passed[:FIXED]
            os.dup2(stdin, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.fchdir(folder)
            fixed, given = passed[:FIXED], passed[FIXED:]
            if wanted.enters:
                fixed.append(given.pop(0))
                _enter_network(fixed[-1])
            for descriptor in fixed:
                os.close(descriptor)
            os.environ.clear()
            os.environ.update(wanted.environment)
            options = [word for name, each in zip(wanted.given, given, strict=True) for word in (name, str(each))]
            words = [*options, "--", *wanted.words]
            sys.argv = [wanted.module, *words]
            show_command_line(command(wanted.module, words))
            code = load(wanted.module)()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def command(module: str, words: list[str]) -> list[str]:
    """Return the command that starts the program in `module` by itself."""
    # -P: a `net` or a `kernel` in the current folder must not be taken for a part of this program.
    return [sys.executable, "-P", "-m", "nectar_node.base.program", module, *words]


def _enter_network(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"the network namespace cannot be entered: {os.strerror(code)}")


def may_fork() -> bool:
    """Whether a copy of this process is whole, and shares nothing with it that either of them writes.

    Other threads are not copied. Where the system forbids memory that is written and executed, some versions of libffi
    keep callbacks in memory that all copies share.
    """
    maps = Path("/proc/self/maps").read_text().splitlines()
    permissions = (line.split(maxsplit=2)[1] for line in maps)
    return len(os.listdir("/proc/self/task")) == 1 and not any("x" in each and "s" in each for each in permissions)


def show_command_line(words: list[str]) -> None:
    """Have the operating system show these words as the command line of this process, cut off where its own ended."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    text = b"".join(os.fsencode(word) + b"\0" for word in words)[: end - begin - 1]
    ctypes.memmove(begin, text.ljust(end - begin, b"\0"), end - begin)


def main() -> int:
    """Load what nodes need, and start them as asked."""
    requests, starter = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    for descriptor in (requests.fileno(), starter):
        os.set_inheritable(descriptor, False)
    show_command_line(command(__spec__.name, sys.argv[1:3]))
    gc.disable()
    for module in _PRELOADED:
        import_module(module)
    gc.freeze()
    gc.enable()
    ForkServer(requests, starter).run()
    return 0
