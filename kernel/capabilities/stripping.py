"""Removes the capabilities of killed processes from messages in flight (G21).

What a process attaches is checked when it sends; by the time the message is taken, the issuer may have been killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable

from kernel.contract.address import Address
from kernel.contract.guest import Arrival
from kernel.contract.mailbox import Delivery
from kernel.contract.message import Envelope, Request, Response
from kernel.contract.process import Parked, Process


def strip(
    processes: Iterable[Process], starting: Iterable[deque[Process | Parked | Delivery]], issuers: Container[Address]
) -> None:
    """Remove what `issuers` have issued from everything that waits for one of these processes, or that one waits to
    send, and from what waits in the queues of processes that are `starting`."""
    for process in processes:
        if any(_carries(delivery.answer, issuers) for delivery in process.mailbox.deliveries()):
            process.mailbox.replace(lambda delivery: _strip_delivery(delivery, issuers))
        if process.stall is not None:
            process.stall = process.stall._replace(envelope=_strip_envelope(process.stall.envelope, issuers))
        process.waiters.replace(lambda waiter: _strip_waiter(waiter, issuers))
    for waiters in starting:
        for index, waiter in enumerate(waiters):
            if isinstance(waiter, Delivery):
                waiters[index] = _strip_delivery(waiter, issuers)
            else:
                waiters[index] = _strip_waiter(waiter, issuers)


def _strip_waiter(waiter: Process | Parked, issuers: Container[Address]) -> Process | Parked:
    if isinstance(waiter, Parked):
        return waiter._replace(envelope=_strip_envelope(waiter.envelope, issuers))
    return waiter


def _carries(answer: object, issuers: Container[Address]) -> bool:
    return isinstance(answer, Arrival) and any(each.issuer in issuers for each in answer.message.capabilities)


def _strip_delivery(delivery: Delivery, issuers: Container[Address]) -> Delivery:
    answer = delivery.answer
    if not isinstance(answer, Arrival) or not _carries(answer, issuers):
        return delivery
    return delivery._replace(answer=answer._replace(message=_without(answer.message, issuers)))


def _strip_envelope(envelope: Envelope, issuers: Container[Address]) -> Envelope:
    return envelope._replace(message=_without(envelope.message, issuers))


def _without(message: Request | Response, issuers: Container[Address]) -> Request | Response:
    return message._replace(capabilities=tuple(each for each in message.capabilities if each.issuer not in issuers))
