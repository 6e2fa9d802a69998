"""One transfer, as a client of the package file_transfer sees it.

The one file or folder is shared with the sending node. `Send` is injected on one control connection, which also brings
the outcome; on a second one the progress is requested ten times a second, and the transfer cancelled when the user
wants that.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path

from nectar_node.base.errors import NodeError
from nectar_node.console import output
from nectar_node.console.progress import TransferDisplay
from nectar_node.launcher.client import Answer, ControlClient, NodeGone
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.launcher.transfer_answers import (
    PROCESS,
    QUESTION_TIMEOUT,
    TRANSFER_TIMEOUT,
    Done,
    TransferFailed,
    decode_outcome_untrusted,
    decode_progress_untrusted,
)

POLL_INTERVAL = 0.1
"""Seconds between two requests for the progress."""

CANCEL_GRACE = 15.0
"""Seconds that both sides may take to end a cancelled transfer."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent, from where and to whom."""

    file: Path
    size: int
    """Size of the file, in bytes; of a folder 0: the node looks into it."""
    source: str
    target: str
    network: LocalNetwork
    folder: bool = False

    @property
    def name(self) -> str:
        """Return the name that it is to have at the receiver."""
        return self.file.name if self.file.name not in ("", "..") else self.file.resolve().name

    @property
    def title(self) -> str:
        """Return what is sent, and to whom, for people."""
        return f"{self.name} → {self.target}"

    def command(self) -> str:
        """Return the command line that starts this transfer, or resumes it."""
        return self.network.command("send", str(self.file), "--from", self.source, "--to", self.target)


@dataclass(slots=True)
class Interrupts:
    """How often the user has asked us to stop."""

    count: int = 0


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Count Ctrl-C, SIGTERM and SIGHUP inside this context, instead of ending the command at once."""
    wanted = Interrupts()

    def count(number: int, frame: object) -> None:
        wanted.count += 1

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, count) for number in signals]
    try:
        yield wanted
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@dataclass(slots=True)
class Transfer:
    """A transfer that can be run once."""

    order: Order
    outcome: ControlClient
    """The connection that carries `Send`, and brings its outcome when it is over."""
    questions: ControlClient
    """The connection that carries everything else meanwhile."""
    shared_path: str
    id: str = attribute(default_factory=lambda: os.urandom(8).hex())
    received: int = 0
    """Bytes that the receiver holds, as far as it has told."""

    @classmethod
    @contextmanager
    def open(cls, order: Order) -> Iterator[Transfer]:
        """Connect to the sending node and let it read the one file, until this context ends. Raises NodeError."""
        with order.network.connect(order.source) as outcome, order.network.connect(order.source) as questions:
            path = str(questions.request("share", file=str(order.file.resolve()))["path"])
            try:
                yield cls(order, outcome, questions, path)
            finally:
                with contextlib.suppress(NodeError):
                    questions.request("unshare", path=path)

    def run(self, display: TransferDisplay, wanted: Interrupts) -> Done:
        """Send the file; raises TransferFailed, also when the user cancels, and NodeError."""
        order: dict[str, str | bool] = {
            "id": self.id,
            "path": self.shared_path,
            "name": self.order.name,
            "to": self.order.target,
        }
        if self.order.folder:
            order["folder"] = True
        try:
            _inject(self.outcome, {"Send": order}, TRANSFER_TIMEOUT)
            self._follow(display, wanted)
            done = decode_outcome_untrusted(self._receive_outcome())
        except NodeGone as error:
            again = self.order.network.boot(self.order.source, "--detach")
            sentence = f"{self.order.source} stopped during the transfer: start it again with `{again}`."
            raise TransferFailed("Other", sentence, self.received) from error
        display.show("done", done.size, done.size, (done.files, done.files))
        return done

    def _follow(self, display: TransferDisplay, wanted: Interrupts) -> None:
        """Show the progress until the outcome is there, or the user no longer wants to wait for it."""
        give_up = None
        told = ""
        while not self.outcome.has_answer(POLL_INTERVAL):
            now = time.monotonic()
            if wanted.count and give_up is None:
                give_up = now + CANCEL_GRACE
                display.note("Stopping the transfer on both sides.")
                self._ask("Cancel")
            if give_up is not None and (wanted.count > 1 or now > give_up):
                sentence = f"{self.order.source} has not confirmed that the transfer stopped."
                raise TransferFailed("Cancelled", sentence, self.received)
            if (state := decode_progress_untrusted(self._ask("Status"))) is not None:
                self.received = state.received
                if state.note and state.note != told:
                    display.note(f"{output.sentence(state.note)} Waiting; Ctrl-C gives up.")
                told = state.note
                files = (state.files, state.of_files)
                display.show(state.state, state.received, state.size or self.order.size, files)

    def _ask(self, question: str) -> Answer:
        _inject(self.questions, {question: {"id": self.id}}, QUESTION_TIMEOUT)
        return self.questions.receive()

    def _receive_outcome(self) -> Answer:
        answer = self.outcome.receive()
        if answer.get("outcome") == "response":
            return answer
        raise TransferFailed(
            "Other",
            f"The package file_transfer did not answer on {self.order.source} ({answer.get('reason')}): "
            f"see `{self.order.network.command('ps', '--node', self.order.source)}`.",
            self.received,
        )


def _inject(client: ControlClient, body: Mapping[str, Mapping[str, str | bool]], timeout: int) -> None:
    text = json.dumps(body, ensure_ascii=False)
    client.send("message", target=PROCESS, body=text, timeout=timeout, blob=None, mime=None)
