"""One exception at one call, to see that only the smallest possible thing ends with it.

A *site* is a call that is made from a file of certain folders: a line, and what it calls, in Python or in C. A run
without an exception counts how often each site is reached; an injection raises at one of these times. A site is drawn
first, then one of its times, so that what happens once in a run is met as often as what happens a thousand times.
"""

from __future__ import annotations

import gc
import sys
import weakref
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any, NamedTuple

_SPARED = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__", "__instancecheck__", "__del__"})
"""Functions in which nothing is raised: trio cannot leave the first ones half done, and the interpreter drops
exceptions of the last two."""
ROOT = Path(__file__).parents[2]


class Site(NamedTuple):
    """A call in the source."""

    file: str
    """The path below the root of the sources."""
    caller: str
    """The function that calls."""
    line: int
    """The line in the file."""
    called: str
    """The function or method that is called."""

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, in {self.caller}: the call of {self.called}"


class Injected(Exception):
    """The exception that is raised, which no code expects."""


@dataclass(frozen=True, slots=True)
class Injection:
    """An order to raise when a site is reached for the `time`th time within a step, both counted from 1."""

    site: Site
    step: int
    time: int

    def __str__(self) -> str:
        return f"{self.site}, call {self.time} in step {self.step}"


Reached = dict[Site, list[int]]
"""By site, the step of each time that it was reached."""


def draw(chance: Random, reached: Reached) -> Injection:
    """Draw one of the calls that a run without exceptions has reached."""
    site = chance.choice(sorted(reached))
    index = chance.randrange(len(reached[site]))
    step = reached[site][index]
    return Injection(site, step, 1 + index - bisect_left(reached[site], step))


class Probe:
    """Watches the calls of a run, and raises at one of them.

    A run is cut into steps of any kind. Watching calls takes many times as long as making them, so only the step in
    which something is to be raised is watched.
    """

    def __init__(
        self,
        folders: tuple[str, ...],
        beginning: type,
        injection: Injection | None = None,
        *,
        guards: tuple[str, ...] = (),
    ) -> None:
        """`folders` of the sources, or files, such as `net`: what is called from there counts, but not while a
        `beginning` is made, which is what is tested, nor in functions whose names begin like one of the `guards`, which
        catch what is raised. None: nothing is raised."""
        self._guards = guards
        self._beginning: CodeType = beginning.__init__.__code__  # type: ignore[misc]
        self._begins = 0
        self._folders = tuple(str(ROOT / each) + ("" if each.endswith(".py") else "/") for each in folders)
        self._injection = injection
        self._seen: dict[str, str | None] = {}
        self.reached: Reached = {}
        """The sites of a run without an injection."""
        self.raised = False
        self._over = False
        self._step = 0
        self._times = 0
        """The number of times that the site has been reached in its step."""

    def begin_step(self) -> None:
        """Begin the next step of the run."""
        if self._over:
            return
        self._step += 1
        injection = self._injection
        if injection is None or (injection.step == self._step and not self.raised):
            sys.setprofile(self._on_event)
        elif injection.step == self._step - 1:
            sys.setprofile(None)

    def end(self) -> None:
        """Stop watching."""
        self._over = True
        sys.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code is self._beginning and event in ("call", "return"):
            self._begins += 1 if event == "call" else -1
        if self._begins:
            return
        if event == "call":
            caller, called = frame.f_back, frame.f_code.co_name
        elif event == "c_call":
            caller, called = frame, argument.__name__
        else:
            return
        if caller is None or called in _SPARED or (file := self._file(caller)) is None:
            return
        if event == "call" and any(getattr(each, "__code__", None) is frame.f_code for each in gc.callbacks):
            return  # it comes whenever the collector does
        if event == "call" and frame.f_code.co_filename == weakref.__file__:
            return  # it may come of an object that is forgotten, and nobody would get what it raises
        if caller.f_code.co_name in _SPARED or caller.f_code.co_qualname.startswith(self._guards):
            return
        site = Site(file, caller.f_code.co_qualname, caller.f_lineno, called)
        injection = self._injection
        if injection is None:
            self.reached.setdefault(site, []).append(self._step)
        elif site == injection.site:
            self._times += 1
            if self._times == injection.time:
                self.raised = True
                sys.setprofile(None)
                raise Injected(str(injection))

    def _file(self, frame: FrameType) -> str | None:
        name = frame.f_code.co_filename
        if name not in self._seen:
            inside = any(name.startswith(folder) for folder in self._folders)
            self._seen[name] = str(Path(name).relative_to(ROOT)) if inside else None
        return self._seen[name]
