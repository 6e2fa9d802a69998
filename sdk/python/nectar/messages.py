"""What goes between processes: requests, responses, and the errors that come in place of a response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nectar import json
from nectar.address import Address, Target
from nectar.errors import NectarError, Refused


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that enter a process only if it takes them: for what is large, up to 64 MiB."""

    bytes: bytes
    mime: str | None = None


@dataclass(frozen=True, slots=True)
class Capability:
    """The right to do what `params`, a JSON text, say; `issuer` is the process that looks at it."""

    issuer: Address
    params: str


class Message:
    """What requests and responses have in common."""

    __slots__ = ("_blob", "_number", "body", "capabilities", "inherit", "metadata", "source")

    source: Address
    """On another node, only `source.node` is proven; the process is that node's claim."""
    body: bytes
    metadata: str | None
    """A JSON text."""
    inherit: bool
    capabilities: tuple[Capability, ...]

    def __init__(
        self,
        source: Address,
        body: bytes,
        metadata: str | None,
        inherit: bool,
        capabilities: tuple[Capability, ...],
        number: int,
    ) -> None:
        """`number` tells this message from the one that is being handled (`nectar.kernel`)."""
        self.source = source
        self.body = body
        self.metadata = metadata
        self.inherit = inherit
        self.capabilities = capabilities
        self._number = number
        self._blob: Blob | bool | None = False

    def json(self) -> Any:
        """Return the body as JSON; raises BadJson."""
        return json.loads(self.body)

    def blob(self) -> Blob | None:
        """Return the blob, copied into this process, if there is one.

        The kernel has it while this message is the one that is being handled: take it before the next `receive`, and in
        an async handler before the next `await`. What was taken once stays here. Raises RuntimeError if it is too late.
        """
        if isinstance(self._blob, bool):
            from nectar import kernel

            self._blob = kernel.take_blob(self._number)
        return self._blob


class Request(Message):
    """A request of another process."""

    __slots__ = ("expects_response",)

    expects_response: int | None
    """Seconds that the requester waits for an answer; None: it wants none."""

    @property
    def wants_answer(self) -> bool:
        """Whether somebody may wait for our answer."""
        return self.expects_response is not None or self.inherit

    def __repr__(self) -> str:
        """Return a line for logs."""
        return f"<request of {self.source}, {len(self.body)} bytes>"


class Response(Message):
    """The answer to a request of ours."""

    __slots__ = ("context",)

    context: bytes | None
    """What the request was sent with."""

    def ok(self) -> Any:
        """Return the body as JSON; raises Refused if that is `{"Err": reason}`, and BadJson."""
        found = self.json()
        if isinstance(found, dict) and len(found) == 1 and "Err" in found:
            raise Refused(found["Err"])
        return found

    def __repr__(self) -> str:
        """Return a line for logs."""
        return f"<response of {self.source}, {len(self.body)} bytes>"


class SendError(NectarError):
    """A message of ours was not delivered, or not answered in time: Offline or Timeout. `receive` returns it, and what
    waits for an answer raises it.
    """

    def __init__(
        self,
        what: str,
        *,
        of_request: bool = True,
        body: bytes = b"",
        blob: Blob | None = None,
        context: bytes | None = None,
    ) -> None:
        """`what` goes wrong, as a sentence."""
        super().__init__(what)
        self.of_request = of_request
        """Whether it was a request; else a response of ours has come back."""
        self.body = body
        """Of the message."""
        self.blob = blob
        """Of the message."""
        self.context = context
        """What the request was sent with."""


class Offline(SendError):
    """The node cannot be reached."""


class Timeout(SendError):
    """Anything else has kept the answer away: nobody knows what became of the request."""


Event = Request | Response | SendError
"""What `receive` returns."""


@dataclass(slots=True)
class Outgoing:
    """A request to send, for `send_all`."""

    # Like Reply it is made for each message, and a frozen one takes three times as long to make.

    target: Target
    body: object = b""
    """Bytes as they are; anything else as JSON."""
    timeout: int | None = None
    """Seconds until Timeout; None: no answer is wanted."""
    inherit: bool = False
    """Pass on the current blob (unless there is a `blob`) and, if no answer is wanted, the right to answer: then the
    answer goes to whoever waits for ours."""
    context: bytes | None = None
    """Comes back with the outcome; never leaves this node."""
    metadata: str | None = None
    blob: Blob | bytes | None = None
    capabilities: Sequence[Capability] = ()


@dataclass(slots=True)
class Reply:
    """An answer with more than a body: what a handler may return."""

    body: object = b""
    """Bytes as they are; anything else as JSON."""
    blob: Blob | bytes | None = None
    inherit: bool = False
    """Pass on the blob of the message that is being handled, unless there is a `blob`."""
    metadata: str | None = None
    capabilities: Sequence[Capability] = ()


@dataclass(frozen=True, slots=True)
class OnExitRequest:
    """A request that is sent when this process ends."""

    target: Target
    body: object = b""
    inherit: bool = False
    blob: Blob | bytes | None = None


@dataclass(frozen=True, slots=True)
class OnExit:
    """What happens when a process returns or fails: nothing, `OnExit(restart=True)`, or requests that are sent."""

    restart: bool = False
    requests: Sequence[OnExitRequest] = field(default=())
