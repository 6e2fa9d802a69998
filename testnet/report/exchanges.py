"""Requests of a journal with all that came of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from testnet.report.model import DrawnMessage, FailedMessage, Picture

USER = "@terminal:terminal:sys"
HELPERS = ("hello:hello:sys", "terminal:terminal:sys")
"""Processes with which every node is tried; nobody wants to read of them unless they are all there is."""


@dataclass(slots=True)
class ToldRequest:
    """A request, and all that is known of it."""

    request: DrawnMessage
    answer: DrawnMessage | None = None
    outcome: FailedMessage | None = None
    """Offline or Timeout."""
    dropped: list[FailedMessage] = field(default_factory=list)

    @property
    def began(self) -> float:
        """When it was sent, or else when it arrived."""
        return time_of(self.request)

    @property
    def is_abroad(self) -> bool:
        """Whether it goes to another node."""
        return node_of(self.request.source) != node_of(self.request.target)


def exchanges_of(picture: Picture, until: float) -> list[ToldRequest]:
    """Return those that were sent by then, in the order of the journal, with what came of them by then."""
    found: dict[tuple[str, str], ToldRequest] = {}
    for message in picture.messages:
        if time_of(message) > until:
            continue
        if not message.response:
            found.setdefault((message.id, message.source), ToldRequest(message))
        elif (exchange := found.get((message.id, message.target))) is not None and exchange.answer is None:
            exchange.answer = message
    for failure in picture.failures:
        if failure.at > until:
            continue
        if failure.what != "dropped":
            exchange = found.get((failure.id, failure.source)) or found.get((failure.id, failure.target))
            if exchange is not None and exchange.outcome is None:
                exchange.outcome = failure
            continue
        exchange = found.get((failure.id, failure.target)) or found.get((failure.id, failure.source))
        if exchange is not None:
            exchange.dropped.append(failure)
    return list(found.values())


def time_of(message: DrawnMessage) -> float:
    """Return when it was sent, or else when it arrived."""
    if message.sent is not None:
        return message.sent
    return message.arrived if message.arrived is not None else 0.0


def node_of(address: str) -> str:
    """Return the node of an address."""
    return address.partition("@")[0]


def is_helper(each: ToldRequest) -> bool:
    """Return whether it goes to a process with which nodes are tried."""
    return each.request.target.endswith(HELPERS)
