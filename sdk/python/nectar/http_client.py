"""Servers of the internet, by `http_client:distro:sys`, which the manifest asks for.

    answer = await http_client.fetch("https://api.example.com/prices?of=tea")
    prices = answer.json()

`fetch(…).wait()` does the same where nothing else is to happen meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nectar import json
from nectar.messages import Response
from nectar.node import Question, question

_TARGET = "our@http_client:distro:sys"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server has answered."""

    status: int
    headers: dict[str, str]
    """Names are in lower case; of several with one name, the values with commas."""
    body: bytes = field(default=b"", repr=False)

    def text(self) -> str:
        """Return the body as UTF-8; what is none is replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """Return the body as JSON; raises BadJson."""
        return json.loads(self.body)


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: int = 30,
) -> Question[Fetched]:
    """Ask a server; `timeout` seconds are for the whole answer, redirects included.

    Raises, when awaited, Refused with the node's reason if there is no answer, and Timeout. Any status is an answer.
    """
    asked = {"method": method, "version": None, "url": url, "headers": dict(headers or {})}
    return question(_TARGET, {"Http": asked}, _read, timeout=timeout, blob=body)


def _read(response: Response) -> Fetched:
    blob = response.blob()
    told = response.ok()["Ok"]["Http"]
    return Fetched(told["status"], told["headers"], b"" if blob is None else blob.bytes)
