"""A program in Python that recurses without end at its first start, in quick code, ends alone, if it ends at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival, Guest, GuestConfig, Poll, Program, SendResponse
from kernel.contract.limits import MIB
from kernel.contract.message import Request
from kernel.wasm.engine import Engine
from nectar_node.toolchains import python

_MEMORY_BYTES = 512 * MIB
_SOURCE = """
import functools
import sys

import nectar


def plain(depth):
    return plain(depth + 1) + 1


def through_c(depth):
    return functools.reduce(lambda left, right: through_c(depth + 1), (1, 2))


class Sought:
    def __getattr__(self, name):
        return getattr(self, name + "x"[:0])


def shown(depth):
    nested = []
    for _ in range(depth):
        nested = [nested]
    return len(repr(nested))


WAYS = {
    "plain": lambda: plain(0),
    "through C": lambda: through_c(0),
    "attributes": lambda: Sought().name,
    "repr": lambda: shown(200_000),
    "compile": lambda: eval("(" * 150 + "-" * 100_000 + "1" + ")" * 150),
    "none": lambda: "answered",
}


@nectar.on_request
def answer(request):
    way, _, limit = request.body.decode().partition(",")
    if limit:
        sys.setrecursionlimit(int(limit))
    try:
        return nectar.Reply(str(WAYS[way]()).encode())
    except (RecursionError, MemoryError) as error:
        return nectar.Reply(type(error).__name__.encode())
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """It has compiled nothing yet."""
    engine = Engine(tmp_path_factory.mktemp("cache"), replayable=False, quick_first=True)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def program(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """In quick code."""
    source = tmp_path_factory.mktemp("deep") / "deep.py"
    source.write_text(_SOURCE)
    python.build(source, source.with_suffix(".wasm"))
    return engine.load(source.with_suffix(".wasm").read_bytes())


@pytest.mark.parametrize("limit", ["", "1000000000"])
@pytest.mark.parametrize("way", ["plain", "through C", "attributes", "repr", "compile"])
def test_what_recurses_without_end_in_quick_code_is_told_or_ends_alone(program: Program, way: str, limit: str) -> None:
    """CPython counts its own calls alone: those through C reach the end of the stack first, as in optimised code."""
    guest = _started(program)
    outcome = _asked(guest, f"{way},{limit}" if limit else way)
    assert outcome in ("RecursionError", "MemoryError", None)
    if outcome is None:
        assert guest.end is not None
        assert "call stack exhausted" in str(guest.end.trap) or "unreachable" in str(guest.end.trap), guest.end
    assert way != "plain" or limit or outcome == "RecursionError"
    guest.close()
    other = _started(program)
    assert _asked(other, "none") == "answered"
    other.close()


def _started(program: Program) -> Guest:
    guest = program.start(GuestConfig(Address("our.nec", ProcessId("deep", "deep", "sys")), _MEMORY_BYTES))
    assert _until_it_waits(guest) is Poll.RECEIVE, guest.end
    return guest


def _asked(guest: Guest, body: str) -> str | None:
    """What it answers; None: it has ended."""
    guest.resume(Arrival(Address("our.nec", ProcessId("a", "b", "sys")), Request(False, 5, body.encode()), None, None))
    if _until_it_waits(guest) is Poll.ENDED:
        return None
    answer = guest.effects[-1]
    assert isinstance(answer, SendResponse)
    guest.effects.clear()
    return answer.response.body.decode()


def _until_it_waits(guest: Guest) -> Poll:
    while (poll := guest.poll()) is Poll.PREEMPTED:
        pass
    return poll
