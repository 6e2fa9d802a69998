"""What a system process is to the node."""

from __future__ import annotations

from typing import Protocol

from kernel.address import ProcessId
from kernel.events import Reply
from kernel.message import Envelope, LazyLoadBlob, Response
from nectar_node.storage.operations import Job, Outcome


class SystemProcess(Protocol):
    """A process written in Python (`x:distro:sys`): the five verbs, with replies and disk jobs as what is pending."""

    id: ProcessId
    public: bool
    """Whether every local process may message it (G18)."""

    def receive(self, envelope: Envelope, now: float) -> None:
        """Take a message of a local process."""

    def done(self, job: Job, outcome: Outcome, now: float) -> None:
        """One of its disk jobs is done."""

    def next_deadline(self) -> float | None:
        """When `on_timer` has something to do."""

    def on_timer(self, now: float) -> None:
        """Do what is due."""

    def next_action(self) -> Reply | Job | None:
        """What it wants done, in order; None: nothing more."""


def reply(source: ProcessId, envelope: Envelope, body: bytes, blob: LazyLoadBlob | None = None) -> Reply | None:
    """The response to a request, with its metadata echoed; None: nobody waits for one."""
    if envelope.reply_to is None:
        return None
    response = Response(False, body, envelope.message.metadata)
    return Reply(source, envelope.reply_to, response, blob)
