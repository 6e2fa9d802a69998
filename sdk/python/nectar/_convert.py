"""Between the types of this package and those that componentize-py generates."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from wit_world.imports import standard as wit

from nectar import json
from nectar.address import Address, ProcessId, Target
from nectar.messages import (
    Blob,
    Capability,
    Offline,
    OnExit,
    OnExitRequest,
    Outgoing,
    Request,
    Response,
    SendError,
    Timeout,
)

WHAT = {wit.SendErrorKind.OFFLINE: (Offline, "is offline"), wit.SendErrorKind.TIMEOUT: (Timeout, "has not answered")}

_MAX_KNOWN = 1024
_known: dict[tuple[str, str, str, str], Address] = {}
"""Addresses that have come before: most messages come from few processes."""


_NO_CAPABILITIES: list[wit.Capability] = []
"""What most messages go with; nobody changes it."""


def body_of(value: object) -> bytes:
    """Return bytes as they are, and anything else as JSON."""
    if isinstance(value, bytes):
        return value
    return bytes(value) if isinstance(value, bytearray | memoryview) else json.dumps(value)


def to_process(id: ProcessId) -> wit.ProcessId:
    return wit.ProcessId(id.process, id.package, id.publisher)


def to_address(target: Target) -> wit.Address:
    return _spelt(target) if isinstance(target, str) else wit.Address(target.node, to_process(target.process))


@lru_cache(_MAX_KNOWN)
def _spelt(text: str) -> wit.Address:
    """Return the address that a text spells: a process asks few others, again and again."""
    return to_address(Address.parse(text))


def to_blob(blob: Blob | bytes | None) -> wit.LazyLoadBlob | None:
    if blob is None:
        return None
    return wit.LazyLoadBlob(blob.mime, blob.bytes) if isinstance(blob, Blob) else wit.LazyLoadBlob(None, blob)


def to_capabilities(capabilities: Iterable[Capability]) -> list[wit.Capability]:
    if capabilities == ():
        return _NO_CAPABILITIES
    return [wit.Capability(to_address(each.issuer), each.params) for each in capabilities]


def to_request(request: Outgoing) -> wit.Request:
    return wit.Request(
        request.inherit,
        request.timeout,
        body_of(request.body),
        request.metadata,
        to_capabilities(request.capabilities),
    )


def to_on_exit(on_exit: OnExit) -> wit.OnExit:
    if on_exit.restart:
        return wit.OnExit_Restart()
    if not on_exit.requests:
        return wit.OnExit_None_()
    return wit.OnExit_Requests(
        [
            (
                to_address(each.target),
                wit.Request(each.inherit, None, body_of(each.body), None, []),
                to_blob(each.blob),
            )
            for each in on_exit.requests
        ]
    )


def from_process(id: wit.ProcessId) -> ProcessId:
    return ProcessId(id.process_name, id.package_name, id.publisher_node)


def from_address(address: wit.Address) -> Address:
    id = address.process
    key = (address.node, id.process_name, id.package_name, id.publisher_node)
    known = _known.get(key)
    if known is None:
        if len(_known) == _MAX_KNOWN:
            _known.clear()
        known = _known[key] = Address(address.node, from_process(id))
    return known


def from_blob(blob: wit.LazyLoadBlob | None) -> Blob | None:
    return None if blob is None else Blob(blob.bytes, blob.mime)


def from_capabilities(capabilities: Iterable[wit.Capability]) -> tuple[Capability, ...]:
    return tuple(Capability(from_address(each.issuer), each.params) for each in capabilities)


def from_on_exit(on_exit: wit.OnExit) -> OnExit:
    if isinstance(on_exit, wit.OnExit_Requests):
        requests = tuple(
            OnExitRequest(from_address(target), request.body, request.inherit, from_blob(blob))
            for target, request, blob in on_exit.value
        )
        return OnExit(requests=requests)
    return OnExit(restart=isinstance(on_exit, wit.OnExit_Restart))


def from_message(source: wit.Address, message: wit.Message, number: int) -> Request | Response:
    """`number`: of the message, as `Message` keeps it."""
    if isinstance(message, wit.Message_Request):
        asked = message.value
        capabilities = from_capabilities(asked.capabilities) if asked.capabilities else ()
        request = Request(from_address(source), asked.body, asked.metadata, asked.inherit, capabilities, number)
        request.expects_response = asked.expects_response
        return request
    answered, context = message.value
    capabilities = from_capabilities(answered.capabilities) if answered.capabilities else ()
    response = Response(from_address(source), answered.body, answered.metadata, answered.inherit, capabilities, number)
    response.context = context
    return response


def from_error(error: wit.SendError, context: bytes | None, target: Target | None = None) -> SendError:
    """`target`: whom the message was for, if that is known."""
    of_request = isinstance(error.message, wit.Message_Request)
    body = error.message.value.body if isinstance(error.message, wit.Message_Request) else error.message.value[0].body
    kind, what = WHAT[error.kind]
    blob = from_blob(error.lazy_load_blob)
    return kind(f"{target or 'the other end'} {what}", of_request=of_request, body=body, blob=blob, context=context)
