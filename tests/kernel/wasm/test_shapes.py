"""Every import of every version with every shape of value, both ways: what one side passes is what the other gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kernel.contract.guest import GuestConfig, Poll
from kernel.wasm.canonical import wit
from kernel.wasm.canonical.wit import (
    INTERFACES,
    Interface,
    Option,
)
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm import guests, reference
from tests.kernel.wasm.puppet import FLAT_RESULT, Script, imports_of, puppet
from tests.kernel.wasm.shapes import ANSWER, answers, expected_effects, honest, look_up, shapes, shapes_of_params

MEMORY = 64 << 20


NAMES = [(module, function.name) for module, interface in INTERFACES.items() for function in interface.functions]


def cases(wanted: Callable[[str, str], object]) -> list[object]:
    """For `parametrize`: the imports that are wanted; one that is the same in an earlier version is `long`."""
    found, seen = list[object](), set[object]()
    for module, name in NAMES:
        if wanted(module, name):
            function = look_up(module, name)[1]
            kind = (name, repr(function.params), repr(function.result))
            found.append(pytest.param(module, name, marks=pytest.mark.long if kind in seen else ()))
            seen.add(kind)
    return found


def started(replayable: Engine, interface: Interface) -> Fiber:
    program = guests.loaded(replayable, puppet(imports_of(interface)))
    guest = program.start(GuestConfig(guests.OUR, MEMORY))
    assert isinstance(guest, Fiber)
    assert guests.poll(guest) is Poll.RECEIVE, guest.end
    return guest


@pytest.mark.parametrize(("module", "name"), cases(lambda *each: look_up(*each)[1].params))
def test_every_shape_of_parameters_arrives_exactly(replayable: Engine, module: str, name: str) -> None:
    interface, function = look_up(module, name)
    guest = started(replayable, interface)
    for values in (honest(function, shape) for shape in shapes_of_params(function)):
        guest.resume(guests.arrival(Script(interface).call(name, *values).body()))
        state = guests.poll(guest)
        assert guest.effects == expected_effects(function, values)
        guest.effects.clear()
        if state is Poll.CALL:
            guest.resume(answers(function)[0][0])
            state = guests.poll(guest)
        assert state is Poll.RECEIVE, guest.end
    guest.close()


@pytest.mark.parametrize(("module", "name"), cases(lambda _, name: name in ANSWER))
def test_every_shape_of_result_arrives_exactly(replayable: Engine, module: str, name: str) -> None:
    interface, function = look_up(module, name)
    guest = started(replayable, interface)
    values = honest(function, shapes_of_params(function)[-1])
    body = Script(interface).call(name, *values).body()
    for answer, seen in answers(function):
        guest.resume(guests.arrival(body))
        assert guests.poll(guest) is (Poll.RECEIVE if name == "receive" else Poll.CALL), guest.end
        guest.resume(answer)
        assert guests.poll(guest) is Poll.RECEIVE, guest.end
        assert guests.result(guest, function, Script.slot(0)) == seen
        guest.effects.clear()
    guest.close()


@pytest.mark.parametrize(("module", "name"), cases(lambda _, name: name.endswith(("-blob", "-payload"))))
def test_every_shape_of_blob_arrives_exactly(replayable: Engine, module: str, name: str) -> None:
    interface, function = look_up(module, name)
    guest = started(replayable, interface)
    body = Script(interface).call(name).body()
    for plain in shapes(Option(wit.LAZY_LOAD_BLOB))[1:]:
        blob: Any = reference.built(wit.LAZY_LOAD_BLOB, plain)
        guest.resume(guests.arrival(body)._replace(blob=blob))
        assert guests.poll(guest) is Poll.RECEIVE, guest.end
        if name == "has-blob":
            assert guest.memory[FLAT_RESULT] == 1
        else:
            assert guests.result(guest, function, Script.slot(0)) == plain
    guest.close()
