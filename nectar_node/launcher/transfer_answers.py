"""What the package file_transfer is asked for, and what it answers."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct, field

from nectar_node.base import decoding
from nectar_node.base.errors import NodeError
from nectar_node.launcher.client import Answer, ControlError

T = TypeVar("T")

PROCESS = "our@file_transfer:file_transfer:sys"
TRANSFER_TIMEOUT = 365 * 24 * 3600
"""Seconds for the whole transfer, without a real bound: the process itself notices a peer that is gone."""

QUESTION_TIMEOUT = 5
"""Seconds for the process to report its progress, or to take a Cancel."""


class TransferFailed(NodeError):
    """The transfer ended, and the file has not arrived.

    `kind` is the process's: Offline, Timeout, Refused, Changed, NotFound, Disk, Cancelled, Superseded or Other;
    `received` is what the receiver holds, in bytes.
    """

    def __init__(self, kind: str, sentence: str, received: int = 0) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.received = received


class TransferProgress(Struct, frozen=True):
    """The progress of a transfer, as the process tells it."""

    state: str
    received: int = field(name="bytes")
    """Bytes that the receiver holds."""
    size: int
    resumed_from: int
    note: str = ""
    """What the transfer waits for; empty if nothing."""
    files: int = 0
    """Files of a folder that are whole."""
    of_files: int = 0
    """Files that there are in it."""


class Done(Struct, frozen=True):
    """The result of a completed transfer, as the process tells it."""

    name: str
    """The name under which the receiver stored the file."""
    size: int = field(name="bytes")
    sent: int
    """Bytes that were sent this time."""
    digest: str = field(name="hash")
    """BLAKE3, in hexadecimal digits; both ends computed it."""
    path: str
    """The file's path in the receiver's vfs."""
    files: int = 0
    """Files in a folder."""
    left_out: str = ""
    """What of a folder was not sent; empty: nothing."""

    @property
    def resumed_from(self) -> int:
        """Bytes that had arrived before."""
        return max(0, self.size - self.sent)


class _Failed(Struct, frozen=True):
    reason: str
    kind: str
    received: int


class _Told(Struct, frozen=True, rename="pascal"):
    """An answer of the process: one of these."""

    status: TransferProgress | None = None
    done: Done | None = None
    failed: _Failed | None = None
    err: str | None = None


def decode_progress_untrusted(answer: Answer) -> TransferProgress | None:
    """Return the progress in the answer to `Status`; None if there is none in it (yet). Raises ControlError."""
    return decode_untrusted(answer, _Told).status if answer.get("outcome") == "response" else None


def decode_outcome_untrusted(answer: Answer) -> Done:
    """Return the end of a transfer in the response to `Send`; raises TransferFailed, also for one that makes
    no sense.
    """
    try:
        told = decode_untrusted(answer, _Told)
    except ControlError as error:
        raise TransferFailed("Other", str(error)) from error
    if told.failed is not None:
        raise TransferFailed(told.failed.kind, told.failed.reason, told.failed.received)
    if told.done is None:
        raise TransferFailed("Other", told.err or "The package file_transfer gave an answer of unknown shape.")
    return told.done


def decode_untrusted(answer: Answer, type: type[T]) -> T:
    """Return what the process says in a response; raises ControlError."""
    try:
        return decoding.decode_untrusted(str(answer.get("body")), type)
    except decoding.BadShape as error:
        raise ControlError(
            f"The package file_transfer gave an answer of unknown shape ({error}): it may be another version."
        ) from error
