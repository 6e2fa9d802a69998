"""Blobs that go between a client and its node as files: in base64, each MiB would hold up the node's only thread."""

from __future__ import annotations

import os
from pathlib import Path

import trio

from kernel.contract.guest import Arrival, Failure
from kernel.contract.limits import MAX_BLOB_BYTES
from kernel.contract.message import Buffer, LazyLoadBlob
from nectar_node.base import own_files
from nectar_node.base.errors import BadInput


async def blob_untrusted(path: str) -> LazyLoadBlob:
    """Return the blob in a file of ours; raises BadInput and NotOurs."""
    try:
        data = await trio.to_thread.run_sync(own_files.read, _absolute(path), MAX_BLOB_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_BLOB_BYTES:
        raise BadInput(f"A blob has at most {MAX_BLOB_BYTES >> 20} MiB.")
    return LazyLoadBlob(None, data)


async def put_down(answer: Arrival | Failure, path: str) -> Arrival | Failure:
    """Write an answer's blob to a file of ours, and return the answer without it; raises BadInput and NotOurs.

    The file is empty if there is no blob.
    """
    if not path or isinstance(answer, Failure) or answer.blob is None:
        return answer
    try:
        await trio.to_thread.run_sync(_write, _absolute(path), answer.blob.bytes)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.") from error
    return answer._replace(blob=None)


def _absolute(path: str) -> Path:
    if not path.startswith("/") or "\0" in path:
        raise BadInput("A blob's file has an absolute path.")
    return Path(path)


def _write(path: Path, data: Buffer) -> None:
    with os.fdopen(own_files.open_file(path, os.O_WRONLY | os.O_TRUNC), "wb") as file:
        file.write(data)
