"""tests/guests/probe.zig in Python, step for step: a process that does what it is told, and tells what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from wit_world.imports import standard as wit

import nectar
from nectar import _convert, json, kernel
from nectar.messages import Event

SHORT = 200
"""Bytes of a body or blob that are told."""
PAGE = 64 * 1024

Fields = dict[str, Any]

log: list[str] = []
received: tuple[nectar.Capability, ...] = ()
on_returned: bytes | None = None
ending = False


def init(_: nectar.Address) -> None:
    global on_returned
    while not ending:
        match receive():
            case nectar.Request(body=b'"Report"'):
                log.pop()  # the request for it
                kernel.respond(f"[{','.join(log)}]".encode())
            case nectar.Request(body=b'"Forget"'):
                log.clear()
                kernel.respond(b"[]")
            case nectar.Request(body=body):
                run_if_script(body)
            case nectar.SendError(of_request=False):
                script, on_returned = on_returned, None
                run_if_script(script or b"")
            case event:
                run_if_script(event.context or b"")


def run_if_script(text: bytes) -> None:
    if text.startswith(b"["):
        for step in json.loads(text):
            name, payload = (step, None) if isinstance(step, str) else next(iter(step.items()))
            STEPS[name](payload)
            if ending:
                return


# --- messages


def receive() -> Event:
    event = kernel.receive()
    see_event(event)
    return event


def receive_many(count: int) -> None:
    for _ in range(count):
        receive()


def receive_until(body: str) -> None:
    while receive().body != body.encode():
        pass


def outgoing(message: Fields) -> nectar.Outgoing:
    script, then, context = message.get("script"), message.get("then"), message.get("context")
    return nectar.Outgoing(
        lenient(message["to"]),
        sized(message.get("body", ""), message.get("size")) if script is None else json.dumps(script),
        message.get("expects"),
        message.get("inherit", False),
        json.dumps(then) if then is not None else context if context is None else context.encode(),
        message.get("metadata"),
        blob(message.get("blob")),
        capabilities(message.get("capabilities", ())),
    )


def send(message: Fields) -> None:
    kernel.send_all([outgoing(message)])


def send_many(messages: list[Fields]) -> None:
    kernel.send_all([outgoing(each) for each in messages])


def flood(flood: Fields) -> None:
    for number in range(flood["count"]):
        kernel.send(lenient(flood["to"]), sized(str(number), flood.get("size") or None))


def send_and_await(message: Fields) -> None:
    request = outgoing(message)
    if request.timeout is None:  # the SDK refuses that: what is wrong with it is for the kernel to find
        wit.send_and_await_response(_convert.to_address(request.target), _convert.to_request(request), None)
    try:
        see_event(kernel.send_and_await(request))
    except nectar.SendError as failed:
        see_event(failed)


def respond(reply: Fields) -> None:
    kernel.respond(
        sized(reply.get("body", ""), reply.get("size")),
        blob=blob(reply.get("blob")),
        inherit=reply.get("inherit", False),
        metadata=reply.get("metadata"),
        capabilities=capabilities(reply.get("capabilities", ())),
    )


def get_blob(_: None) -> None:
    found = wit.get_blob()
    see("blob", blob=None if found is None else nectar.Blob(found.bytes, found.mime))


# --- settings


def spawn(child: Fields) -> None:
    try:
        spawned = kernel.spawn(
            child.get("path", "/probe.wasm"),
            name=child.get("name"),
            on_exit=on_exit(child.get("on_exit", "None")),
            request_capabilities=capabilities(child.get("capabilities", ())),
            grant_capabilities=[lenient(each).process for each in child.get("grants", ())],
            public=child.get("public", False),
        )
    except (nectar.NameTaken, nectar.NoFileAtPath) as failed:
        see("spawned", failure=type(failed).__name__)
    else:
        see("spawned", body=str(spawned).encode())


def on_exit(wanted: Any) -> nectar.OnExit:
    if isinstance(wanted, str):
        return nectar.OnExit(restart=wanted == "Restart")
    requests = [outgoing(each) for each in wanted["Requests"]]
    return nectar.OnExit(
        requests=[nectar.OnExitRequest(each.target, each.body, each.inherit, each.blob) for each in requests]
    )


def get_on_exit(_: None) -> None:
    found = kernel.get_on_exit()
    if not found.requests:
        see("on-exit", body=b"restart" if found.restart else b"none")
    for each in found.requests:
        assert isinstance(each.body, bytes)
        see("on-exit", source=str(each.target), body=each.body)


def set_state(text: str) -> None:
    kernel.set_state(text.encode())
    see("saved")


def end(_: None) -> None:
    global ending
    ending = True


def keep_script(steps: list[Any]) -> None:
    global on_returned
    on_returned = json.dumps(steps)


# --- misbehaviour


def trap(_: None) -> None:
    raise RuntimeError("told to")


def spin(_: None) -> None:
    while True:
        pass


def recurse(depth: int | None) -> int:
    """Without end: each call needs what the next one returns."""
    return recurse((depth or 0) + 1) + 1


def grow(pages: int) -> None:
    """See how many of so many pages there were."""
    got: list[bytearray] = []
    try:
        while len(got) < pages:
            got.append(bytearray(PAGE))
    except MemoryError:
        pass
    count = len(got)
    got.clear()
    see("grown", size=count)


STEPS: dict[str, Callable[[Any], object]] = {
    "Send": send,
    "SendMany": send_many,
    "Await": send_and_await,
    "Respond": respond,
    "Receive": receive_many,
    "ReceiveUntil": receive_until,
    "GetBlob": get_blob,
    "Spawn": spawn,
    "OurCapabilities": lambda _: see("capabilities", capabilities=kernel.our_capabilities()),
    "SaveCapabilities": lambda some: kernel.save_capabilities(capabilities(some)),
    "SaveReceived": lambda _: kernel.save_capabilities(received),
    "DropCapabilities": lambda some: kernel.drop_capabilities(capabilities(some)),
    "SetOnExit": lambda wanted: kernel.set_on_exit(on_exit(wanted)),
    "GetOnExit": get_on_exit,
    "GetState": lambda _: see("state", body=kernel.get_state()),
    "SetState": set_state,
    "ClearState": lambda _: kernel.clear_state(),
    "Print": lambda line: kernel.print_line(line.get("verbosity", 0), line["text"]),
    "Flood": flood,
    "Grow": grow,
    "OnReturned": keep_script,
    "Recurse": recurse,
    "Spin": spin,
    "Trap": trap,
    "Return": end,
}


# --- what it is told


def lenient(text: str) -> nectar.Address:
    """`node@process:package:publisher`, whatever the parts are: what is wrong with them is for the kernel to find."""
    node, at, process = text.partition("@")
    parts = [*(process if at else text).split(":", 2), "", ""]
    return nectar.Address(node if at else "our", nectar.ProcessId(*parts[:3]))


def capabilities(some: Iterable[Fields]) -> list[nectar.Capability]:
    return [nectar.Capability(lenient(each["issuer"]), each["params"]) for each in some]


def blob(wanted: Fields | None) -> nectar.Blob | None:
    if wanted is None:
        return None
    return nectar.Blob(sized(wanted.get("text", ""), wanted.get("size")), wanted.get("mime"))


def sized(text: str, size: int | None) -> bytes:
    return text.encode() if size is None else text.encode()[:size].ljust(size, b"x")


# --- what it saw


def see_event(event: Event) -> None:
    global received
    if isinstance(event, nectar.SendError):
        kind = "error" if event.of_request else "returned"
        failure = type(event).__name__.lower()
        see(kind, failure=failure, body=event.body, context=text_of(event.context), blob=event.blob)
        return
    received = event.capabilities
    more: Fields = {"source": str(event.source), "body": event.body, "metadata": event.metadata}
    more |= {"inherit": event.inherit, "capabilities": event.capabilities}
    if isinstance(event, nectar.Request):
        see("request", expects=event.expects_response, **more)
    else:
        see("response", context=text_of(event.context), **more)


def see(
    kind: str,
    *,
    body: bytes | None = None,
    blob: nectar.Blob | None = None,
    capabilities: Iterable[nectar.Capability] = (),
    **more: Any,
) -> None:
    seen = {"kind": kind, **more}
    if body is not None:
        seen = {"size": len(body), **seen, "body": text_of(body[:SHORT])}
    if blob is not None:
        seen |= {"mime": blob.mime, "blob": text_of(blob.bytes[:SHORT]), "blob_size": len(blob.bytes)}
    seen["capabilities"] = [{"issuer": str(each.issuer), "params": each.params} for each in capabilities]
    text = json.dumps(seen).decode()
    log.append(text)
    kernel.print_line(3, f"saw {text}")


def text_of(bytes: bytes | None) -> str | None:
    return None if bytes is None else bytes.decode(errors="replace")
