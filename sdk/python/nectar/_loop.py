"""One loop that runs many handlers: each goes on when what it waits for has arrived.

`asyncio` cannot do this: its loops wait on sockets, and a process waits for messages. Here a task waits for the answers
to its own requests alone. So whenever it goes on, the kernel has put back the request that it handles as the prompt,
and what it sends and answers is for that request. That is why a task can wait for others of the same request alone,
by `gather` or a Signal: woken by another one's message, it would answer that one's request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_STRANGE = (
    "a handler can await what this package gives it (node.ask, node.sleep, nectar.gather, and clients of system "
    "processes), and no {}: there is no asyncio in a process"
)


class Pending(Generic[T]):
    """What will be there, or have failed, when a message comes."""

    __slots__ = ("_error", "_is_done", "_value", "_waiting", "loop")

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._is_done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._waiting: Task | None = None

    def __await__(self) -> Generator[Pending[Any], None, T]:
        """Wait for it; raises what it has failed with."""
        if not self._is_done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # it is set

    def settle(self, value: T | None, error: BaseException | None = None) -> None:
        """Let whoever waits go on."""
        self._is_done, self._value, self._error = True, value, error
        if self._waiting is not None:
            self.loop.ready.append(self._waiting)

    def wake(self, task: Task) -> None:
        """Let `task` go on when it is settled."""
        self._waiting = task


class Task:
    """A coroutine that is under way."""

    __slots__ = ("_coroutine", "_done", "root")

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], done: Callable[[Any, BaseException | None], None], root: object
    ) -> None:
        """`done` is given the result, or what the coroutine has raised; tasks of one request have the same `root`."""
        self._coroutine = coroutine
        self._done = done
        self.root = root

    def go_on(self) -> None:
        """Run until it waits again, or is done."""
        try:
            waits_for = self._coroutine.send(None)
        except StopIteration as end:
            self._done(end.value, None)
        except Exception as error:
            self._done(None, error)
        else:
            if isinstance(waits_for, Pending):
                waits_for.wake(self)
            else:
                self._coroutine.close()
                self._done(None, TypeError(_STRANGE.format(type(waits_for).__name__)))


class Loop:
    """The tasks of a process, and what each waits for."""

    def __init__(self) -> None:
        self.ready: deque[Task] = deque()
        self.root: object = None
        """Of the task that runs."""
        self._asked: dict[bytes, Pending[Any]] = {}
        self._last = 0

    def begin(
        self, coroutine: Coroutine[Any, Any, T], done: Callable[[T, BaseException | None], None], root: object = None
    ) -> None:
        """Start a task of the request `root`; None: of the one that the running task belongs to."""
        self.ready.append(Task(coroutine, done, root or self.root))

    def expect(self) -> tuple[bytes, Pending[Any]]:
        """Return a context for a request, and what its outcome will settle."""
        self._last += 1
        context = self._last.to_bytes(8, "little")
        pending: Pending[Any] = Pending(self)
        self._asked[context] = pending
        return context, pending

    def settle(self, context: bytes | None, value: Any, error: BaseException | None = None) -> None:
        """Take the outcome of a request; one that nobody waits for is dropped."""
        pending = self._asked.pop(context or b"", None)
        if pending is not None:
            pending.settle(value, error)

    def run(self) -> None:
        """Let all tasks go on that can."""
        while self.ready:
            task = self.ready.popleft()
            self.root = task.root
            task.go_on()
        self.root = None

    @property
    def under_way(self) -> int:
        """Requests whose outcome has not come."""
        return len(self._asked)

    async def gather(self, parts: list[Awaitable[Any]]) -> list[Any]:
        """Run all at once, and wait for all; raises the first error, when all are done."""
        results: list[Any] = [None] * len(parts)
        errors: list[BaseException] = []
        left = len(parts)
        all_done: Pending[None] = Pending(self)

        def done_with(place: int) -> Callable[[Any, BaseException | None], None]:
            def done(value: Any, error: BaseException | None) -> None:
                nonlocal left
                left -= 1
                results[place] = value
                if error is not None:
                    errors.append(error)
                if left == 0:
                    all_done.settle(None)

            return done

        for place, part in enumerate(parts):
            self.begin(_as_coroutine(part), done_with(place))
        if parts:
            await all_done
        if errors:
            raise errors[0]
        return results


class Signal:
    """Wakes tasks of one request: `await signal.wait()`, until another task of that request calls `notify`."""

    def __init__(self) -> None:
        """Make one in a handler, for what it starts."""
        self._waiting: list[tuple[object, Pending[None]]] = []

    async def wait(self) -> None:
        """Wait for the next `notify`."""
        pending: Pending[None] = Pending(LOOP)
        self._waiting.append((LOOP.root, pending))
        await pending

    def notify(self) -> None:
        """Let all go on that wait; raises RuntimeError if one of them belongs to another request."""
        if any(root is not LOOP.root for root, _ in self._waiting):
            raise RuntimeError("a signal wakes tasks of the request that is being handled, and this one is another's")
        waiting, self._waiting = self._waiting, []
        for _, pending in waiting:
            pending.settle(None)


LOOP = Loop()
"""The one of this process."""


async def _as_coroutine(part: Awaitable[T]) -> T:
    return await part
