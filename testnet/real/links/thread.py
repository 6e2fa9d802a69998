"""(trio) The links of programs without an event loop."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import trio

from testnet.model.rule import Fault, Link, held
from testnet.model.where import Where
from testnet.real.links import claim
from testnet.real.links.fabric import Links, open_links
from testnet.real.links.stream import Counts
from testnet.real.nodes.addresses import Allocation, NodePlace

_START_TIMEOUT = 60.0

T = TypeVar("T")


class ThreadedLinks(ABC):
    """`Links` in a thread: every call is done there."""

    def __init__(self, links: Links, token: trio.lowlevel.TrioToken) -> None:
        self._links = links
        self._token = token

    @abstractmethod
    def connect(self, name: str) -> NodePlace:
        """Return the place of the node `name`, which others reach from now on; raises NodeError and OSError."""

    def add(self, name: str, place: NodePlace) -> None:
        """Note that the node `name` is at `place` (`Links.add`)."""
        self._run(lambda: self._links.add(name, place))

    def apply(self, fault: Fault) -> int:
        """Begin `fault` on the links and return its number (`Links.apply`)."""
        return self._run(lambda: self._links.apply(fault))

    def applied(self, fault: Fault) -> AbstractContextManager[None]:
        """Hold `fault` within this."""
        return held(fault, self.apply, self.remove)

    def reserve(self) -> int:
        """Return a number for a fault that is not applied here (`Links.reserve`)."""
        return self._run(self._links.reserve)

    def remove(self, number: int) -> None:
        """End the fault of that number (`Links.remove`)."""
        self._run(lambda: self._links.remove(number))

    def cut(self, where: Where) -> int:
        """Reset all connections of these links, and return how many (`Links.cut`)."""
        return self._run(lambda: self._links.cut(where))

    def counts(self, source: str, target: str) -> Counts:
        """Return the counts of that link until now."""
        return self._run(lambda: replace(self._links.counts[Link(source, target)]))

    def _run(self, call: Callable[[], T]) -> T:
        return trio.from_thread.run_sync(call, trio_token=self._token)


class LoopbackLinks(ThreadedLinks):
    """The links of a testnet on loopback."""

    def __init__(self, links: Links, token: trio.lowlevel.TrioToken, allocation: Allocation, folder: Path) -> None:
        """`folder` is that of the testnet."""
        super().__init__(links, token)
        self._allocation = allocation
        self._folder = folder

    def connect(self, name: str) -> NodePlace:
        place = claim.allot(self._folder, self._allocation, name)
        self.add(name, place)
        return place


@contextmanager
def run_loopback_links(folder: Path, seed: int = 0) -> Iterator[LoopbackLinks]:
    """Yield the links of the testnet in `folder`, in a thread; raises CannotListen, BadFolder."""
    with claim.claim(folder) as allocation, run_in_thread(lambda: open_links(seed)) as (links, token):
        yield LoopbackLinks(links, token, allocation, folder)


@contextmanager
def run_in_thread(
    opened: Callable[[], AbstractAsyncContextManager[T]], enter: Callable[[], None] = lambda: None
) -> Iterator[tuple[T, trio.lowlevel.TrioToken]]:
    """Yield what `opened` gives, in an event loop in a thread of its own, with the token for calls into it. The thread
    calls `enter` first; raises what that raises."""
    ready: Future[tuple[T, trio.lowlevel.TrioToken, trio.CancelScope]] = Future()

    async def serve() -> None:
        async with opened() as it:
            with trio.CancelScope() as scope:
                ready.set_result((it, trio.lowlevel.current_trio_token(), scope))
                await trio.sleep_forever()

    def run() -> None:
        try:
            enter()
            trio.run(serve)
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run, name="event loop")
    thread.start()
    it, token, scope = ready.result(_START_TIMEOUT)
    try:
        yield it, token
    finally:
        token.run_sync_soon(scope.cancel)
        thread.join()
