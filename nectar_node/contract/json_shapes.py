"""The JSON of system processes' requests and answers: the existing node's shapes of what they have in common.

An enum is a string if its variant holds nothing, else an object with one key; process ids and addresses are texts;
bytes are arrays of numbers. The functions here raise `RequestRefused` for anything that is wrong, and nothing else.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address, ProcessId
from kernel.contract.capability import Capability, canonical_untrusted
from kernel.contract.errors import BadAddress
from kernel.contract.message import (
    ON_EXIT_NONE,
    ON_EXIT_RESTART,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Request,
)


class RequestRefused(Exception):
    """A request gets {"Err": value}; carries that value."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value

    def parts(self) -> tuple[str, dict[str, object]]:
        """Return the kind of error and the facts about it, for `nectar_node.contract.generations`."""
        ((kind, facts),) = self.value.items() if isinstance(self.value, dict) else ((str(self.value), {}),)
        return kind, facts if isinstance(facts, dict) else {"error": facts}

    def __str__(self) -> str:
        """Return the refusal as half a sentence for people."""
        match self.value:
            case {"NoCap": {"action": str(action), **rest}}:
                about, sentence = [*rest.values()], f"it may not {action}"
            case dict() as value if len(value) == 1 and isinstance(inner := next(iter(value.values())), dict):
                about = [each for key, each in inner.items() if key not in ("error", "action")]
                sentence = str(inner.get("error", "the request does not carry what it needs"))
            case _:
                return json.dumps(self.value)
        return f"{sentence} ({', '.join(map(str, about))})" if about else sentence


def bad_request(sentence: str) -> RequestRefused:
    """Return the refusal of a request that cannot be understood."""
    return RequestRefused({"BadRequest": {"error": sentence}})


def load_untrusted(body: bytes, most: int) -> Any:
    """Return the JSON value of a body of at most `most` bytes; raises RequestRefused.

    NaN and halves of surrogate pairs are not JSON. The bound is there because reading it takes the node's only thread.
    """
    if len(body) > most:
        raise bad_request(f"the body is longer than {most} bytes")
    try:
        return msgspec.json.decode(body)  # a fifth of the time of `json.loads`, for a small request
    except (msgspec.DecodeError, RecursionError):
        raise RequestRefused({"BadJson": {"error": "the body is not JSON"}}) from None


def dump(value: object) -> bytes:
    """Return a value as a body."""
    try:
        return msgspec.json.encode(value)  # a tenth of the time of `json.dumps`
    except (TypeError, ValueError, RecursionError):
        pass  # halves of surrogate pairs, or numbers of more than 64 bits
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def variant_untrusted(value: object) -> tuple[str, Any]:
    """Return name and argument (None for a plain string) of an enum's variant; raises RequestRefused."""
    if isinstance(value, str):
        return value, None
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        return str(name), argument
    raise bad_request('expected "Action" or {"Action": argument}')


def field_untrusted(value: object, name: str) -> Any:
    """Return one field of an object; raises RequestRefused."""
    if not isinstance(value, dict) or name not in value:
        raise bad_request(f"expected an object with the field {name}")
    return value[name]


def text_untrusted(value: object) -> str:
    """Return a text that can be written as UTF-8; raises RequestRefused."""
    if not isinstance(value, str):
        raise bad_request("expected a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise bad_request("a text holds half of a surrogate pair") from None
    return value


def number_untrusted(value: object, most: int = (1 << 63) - 1) -> int:
    """Return a whole number from 0 to `most`; raises RequestRefused."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise bad_request(f"expected a whole number from 0 to {most}")
    return value


def process_untrusted(value: object) -> ProcessId:
    """Return a process id; raises RequestRefused."""
    try:
        return ProcessId.parse(_short_untrusted(value))
    except BadAddress as error:
        raise bad_request(str(error)) from None


def address_untrusted(value: object, our: str) -> Address:
    """Return an address, with `our` in it resolved; raises RequestRefused."""
    try:
        address = Address.parse(_short_untrusted(value))
    except BadAddress as error:
        raise bad_request(str(error)) from None
    return Address(our, address.process) if address.node == OUR_NODE else address


def capability_untrusted(value: object, our: str) -> Capability:
    """Return the capability in {"issuer": address, "params": JSON text}, made canonical; raises RequestRefused.

    A signature beside them, as the first packages send it, has no meaning here.
    """
    if isinstance(value, list) and len(value) == 2:
        value = value[0]  # with its signature
    params = text_untrusted(field_untrusted(value, "params"))
    issuer = address_untrusted(field_untrusted(value, "issuer"), our)
    try:
        return canonical_untrusted(Capability(issuer, params))
    except ValueError:
        most = limits.MAX_PARAMS_BYTES
        raise bad_request(f"a capability's params are a text of JSON, of at most {most} bytes") from None


def capabilities_untrusted(value: object, our: str) -> tuple[Capability, ...]:
    """Return an array of capabilities; raises RequestRefused."""
    if not isinstance(value, list) or len(value) > limits.MAX_CAPABILITIES:
        raise bad_request(f"expected an array of at most {limits.MAX_CAPABILITIES} capabilities")
    return tuple(capability_untrusted(each, our) for each in value)


def capability_json(capability: Capability) -> dict[str, object]:
    """Return a capability as JSON."""
    return {"issuer": str(capability.issuer), "params": capability.params}


def on_exit_untrusted(value: object, our: str) -> OnExit:
    """Return an on-exit: "None", "Restart" or {"Requests": [[address, request, blob or null], …]}.

    Raises RequestRefused.
    """
    if value == "None":
        return ON_EXIT_NONE
    if value == "Restart":
        return ON_EXIT_RESTART
    requests = field_untrusted(value, "Requests")
    if not isinstance(requests, list) or len(requests) > limits.MAX_REQUESTS:
        raise bad_request(f"on_exit holds an array of at most {limits.MAX_REQUESTS} requests")
    return OnExit(OnExitAction.REQUESTS, tuple(_on_exit_request_untrusted(each, our) for each in requests))


_EMPTIED: dict[str, object] = {
    "inherit": False,
    "expects_response": None,
    "body": [],
    "metadata": None,
    "capabilities": [],
}
"""A request whose content is not shown."""


def on_exit_json(on_exit: OnExit) -> object:
    """Return an on-exit as `on_exit_untrusted` reads it, but without the requests' bytes and capabilities."""
    if on_exit.action is OnExitAction.REQUESTS:
        return {"Requests": [[str(each.target), _EMPTIED, None] for each in on_exit.requests]}
    return "Restart" if on_exit.action is OnExitAction.RESTART else "None"


def _on_exit_request_untrusted(value: object, our: str) -> OnExitRequest:
    if not isinstance(value, list) or len(value) not in (2, 3):
        raise bad_request("an on-exit request is [address, request, blob or null]")
    target, request = address_untrusted(value[0], our), value[1]
    metadata = request.get("metadata") if isinstance(request, dict) else None
    message = Request(
        False,
        None,  # the process that would wait for the answer is gone
        _bytes_untrusted(field_untrusted(request, "body"), limits.MAX_BODY_BYTES),
        text_untrusted(metadata) if metadata is not None else None,
        capabilities_untrusted(request.get("capabilities", []), our),
    )
    blob = value[2] if len(value) == 3 else None
    return OnExitRequest(target, message, _blob_untrusted(blob) if blob is not None else None)


def _blob_untrusted(value: object) -> LazyLoadBlob:
    data = _bytes_untrusted(field_untrusted(value, "bytes"), limits.MAX_BLOB_BYTES)
    mime = value.get("mime") if isinstance(value, dict) else None
    return LazyLoadBlob(text_untrusted(mime) if mime is not None else None, data)


def _bytes_untrusted(value: object, most: int) -> bytes:
    """Return the bytes in an array of numbers, or a text."""
    if isinstance(value, str):
        return text_untrusted(value).encode()
    if not isinstance(value, list) or len(value) > most:
        raise bad_request(f"expected an array of at most {most} bytes")
    if not all(isinstance(each, int) and not isinstance(each, bool) and 0 <= each <= 255 for each in value):
        raise bad_request("a byte is a number from 0 to 255")
    return bytes(value)


def _short_untrusted(value: object) -> str:
    text = text_untrusted(value)
    if len(text) > limits.MAX_NAME_BYTES:
        raise bad_request("a name is too long")
    return text
