"""The client's end of a node's control socket: one line of JSON out; events, and one line of answer back.

This owns the connection and the shape of an answer; the meaning of the commands is up to
`nectar_node.control.commands`. It blocks on purpose: a command does one thing after the other, and starts faster
without an event loop.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nectar_node.base import own_files
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.base.folder import NodeFolder, is_paused

Answer = dict[str, Any]
"""A node's answer, as decoded JSON."""

MAX_ANSWER_BYTES = 192 * 1024 * 1024
"""Bytes of an answer: a blob of 64 MiB in base64, a body of 10 MiB in which every byte is escaped, and space for the
rest.
"""

CONNECT_TIMEOUT = 5.0
"""Seconds that a node may take to accept a connection on its control socket, or to have one when it boots."""

ANSWER_TIMEOUT = 30.0
"""Seconds that a node may take to answer a command that does not itself wait for something."""

PAUSED_SECONDS = 3.0
"""Seconds of silence after which the client checks whether the node is paused: a stopped process answers nothing."""

_READ_BYTES = 1 << 18
_LONGEST_WAIT = 1e9
"""The longest wait, in seconds, some thirty years: the operating system takes no more than some hundred."""


class ControlError(NodeError):
    """The node answered with an error, with nonsense, or not at all."""


class NodeGone(ControlError):
    """The node ended, or closed the control connection, before it had answered."""


@dataclass(frozen=True, slots=True)
class RefusedCommand:
    """The node understood the command and says why it cannot carry it out."""

    kind: str
    """The name of the error's class; `BadInput` is the caller's fault."""
    sentence: str


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """An event that the node reports before its answer to a command."""

    value: Answer


def decode_answer_untrusted(line: bytes) -> Answer | RefusedCommand | NodeEvent:
    """Return the answer or event in one line from a control socket; raises ControlError on anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError(
            "The node's answer is not JSON: is another program listening on its control socket?"
        ) from error
    if isinstance(value, dict):
        match value:
            case {"ok": dict(answer)}:
                return answer
            case {"error": {"kind": str(kind), "sentence": str(sentence)}}:
                return RefusedCommand(kind, sentence)
            case {"event": dict(event)}:
                return NodeEvent(event)
    raise ControlError("The node's answer has an unknown shape: are the node and this command of the same version?")


class ControlClient:
    """One connection to a node's control socket; carries requests one after another."""

    def __init__(
        self, name: str, connection: socket.socket, folder: NodeFolder, command: Callable[..., str] | None
    ) -> None:
        """`folder` and `command` are those of `connect`."""
        self.name = name
        self._connection = connection
        self._folder = folder
        self._command = command
        self._received = bytearray()

    @classmethod
    def connect(cls, name: str, folder: NodeFolder, command: Callable[..., str] | None = None) -> ControlClient:
        """Connect to the node `name` whose folder is `folder`.

        `command` returns the command lines that the user is advised to type (`Network.command`). Raises OSError if
        nobody listens there, and NotOurs.
        """
        # A Unix socket's path holds at most 107 bytes; through a descriptor of its folder, any depth of folder will do.
        with own_files.folder(folder.path) as directory:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(CONNECT_TIMEOUT)
                connection.connect(f"/proc/self/fd/{directory}/{folder.control.name}")
            except OSError:
                connection.close()
                raise
        return cls(name, connection, folder, command)

    def ask(self, command: str, patience: float | None = None, **arguments: object) -> Answer:
        """Send a request that a node answers at once unless it is busy (default: within ANSWER_TIMEOUT), and return the
        answer.

        Raises as `request` does, and ControlError after a short time if the node is paused.
        """
        deadline = time.monotonic() + (ANSWER_TIMEOUT if patience is None else patience)
        self.send(command, **arguments)
        self.await_sign(deadline)
        return self.receive(max(0.0, deadline - time.monotonic()))

    def await_sign(self, deadline: float) -> None:
        """Return when something arrives in response to what was sent, or at `deadline`, of time.monotonic().

        Raises ControlError after a short time if the node is paused.
        """
        while not self.has_answer(min(PAUSED_SECONDS, max(0.0, deadline - time.monotonic()))):
            if (sentence := paused(self.name, self._folder, self._command)) is not None:
                raise ControlError(sentence)
            if time.monotonic() >= deadline:
                return

    def request(self, command: str, *, patience: float | None = ANSWER_TIMEOUT, **arguments: object) -> Answer:
        """Send `command`, wait at most `patience` seconds (None: for ever), and return the node's answer.

        Raises BadInput if the node says that the arguments are wrong, NodeGone if it ended meanwhile, and ControlError
        otherwise.
        """
        self.send(command, **arguments)
        return self.receive(patience)

    def send(self, command: str, **arguments: object) -> None:
        """Send `command` without waiting for its answer; raises NodeGone."""
        line = json.dumps({"command": command, **arguments}).encode() + b"\n"
        try:
            self._connection.settimeout(ANSWER_TIMEOUT)
            self._connection.sendall(line)
        except BrokenPipeError:
            return  # its last answer, if there was one, waits to be received
        except OSError as error:
            raise self._gone() from error

    def receive(self, patience: float | None = ANSWER_TIMEOUT) -> Answer:
        """Return the answer to the oldest unanswered command; raises as `request` does."""
        while True:
            answer = self._decode(self._read_line(patience))
            if not isinstance(answer, NodeEvent):
                return answer

    def follow(self, timeout: float | None) -> NodeEvent | Answer | None:
        """Return the next event, or the answer that ends them; None if neither comes within `timeout` seconds (None:
        for ever).

        Raises as `request` does.
        """
        if timeout is not None and b"\n" not in self._received and not self._has_line(time.monotonic() + timeout):
            return None
        return self._decode(self._read_line(None))

    def follow_to_answer(self, what: str, timeout: float, take: Callable[[Answer], None]) -> Answer:
        """Pass each event to `take`, and return the answer.

        Raises as `request` does, and ControlError, which names `what`, if neither comes within `timeout` seconds of the
        last one.
        """
        while (told := self.follow(timeout)) is not None:
            if not isinstance(told, NodeEvent):
                return told
            take(told.value)
        raise ControlError(f"{self.name} did not say in time what became of {what}.")

    def _has_line(self, deadline: float) -> bool:
        while b"\n" not in self._received:
            left = min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT)
            if not select.select([self._connection], [], [], left)[0]:
                return False
            self._received += self._read_some(None)
        return True

    def _decode(self, line: bytes) -> Answer | NodeEvent:
        answer = decode_answer_untrusted(line)
        if isinstance(answer, RefusedCommand):
            sentence = answer.sentence
            if answer.kind == "NoSuchProcess" and self._command is not None:
                listing = self._command("ps", "--node", self.name)
                sentence = f"{sentence.rstrip('.')}: `{listing}` lists those that do."
            raise (BadInput if answer.kind == "BadInput" else ControlError)(sentence)
        return answer

    def has_answer(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds, and return whether something arrived: an answer, or the end of the
        connection.
        """
        left = min(timeout, _LONGEST_WAIT)
        return bool(self._received) or bool(select.select([self._connection], [], [], left)[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_line(self, patience: float | None) -> bytes:
        deadline = None if patience is None else time.monotonic() + patience
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > MAX_ANSWER_BYTES:
                raise ControlError(f"{self.name} answered with more than {MAX_ANSWER_BYTES} bytes.")
            self._received += self._read_some(deadline)
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _read_some(self, deadline: float | None) -> bytes:
        try:
            left = None if deadline is None else min(max(0.001, deadline - time.monotonic()), _LONGEST_WAIT)
            self._connection.settimeout(left)
            data = self._connection.recv(_READ_BYTES)
        except TimeoutError as error:
            raise ControlError(f"{self.name} did not answer in time: see what it is doing with {self._log}.") from error
        except OSError as error:
            raise self._gone() from error
        if not data:
            raise self._gone()
        return data

    def _gone(self) -> NodeGone:
        with contextlib.suppress(OSError):
            self._connection.close()
        return NodeGone(f"{self.name} ended before it had answered: {self._log} may say why.")

    @property
    def _log(self) -> str:
        """Return the command line that shows the node's log."""
        return str(self._folder.log) if self._command is None else f"`{self._command('logs', '--node', self.name)}`"


def paused(name: str, folder: NodeFolder, command: Callable[..., str] | None) -> str | None:
    """Return the sentence that the node `name` in `folder` is paused, and what to do; None: it is not paused."""
    owner = folder.owner()
    if owner is None or not is_paused(owner):
        return None
    on = f"kill -CONT {owner}" if command is None else command("testnet resume", name)
    return f"{name} is paused, as process {owner}: `{on}` lets it go on."
