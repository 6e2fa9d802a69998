"""HTTP as a guest asks for it by wasi:http, and how it becomes a message to a process that knows servers.

A guest's call is a request of its own to that process, so what it may do is decided as for every message. Which process
that is and what the messages look like is given.
"""

from __future__ import annotations

from typing import NamedTuple

from kernel.contract.message import Buffer

HttpFields = tuple[tuple[str, bytes], ...]
"""Names in lower case, and values; one name may come several times."""


class HttpCall(NamedTuple):
    """What a guest asks of a server."""

    method: str
    url: str
    fields: HttpFields
    body: Buffer


class ServerAnswer(NamedTuple):
    """What a server has answered."""

    status: int
    fields: HttpFields
    body: Buffer


class HttpFailure(NamedTuple):
    """Why there is no answer."""

    code: str
    """A case of wasi:http's error-code; those that `kernel.wasm.wasi.http_errors` does not know become
    internal-error."""
    sentence: str
    """Half a sentence."""
