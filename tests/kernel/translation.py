"""Between the model's names and values and the kernel's."""

from __future__ import annotations

from kernel.contract.address import Address
from kernel.contract.guest import (
    Arrival,
    Effect,
    Failure,
    SendAndAwait,
    SendAndHear,
    SendRequest,
    SendResponse,
    Sleep,
    StopHearing,
)
from kernel.contract.message import Request, Response, SendErrorKind
from tests.kernel.model_values import NOBODY, PEER, SYSTEM, USER, Forget, Handed, Nap, Respond, Step
from tests.kernel.rig import CLOCK, OUR, TERMINAL, here, there

PLACES = {PEER: there("x"), SYSTEM: Address(OUR, CLOCK), USER: Address(OUR, TERMINAL), NOBODY: here(NOBODY)}


def address(name: str) -> Address:
    """Where the model's names are."""
    return PLACES.get(name) or here(name)


def name_of(address: Address) -> str:
    """The other way round."""
    found = [name for name, place in PLACES.items() if place == address]
    return found[0] if found else address.process.process


def told(answer: Arrival | Failure) -> Handed:
    """What a process was handed, as the model says it."""
    if isinstance(answer, Arrival):
        kind = "request" if isinstance(answer.message, Request) else "response"
        return Handed(kind, name_of(answer.source), answer.message.body, answer.context, answer.blob)
    error = answer.error
    kind = "offline" if error.kind is SendErrorKind.OFFLINE else "timeout"
    return Handed(kind, name_of(error.target), error.message.body, answer.context, error.blob)


def effect_of(step: Step) -> Effect:
    """What a guest leaves behind that does this."""
    if isinstance(step, Respond):
        return SendResponse(Response(step.inherit, step.body), step.blob)
    if isinstance(step, Forget):
        return StopHearing(step.number)
    if isinstance(step, Nap):
        return Sleep(step.until)
    request = Request(step.inherit, step.expects, step.body)
    if step.awaited:
        return SendAndAwait(address(step.target), request, step.blob)
    if step.heard is not None:
        return SendAndHear(step.heard, address(step.target), request, step.blob)
    return SendRequest(address(step.target), request, step.context, step.blob)
