"""What the kernel does for a process, one call each: plain functions, which wait where they have to.

    import nectar
    from nectar import kernel

    def init(our: nectar.Address) -> None:
        while True:
            match kernel.receive():
                case nectar.Request(wants_answer=True) as request:
                    kernel.respond(request.body)

The kernel remembers for each process which request it would answer, its prompt, and whose blob it would pass on.
Receiving a request that wants an answer sets the prompt. Receiving a response or an error puts back the prompt under
which that request was sent: so `respond` after a response answers the request that caused it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from componentize_py_types import Err
from wit_world.imports import standard as wit

from nectar import _convert
from nectar.address import ProcessId, Target
from nectar.errors import NameTaken, NoFileAtPath
from nectar.messages import Blob, Capability, Event, OnExit, Outgoing, Response

_received = 0
"""The number of the message that is being handled."""


def receive() -> Event:
    """Wait for the next message: a request, a response, or an Offline or Timeout for one of ours."""
    global _received
    _received += 1
    try:
        source, message = wit.receive()
    except Err as failed:
        error, context = failed.value
        return _convert.from_error(error, context)
    return _convert.from_message(source, message, _received)


def take_blob(number: int) -> Blob | None:
    """Return the blob of the message of that number, which must be the one that is being handled.

    Raises RuntimeError if it is not any more. `Message.blob` calls this.
    """
    if number != _received:
        raise RuntimeError("the kernel has the blob of the current message alone: take it before the next await")
    return _convert.from_blob(wit.get_blob())


def send(
    target: Target,
    body: object = b"",
    *,
    timeout: int | None = None,
    inherit: bool = False,
    context: bytes | None = None,
    metadata: str | None = None,
    blob: Blob | bytes | None = None,
    capabilities: Sequence[Capability] = (),
) -> None:
    """Send a request; with a `timeout` in seconds its outcome comes by `receive`, and `context` with it.

    The body is bytes, or anything that has JSON. The other arguments are those of `Outgoing`. Raises BadJson and
    BadAddress.
    """
    request = wit.Request(inherit, timeout, _convert.body_of(body), metadata, _convert.to_capabilities(capabilities))
    wit.send_request(_convert.to_address(target), request, context, _convert.to_blob(blob))


def send_all(requests: Iterable[Outgoing]) -> None:
    """Send several requests with one call."""
    wit.send_requests(
        [
            (
                _convert.to_address(each.target),
                _convert.to_request(each),
                each.context,
                _convert.to_blob(each.blob),
            )
            for each in requests
        ]
    )


def send_and_await(request: Outgoing) -> Response:
    """Send a request, which must have a timeout, and wait for its answer; all other messages wait meanwhile.

    Raises Offline and Timeout.
    """
    global _received
    if request.timeout is None:
        raise ValueError("who waits for an answer says how long: give a timeout, in seconds")
    target = _convert.to_address(request.target)
    _received += 1
    try:
        source, message = wit.send_and_await_response(
            target, _convert.to_request(request), _convert.to_blob(request.blob)
        )
    except Err as failed:
        raise _convert.from_error(failed.value, None, request.target) from None
    answer = _convert.from_message(source, message, _received)
    assert isinstance(answer, Response)
    return answer


def respond(
    body: object = b"",
    *,
    blob: Blob | bytes | None = None,
    inherit: bool = False,
    metadata: str | None = None,
    capabilities: Sequence[Capability] = (),
) -> None:
    """Answer the request that is the prompt. The body is bytes, or anything that has JSON."""
    response = wit.Response(inherit, _convert.body_of(body), metadata, _convert.to_capabilities(capabilities))
    wit.send_response(response, _convert.to_blob(blob))


def get_state() -> bytes | None:
    """Return what `set_state` last saved; None: nothing. `nectar.State` is a value that does this by itself."""
    return wit.get_state()


def set_state(data: bytes) -> None:
    """Save `data`, which is durable when this returns."""
    wit.set_state(data)


def clear_state() -> None:
    """Forget what was saved."""
    wit.clear_state()


def spawn(
    wasm_path: str,
    *,
    name: str | None = None,
    on_exit: OnExit = OnExit(),  # noqa: B008 - it is frozen
    request_capabilities: Iterable[Capability] = (),
    grant_capabilities: Iterable[ProcessId] = (),
    public: bool = False,
) -> ProcessId:
    """Start a file of our package, such as "/child.wasm", as a child, under a random name if there is none.

    `request_capabilities` are of ours, for the child; `grant_capabilities` are processes that may message it; with
    `public` every process of this node may. Raises NameTaken and NoFileAtPath.
    """
    requested = _convert.to_capabilities(request_capabilities)
    granted = [_convert.to_process(each) for each in grant_capabilities]
    try:
        id = wit.spawn(name, wasm_path, _convert.to_on_exit(on_exit), requested, granted, public)
    except Err as failed:
        if failed.value is wit.SpawnError.NAME_TAKEN:
            raise NameTaken(f"a process called {name} runs already") from None
        raise NoFileAtPath(f"the package has no process {wasm_path}") from None
    return _convert.from_process(id)


def set_on_exit(on_exit: OnExit) -> None:
    """Say what happens when this process returns or fails."""
    wit.set_on_exit(_convert.to_on_exit(on_exit))


def get_on_exit() -> OnExit:
    """Return what happens when this process returns or fails."""
    return _convert.from_on_exit(wit.get_on_exit())


def our_capabilities() -> tuple[Capability, ...]:
    """Return the capabilities that this process holds."""
    return _convert.from_capabilities(wit.our_capabilities())


def save_capabilities(capabilities: Iterable[Capability]) -> None:
    """Keep capabilities that came with a message; they outlive a restart."""
    wit.save_capabilities(_convert.to_capabilities(capabilities))


def drop_capabilities(capabilities: Iterable[Capability]) -> None:
    """Give capabilities up."""
    wit.drop_capabilities(_convert.to_capabilities(capabilities))


def print_line(verbosity: int, line: str) -> None:
    """Print a line for the node's terminal and log; 0 is always shown, 3 only to those who look for everything.

    `logging` does this by its levels.
    """
    wit.print_to_terminal(verbosity, line)
