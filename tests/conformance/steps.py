"""What a probe can be told to do: each function is one step of the script in a request (tests/guests/probe.zig)."""

from __future__ import annotations

import json
from typing import Any

Step = dict[str, Any] | str

GET_BLOB = "GetBlob"
OUR_CAPABILITIES = "OurCapabilities"
SAVE_RECEIVED = "SaveReceived"
GET_ON_EXIT = "GetOnExit"
GET_STATE = "GetState"
CLEAR_STATE = "ClearState"
RECURSE = "Recurse"
SPIN = "Spin"
TRAP = "Trap"
RETURN = "Return"

MESSAGING = '"messaging"'


def script(*steps: Step) -> bytes:
    """The body of a request that has a probe run these."""
    return json.dumps(steps).encode()


def blob(text: str = "", *, mime: str | None = None, size: int | None = None) -> dict[str, Any]:
    """A blob of one's own."""
    return {"text": text, "mime": mime, "size": size}


def capability(issuer: object, params: str = MESSAGING) -> dict[str, str]:
    """A capability as a guest names it; `params` is JSON text."""
    return {"issuer": str(issuer), "params": params}


def message(
    to: object, body: str = "", *steps: Step, then: tuple[Step, ...] | None = None, **more: Any
) -> dict[str, Any]:
    """A request: `steps` instead of the body are what the receiver is to do; `then` instead of a context is what the
    sender is to do with the outcome. More: size, expects, inherit, context, metadata, blob, capabilities."""
    result = {"to": str(to), "body": body, **more}
    if steps:
        result["script"] = list(steps)
    if then is not None:
        result["then"] = list(then)
    return result


def send(to: object, body: str = "", *steps: Step, **more: Any) -> Step:
    """send-request, as `message` says."""
    return {"Send": message(to, body, *steps, **more)}


def send_many(*messages: dict[str, Any]) -> Step:
    """send-requests."""
    return {"SendMany": list(messages)}


def wait_for(to: object, body: str = "", *steps: Step, **more: Any) -> Step:
    """send-and-await-response."""
    return {"Await": message(to, body, *steps, **more)}


def respond(body: str = "answer", **more: Any) -> Step:
    """send-response. More: size, inherit, metadata, blob, capabilities."""
    return {"Respond": {"body": body, **more}}


def receive(count: int = 1) -> Step:
    """Take so many messages now, and only note them."""
    return {"Receive": count}


def receive_until(body: str) -> Step:
    """Take messages up to and with the one of that body."""
    return {"ReceiveUntil": body}


def spawn(name: str | None = None, **more: Any) -> Step:
    """spawn. More: path, on_exit, capabilities, grants, public."""
    return {"Spawn": {"name": name, **more}}


def save(*capabilities: dict[str, str]) -> Step:
    """save-capabilities."""
    return {"SaveCapabilities": list(capabilities)}


def drop(*capabilities: dict[str, str]) -> Step:
    """drop-capabilities."""
    return {"DropCapabilities": list(capabilities)}


def set_on_exit(*messages: dict[str, Any], action: str = "Requests") -> Step:
    """set-on-exit: requests, or the `action` None or Restart."""
    return {"SetOnExit": {"Requests": list(messages)} if action == "Requests" else action}


def set_state(text: str) -> Step:
    """set-state."""
    return {"SetState": text}


def say(text: str, verbosity: int = 0) -> Step:
    """print-to-terminal."""
    return {"Print": {"verbosity": verbosity, "text": text}}


def flood(to: object, count: int, size: int = 0) -> Step:
    """Send so many requests in one go, that expect nothing, each of `size` bytes if given and numbered from 0."""
    return {"Flood": {"to": str(to), "count": count, "size": size}}


def grow(pages: int) -> Step:
    """Take so many more pages of memory, of 64 KiB; as many as there are."""
    return {"Grow": pages}


def on_returned(*steps: Step) -> Step:
    """What to do when a response of ours comes back."""
    return {"OnReturned": list(steps)}
