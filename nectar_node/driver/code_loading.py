"""Reads and compiles code on threads, so that one package's programs hold up no other's.

Compiling a hostile program takes as long as `kernel.contract.limits` allow, and few are compiled at the same time.
Programs that wait for this stand in a queue of their package, whose threads others do not need.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

import trio

from kernel.contract.guest import Program
from nectar_node.contract.actions import BadCode
from nectar_node.driver.program_code import Source
from nectar_node.packages.manifest import Package
from nectar_node.storage.operations import Location

THREADS = 40
"""Programs that are read or compiled at the same time."""
THREADS_OF_PACKAGE = 2
"""Programs of one package that are read or compiled at the same time."""


AHEAD = 16
"""Programs that wait to be compiled ahead."""


class Ahead:
    """Compiles the programs of packages that a person is asked about, one at a time: who reads what a package asks for
    needs longer than that, and then it starts at once. Nothing of them runs before the answer.
    """

    def __init__(
        self,
        compile: Callable[[Location], object],
        start_soon: Callable[..., object],
        note: Callable[[str, Exception], None],
    ) -> None:
        """`compile` blocks, on whatever thread calls it; `start_soon` begins a task, as a nursery does; `note` logs a
        failure of our own code."""
        self._compile = compile
        self._start_soon = start_soon
        self._note = note
        self._waiting = set[Location]()
        self._line = trio.Semaphore(1)

    def begin(self, package: Package) -> None:
        """Compile the programs of a package, if there are not too many that wait."""
        for place in sorted({package.code(entry) for entry in package.entries}):
            if place not in self._waiting and len(self._waiting) < AHEAD:
                self._waiting.add(place)
                self._start_soon(self._one, place)

    async def _one(self, place: Location) -> None:
        async with self._line:
            try:
                await trio.to_thread.run_sync(self._compile, place, abandon_on_cancel=True)
            except Exception as error:
                self._note("to compile a program ahead", error)
            finally:
                self._waiting.discard(place)


class Loader:
    """Loads programs on threads, a few at a time and fewer of one package."""

    def __init__(self, drives: str, compile: Callable[[Source], Program | BadCode]) -> None:
        """`drives` is the root of the vfs; `compile` blocks, on whatever thread calls it."""
        self._drives = drives
        self._compile = compile
        self._threads = trio.CapacityLimiter(THREADS)
        self._lines: weakref.WeakValueDictionary[str, trio.Semaphore] = weakref.WeakValueDictionary()

    async def load(self, source: Source) -> Program | BadCode:
        """Return the program, or why there is none."""
        line = self._line(source)
        async with line:
            # Abandoned when the node stops: nobody waits for the program any more.
            return await trio.to_thread.run_sync(self._compile, source, limiter=self._threads, abandon_on_cancel=True)

    def _line(self, source: Source) -> trio.Semaphore:
        """Return the queue of a package, named by its folder or its part of the vfs; all code that came in messages has
        one.
        """
        package = ""
        if isinstance(source, Location):
            package = source.parts[0] if source.root == self._drives and source.parts else source.root
        line = self._lines.get(package)
        if line is None:
            line = self._lines[package] = trio.Semaphore(THREADS_OF_PACKAGE)
        return line
