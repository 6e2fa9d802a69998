"""Threads that send one file after another from each node to the others, and check that each arrives unchanged."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nectar_node.base.errors import NodeError
from nectar_node.launcher.client import Answer, ControlClient, NodeGone
from nectar_node.launcher.transfer_answers import PROCESS, TransferFailed, decode_outcome_untrusted
from testnet.chaos.context import ChaosContext

SIZES = (0, 1000, 65_536, 1_000_000, 4_000_000, 16_000_000)
TIMEOUT = 80
"""Seconds for one transfer."""
PAUSE = 0.2
"""Seconds between two."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    target: str
    digest: str
    size: int


class Sender:
    """The files that one node sends."""

    def __init__(self, context: ChaosContext, name: str, prefix: str) -> None:
        """`prefix`: what the names of all files of this run begin with, and of no others."""
        self._context = context
        self._name = name
        self._prefix = prefix
        self._chance = Random(f"{context.seed}/files/{name}")
        self._number = 0
        self._lent = ""
        """The path of the present file on the node's machine."""
        self._unsure: list[_File] = []
        """Files that may still arrive, though their sender was not told so."""

    def run(self) -> None:
        """Send files until nothing new is to begin."""
        while not self._context.finishing.is_set():
            if self._context.runs(self._name):
                self._send(self._draw())
            self._context.finishing.wait(PAUSE)

    def sweep(self) -> None:
        """Check and remove files that have arrived without a report, once all transfers have ended
        (`testnet.chaos.leftovers`)."""
        for file in self._unsure:
            self._check(file, must_be_there=False)

    def _draw(self) -> _File:
        self._number += 1
        path = self._context.scratch / f"{self._prefix}{self._name}-{self._number}.bin"
        target = self._chance.choice(self._context.others(self._name))
        data = self._chance.randbytes(self._chance.choice(SIZES))
        path.write_bytes(data)
        return _File(path, target, _digest(data), len(data))

    def _send(self, file: _File) -> None:
        transfers, lock, has_begun = self._context.report.transfers, self._context.lock, False
        pid = self._context.network.place(self._name).owner()
        self._lent = str(file.path)
        try:
            self._lent = self._context.ground.lend(self._name, file.path)
            with self._context.network.connect(self._name) as client:
                order = self._order(client, file)
                client.send("message", target=PROCESS, body=order, timeout=TIMEOUT, blob=None, mime=None)
                has_begun = True
                with lock:
                    transfers.started += 1
                answer = self._await(client, file)
            self._end(file, answer)
        except NodeGone:
            died = self._context.has_ended(self._name, pid)
            with lock:
                transfers.died += has_begun and died
                transfers.unended += has_begun and not died
            self._unsure.append(file)
        except NodeError:  # the node cannot be asked just now
            with lock:
                transfers.unended += has_begun
            self._unsure.append(file)
        finally:
            self._context.ground.take_back(self._name, self._lent)
            file.path.unlink(missing_ok=True)

    def _order(self, client: ControlClient, file: _File) -> str:
        shared = client.request("share", file=self._lent)["path"]
        order = {"id": file.path.stem, "path": shared, "name": file.path.name, "to": file.target}
        return json.dumps({"Send": order})

    def _await(self, client: ControlClient, file: _File) -> Answer | None:
        """Return the outcome, or None if nobody waits for it any longer."""
        is_cancelled = False
        while not client.has_answer(0.2):
            if self._context.has_no_patience():
                return None
            if self._context.hurried.is_set() and not is_cancelled:
                is_cancelled = True
                self._cancel(file)
        return client.receive()

    def _cancel(self, file: _File) -> None:
        body = json.dumps({"Cancel": {"id": file.path.stem}})
        with contextlib.suppress(NodeError), self._context.network.connect(self._name) as client:
            client.request("message", patience=5.0, target=PROCESS, body=body, timeout=5, blob=None, mime=None)

    def _end(self, file: _File, answer: Answer | None) -> None:
        transfers = self._context.report.transfers
        kind = kind_of_failure(answer)
        if kind is None:
            self._check(file, must_be_there=True)
        else:
            self._unsure.append(file)
        with self._context.lock:
            if kind is None:
                transfers.completed += 1
                transfers.bytes += file.size
            elif answer is None and self._context.abandoned:
                transfers.abandoned += 1
            elif answer is None:
                transfers.unended += 1
            else:
                transfers.failed[kind] += 1

    def _check(self, file: _File, must_be_there: bool) -> None:
        """Check that a file that is there is the one that was sent, and remove it."""
        try:
            found = self._context.ground.received(file.target, file.path.name)
        except NodeError as error:  # its machine is lost
            self._context.report.unseen(file.target, error)
            return
        if found is None:
            if must_be_there:
                self._complain(f"{self._name} was told that {file.target} has {file.path.name}, which is not there")
        elif found == (file.size, file.digest):
            with contextlib.suppress(OSError):
                self._context.ground.drop_received(file.target, file.path.name)
        else:
            differs = f"{file.path.name} in the inbox of {file.target} differs from what {self._name} sent"
            self._complain(f"{differs} ({found[0]} bytes, sent were {file.size})")

    def _complain(self, sentence: str) -> None:
        with self._context.lock:
            self._context.report.transfers.wrong.append(sentence)


def kind_of_failure(answer: Answer | None) -> str | None:
    """Return the kind of error that a sender was told; None: the file is there."""
    if answer is None:
        return "nothing"
    if answer.get("outcome") != "response":
        return f"no answer ({answer.get('reason')})"
    try:
        decode_outcome_untrusted(answer)
    except TransferFailed as failure:
        return failure.kind
    return None


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data).hexdigest()
