"""The Python SDK, as far as it needs no node: JSON, names, versions of state, and the loop of async handlers.

`sdk/python/bindings` stands in for what componentize-py generates; none of its functions does anything.
`tests/languages` has real guests.
"""

from __future__ import annotations

import doctest
import enum
import importlib
import json as standard
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nectar
from nectar import _loop, http, json
from nectar._loop import Loop, Pending, Signal

MODULES = sorted(path.stem for path in Path(nectar.__file__).parent.glob("*.py") if not path.stem.startswith("_"))

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_docstrings_are_right(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"nectar.{module}")).failed == 0


# --- JSON


@given(VALUES)
def test_json_comes_back_as_it_was_with_floats_and_integers_of_any_size(value: Any) -> None:
    try:
        body = json.dumps(value)
    except nectar.BadJson:
        with pytest.raises(UnicodeEncodeError):
            standard.dumps(value, ensure_ascii=False).encode()
        return
    assert repr(json.loads(body)) == repr(value)
    assert standard.loads(body) == value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        b"x",
        bytearray(b"x"),
        {1: 2},
        {None: 2},
        {"a": {True: 1}},
        Ellipsis,
        {1, 2},
        "\ud800",
    ],
    ids=repr,
)
def test_what_has_no_json_is_refused(value: object) -> None:
    with pytest.raises(nectar.BadJson):
        json.dumps(value)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b"-Infinity", b"\xff", b'{"a":1,"a":2}', b'"\\ud800"', b"1 2", b"1" * 5000, b"[" * 100_000],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(nectar.BadJson):
        json.loads(body)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(nectar.BadJson):
        json.dumps(value)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float = 0.0
    names: list[str] = field(default_factory=list)
    colour: Colour | None = None
    kind: Literal["a", "b"] = "a"
    pair: tuple[int, str] | None = None


def test_a_value_is_decoded_into_a_dataclass_and_back() -> None:
    point = Point(1, 2.5, ["a"], Colour.RED, "b", (3, "c"))
    assert json.decode(Point, json.dumps(point)) == point
    assert json.decode(Point, b'{"x": 1, "y": 2, "unknown": 3}') == Point(1, 2.0)
    assert isinstance(json.decode(Point, b'{"x": 1, "y": 2}').y, float)
    assert json.decode(dict[str, list[Point]], {"a": [{"x": 1}]}) == {"a": [Point(1)]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{}", "expected a field 'x'"),
        (b"[]", "expected an object"),
        (b'{"x": 1.0}', "at x: expected a whole number"),
        (b'{"x": true}', "at x: expected a whole number"),
        (b'{"x": 1, "y": 1' + b"0" * 400 + b"}", "at y: expected a number that is no larger than floats are"),
        (b'{"x": 1, "names": ["a", 2]}', "at names[1]: expected a text"),
        (b'{"x": 1, "colour": "blue"}', "at colour: expected one of ['red']"),
        (b'{"x": 1, "kind": "c"}', "at kind: expected one of ['a', 'b']"),
        (b'{"x": 1, "pair": [1]}', "at pair: expected a list of 2"),
    ],
)
def test_what_does_not_fit_says_where(body: bytes, why: str) -> None:
    with pytest.raises(nectar.BadJson) as caught:
        json.decode(Point, body)
    assert str(caught.value) == why


@given(st.binary(max_size=40) | VALUES.map(lambda value: standard.dumps(value).encode()))
def test_whatever_bytes_come_the_only_error_is_bad_json(body: bytes) -> None:
    kinds: tuple[Any, ...] = (Point, list[Point], int | str, dict[str, Any])
    for kind in kinds:
        try:
            json.decode(kind, body)
        except nectar.BadJson:
            continue


# --- names


@pytest.mark.parametrize("text", ["", "a:b", "a:b:c:d", "a::c", "@a:b:c", "one.nec@a:b"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(nectar.BadAddress):
        nectar.Address.parse(text)


# --- state


class Saved:
    """What the kernel has saved, in place of the kernel."""

    data: bytes | None = None


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Saved:
    kept = Saved()
    monkeypatch.setattr(nectar.kernel, "get_state", lambda: kept.data)
    monkeypatch.setattr(nectar.kernel, "set_state", lambda data: setattr(kept, "data", data))
    return kept


@dataclass
class Third(nectar.State, version=3):
    total: int = 0
    label: str = "none"

    @nectar.migration(1)
    @staticmethod
    def from_bytes(old: bytes) -> nectar.Json:
        return {"count": len(old)}

    @nectar.migration(2)
    @staticmethod
    def renamed(old: dict[str, Any]) -> nectar.Json:
        return {"total": old["count"] * 10}


def test_a_state_is_saved_with_its_version_and_loaded(saved: Saved) -> None:
    assert Third.load() == Third()
    Third(5, "x").save()
    assert saved.data == b'{"version":3,"total":5,"label":"x"}'
    assert Third.load() == Third(5, "x")


@pytest.mark.parametrize("old", [b"1234", b'{"version":2,"count":4}'])
def test_an_earlier_version_is_migrated_step_by_step_and_saved(saved: Saved, old: bytes) -> None:
    saved.data = old
    assert Third.load() == Third(40)
    assert saved.data == b'{"version":3,"total":40,"label":"none"}'


@pytest.mark.parametrize("data", [b'{"version":4,"total":5}', b'{"version":3,"total":"5"}'])
def test_a_state_that_cannot_be_read_is_not_lost(saved: Saved, data: bytes) -> None:
    saved.data = data
    with pytest.raises(nectar.BadState):
        Third.load()
    assert saved.data == data


def fail_in_the_midst(third: Third) -> None:
    with third:
        third.total += 1
        raise KeyError


def test_a_change_that_fails_leaves_what_is_saved(saved: Saved) -> None:
    third = Third(5)
    third.save()
    with pytest.raises(KeyError):
        fail_in_the_midst(third)
    assert third == Third.load() == Third(5)
    with third:
        third.total += 1
    assert Third.load() == Third(6)


def test_a_state_whose_migrations_do_not_fit_is_a_mistake_of_the_author() -> None:
    with pytest.raises(TypeError, match="of version 3, and has migrations from"):

        class Gap(nectar.State, version=3):
            @nectar.migration(1)
            @staticmethod
            def step(old: bytes) -> nectar.Json:
                return {}


# --- the loop


def run(loop: Loop, part: Awaitable[Any]) -> list[tuple[Any, BaseException | None]]:
    ended: list[tuple[Any, BaseException | None]] = []

    async def work() -> Any:
        return await part

    loop.begin(work(), lambda value, error: ended.append((value, error)), object())
    loop.run()
    return ended


def test_many_tasks_wait_and_each_goes_on_with_its_own_answer() -> None:
    loop = Loop()
    asked = [loop.expect() for _ in range(3)]
    ended = [run(loop, pending) for _, pending in asked]
    for number in (2, 0, 1):
        loop.settle(asked[number][0], number)
        loop.run()
    assert ended == [[(0, None)], [(1, None)], [(2, None)]]
    assert loop.under_way == 0


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    loop = Loop()
    context, pending = loop.expect()
    for each in (b"unknown", None, context, context):
        loop.settle(each, 1)
    assert run(loop, pending) == [(1, None)]


def test_gather_waits_for_all_and_raises_the_first_error() -> None:
    loop = Loop()
    (one, first), (two, second) = loop.expect(), loop.expect()
    ended = run(loop, loop.gather([first, second]))
    loop.settle(two, None, nectar.Refused("no"))
    loop.run()
    assert ended == []
    loop.settle(one, 1)
    loop.run()
    ((_, error),) = ended
    assert isinstance(error, nectar.Refused)
    assert run(loop, loop.gather([])) == [([], None)]


def test_what_belongs_to_asyncio_is_an_error_that_says_so() -> None:
    class Strange:
        def __await__(self) -> Any:
            yield "a future of something else"

    ((_, error),) = run(Loop(), Strange())
    assert isinstance(error, TypeError)
    assert "there is no asyncio in a process" in str(error)


def test_a_signal_wakes_tasks_of_its_own_request_and_of_no_other() -> None:
    loop, signal, woken = _loop.LOOP, Signal(), list[object]()
    mine, other = object(), object()

    async def wait() -> None:
        await signal.wait()

    async def notify() -> None:
        signal.notify()

    loop.begin(wait(), lambda value, error: woken.append(error), mine)
    loop.begin(notify(), lambda value, error: woken.append(error), other)
    loop.run()
    assert [type(each) for each in woken] == [RuntimeError]
    loop.begin(notify(), lambda value, error: None, mine)
    loop.run()
    assert woken[1:] == [None]


def test_a_pending_answer_that_is_there_already_is_not_waited_for() -> None:
    loop = Loop()
    pending: Pending[int] = Pending(loop)
    pending.settle(7)
    assert run(loop, pending) == [(7, None)]


# --- pages


@pytest.mark.parametrize(
    ("bound", "asked", "fits"),
    [
        ("/rooms/:id", "/rooms/7", True),
        ("/rooms/:id", "/rooms", False),
        ("/live", "/live", True),
        ("/live", "/x", False),
    ],
)
def test_a_websocket_belongs_to_the_path_that_it_fits(bound: str, asked: str, fits: bool) -> None:
    assert http.path_fits(bound, asked) == fits


@pytest.mark.parametrize("name", ["page.css", "page.html", "page.js"])
def test_the_chats_page_is_that_of_the_package_in_zig(name: str) -> None:
    """A copy, for the compiler lets no link lead out of the folder of a process."""
    root = Path(__file__).resolve().parents[2]
    copy = root / "sdk" / "python" / "examples" / "web_chat" / name
    assert copy.read_bytes() == (root / "packages" / "web_chat" / name).read_bytes()
