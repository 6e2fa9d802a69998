"""The node as a process sees it: handlers of what comes, and questions to others.

    import nectar
    from nectar import node

    @nectar.on_request
    async def answer(request: nectar.Request) -> object:
        match request.json():
            case {"Greet": str(name)}:
                return {"Greeting": f"Hello, {name}, from {node.our().node}"}
            case {"Ask": {"node": str(other), "name": str(name)}}:
                response = await node.ask(f"{other}@hello:hello:sys", {"Greet": name}, timeout=5)
                return response.ok()
        raise nectar.Refused("expected a Greet or an Ask")

A handler may be `async` or plain. What it returns is the answer: bytes as they are, a `Reply`, or anything else as
JSON. While one handler waits, others run. `Question.wait()` asks in the plain way: everything else waits, too.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from types import CoroutineType
from typing import Any, Generic, TypeVar, overload

from nectar import kernel
from nectar._loop import LOOP
from nectar._loop import Signal as Signal
from nectar.address import Address, ProcessId, Target
from nectar.errors import NectarError
from nectar.messages import Blob, Capability, Offline, Outgoing, Reply, Request, Response, SendError

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

DEFAULT_TIMEOUT = 30
"""Seconds that a question waits for its answer."""


class _NoAnswer:
    """What a handler returns if somebody else answers, or nobody does."""


NO_ANSWER = _NoAnswer()
"""What a handler returns that does not answer: somebody else does (`forward`), or the requester waits in vain."""

Handler = Callable[[Request], object]
"""A handler of requests; `async` or not. What it returns is the answer."""
H = TypeVar("H", bound=Callable[..., object])

log = logging.getLogger("nectar")
_our: Address | None = None
_handler: Handler | None = None
_starters: list[Callable[[], object]] = []
_sources: dict[ProcessId, Handler] = {}


def our() -> Address:
    """Return the address of this process, with the name of its node. Raises RuntimeError while it is built."""
    if _our is None:
        raise RuntimeError("a process has no address while it is built: ask in a handler, or in init")
    return _our


# --- handlers -------------------------------------------------------------------------------------------------------


def on_request(handler: H) -> H:
    """Let a function handle requests: there is one such function. What it returns is the answer to those that want one.

    A NectarError that it raises (Refused, BadJson, Offline, Timeout) is answered `{"Err": its text}`.
    """
    global _handler
    if _handler is not None:
        raise TypeError("a process has one handler of requests: two are marked with on_request")
    _handler = handler
    return handler


def on_start(starter: H) -> H:
    """Let a function run when the process has started, before any request is handled; `async` or not."""
    _starters.append(starter)
    return starter


def on_request_from(source: str, handler: Handler) -> None:
    """Let requests of a system process of our own node, "vfs:distro:sys", be handled by a function of their own.

    Another node can call any of its processes so: its requests go where all go.
    """
    _sources[ProcessId.parse(source)] = handler


def has_handlers() -> bool:
    """Whether this process has said what it does with requests."""
    return _handler is not None or bool(_starters) or bool(_sources)


# --- questions ------------------------------------------------------------------------------------------------------


class Question(Generic[T]):
    """A request that has an answer: `await` it, or `wait()` for it. It is sent only then, and each time."""

    __slots__ = ("_read", "_request")

    def __init__(self, request: Outgoing, read: Callable[[Response], T]) -> None:
        """`read` makes the result of the response, or raises why there is none."""
        self._request = request
        self._read = read

    def __await__(self) -> Generator[Any, None, T]:
        """Send it, and let others run until the answer is there. Raises Offline, Timeout, and what reading raises."""
        request = self._request
        context, pending = LOOP.expect()
        kernel.send(
            request.target,
            request.body,
            timeout=request.timeout,
            inherit=request.inherit,
            context=context,
            metadata=request.metadata,
            blob=request.blob,
            capabilities=request.capabilities,
        )
        try:
            response = yield from pending.__await__()
        except SendError as error:
            raise _named(error, request.target) from None
        return self._read(response)

    def wait(self) -> T:
        """Send it, and wait for the answer; nothing else happens in this process meanwhile. Raises the same."""
        return self._read(kernel.send_and_await(self._request))


def _named(error: SendError, target: Target) -> SendError:
    what = "is offline" if isinstance(error, Offline) else "has not answered"
    return type(error)(f"{target} {what}", body=error.body, blob=error.blob, context=error.context)


def question(
    target: Target,
    body: object,
    read: Callable[[Response], T],
    *,
    timeout: int = DEFAULT_TIMEOUT,
    blob: Blob | bytes | None = None,
    inherit: bool = False,
) -> Question[T]:
    """Return a question whose result is what `read` makes of the response."""
    return Question(Outgoing(target, body, timeout, inherit, blob=blob), read)


def ask(
    target: Target,
    body: object = b"",
    *,
    timeout: int = DEFAULT_TIMEOUT,
    inherit: bool = False,
    metadata: str | None = None,
    blob: Blob | bytes | None = None,
    capabilities: Sequence[Capability] = (),
) -> Question[Response]:
    """Ask a process: `response = await ask("two.nec@hello:hello:sys", {"Greet": "Ada"})`.

    Raises, when awaited, Offline if its node cannot be reached, and Timeout if there is no answer in `timeout` seconds.
    """
    request = Outgoing(target, body, timeout, inherit, None, metadata, blob, capabilities)
    return Question(request, lambda response: response)


def forward(target: Target, body: object = b"", *, blob: Blob | bytes | None = None) -> _NoAnswer:
    """Let another process answer the request that is being handled: `return node.forward("our@echo:echo:sys", …)`.

    The blob of the request goes along without being loaded, unless there is another one.
    """
    kernel.send(target, body, inherit=True, blob=blob)
    return NO_ANSWER


def sleep(seconds: float) -> Question[None]:
    """Wait so long, while others run: `await sleep(1.5)`. The manifest asks for `timer:distro:sys`.

    `time.sleep` needs no capability, and holds up the whole process.
    """
    milliseconds = max(0, round(seconds * 1000))
    return question("our@timer:distro:sys", {"SetTimer": milliseconds}, _nothing, timeout=milliseconds // 1000 + 10)


def _nothing(response: Response) -> None:
    return None


@overload
async def gather(a: Awaitable[A], b: Awaitable[B], /) -> tuple[A, B]: ...
@overload
async def gather(a: Awaitable[A], b: Awaitable[B], c: Awaitable[C], /) -> tuple[A, B, C]: ...
@overload
async def gather(*parts: Awaitable[T]) -> tuple[T, ...]: ...
async def gather(*parts: Awaitable[Any]) -> tuple[Any, ...]:
    """Wait for several at once: `one, two = await gather(ask(…), ask(…))`.

    When all are done, it raises the first error, if there was one.
    """
    return tuple(await LOOP.gather(list(parts)))


def start_soon(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine beside the handler that starts it. An error that it raises is logged; others end the process."""
    LOOP.begin(work, _end_of_work)


def _end_of_work(value: object, error: BaseException | None) -> None:
    if error is None:
        return
    if not isinstance(error, NectarError):
        raise error
    log.warning("%s", error)


def _end_of_start(value: object, error: BaseException | None) -> None:
    if error is not None:
        raise error


# --- the loop -------------------------------------------------------------------------------------------------------


def run(our: Address) -> None:
    """Handle what comes, without an end. `nectar` calls this where a process has no `init` of its own."""
    adopt(our)
    for starter in _starters:
        made = starter()
        if inspect.isawaitable(made):
            LOOP.begin(_finish(made), _end_of_start, starter)
    LOOP.run()
    while True:
        event = kernel.receive()
        if isinstance(event, Request):
            _take(event, our)
        elif isinstance(event, Response):
            LOOP.settle(event.context, event)
        elif event.of_request:
            LOOP.settle(event.context, None, event)
        if LOOP.ready:
            LOOP.run()


def adopt(our: Address) -> None:
    """Take over the address of this process, for `our`."""
    global _our
    _our = our


_ANSWERS = {bytes, dict, list, str, int, bool, type(None), Reply, _NoAnswer}
"""Types of what cannot be awaited: that is dear to find out of anything else."""


async def _finish(made: Awaitable[T]) -> T:
    return await made


def _take(request: Request, our: Address) -> None:
    handler = _handler
    if _sources and request.source.node == our.node:
        handler = _sources.get(request.source.process, handler)
    if handler is None:
        answer(request, None, NectarError("this process answers no requests"))
        return
    try:
        made = handler(request)
    except NectarError as error:
        answer(request, None, error)
        return
    if type(made) in _ANSWERS or not inspect.isawaitable(made):
        answer(request, made, None)
        return
    coroutine = made if isinstance(made, CoroutineType) else _finish(made)
    LOOP.begin(coroutine, lambda value, error: answer(request, value, error), request)


def answer(request: Request, value: object, error: BaseException | None) -> None:
    """Answer a request, if it wants that, with what its handler has returned or raised."""
    if error is not None:
        if not isinstance(error, NectarError):
            raise error
        if not request.wants_answer:
            log.warning("a request of %s: %s", request.source, error)
        value = {"Err": str(error)}
    if not request.wants_answer:
        return
    if isinstance(value, Reply):
        kernel.respond(
            value.body,
            blob=value.blob,
            inherit=value.inherit,
            metadata=value.metadata,
            capabilities=value.capabilities,
        )
    elif value is not NO_ANSWER:
        kernel.respond(value)
