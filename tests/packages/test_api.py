"""What packages say of their messages (`api/*.wit`) is what they do. `Lab` checks that of whatever else is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nectar_node.interfaces.fitting import misfit
from nectar_node.interfaces.messages import ProcessApi
from nectar_node.packages.interfaces import package_api
from nectar_node.packages.manifest import read_package
from packages.build import PACKAGES
from testnet.sim.programs import Programs
from tests.packages.lab import Lab

ONE, TWO = "one.nec", "two.nec"
DESCRIBED = sorted(each.parent.name for each in PACKAGES.glob("*/api"))
SHIPPED_FOR_ALL = {"chat", "counter", "echo", "file_transfer", "hello", "homepage", "pool", "store", "web_chat"}


def apis(package: str) -> list[ProcessApi]:
    return package_api(read_package(PACKAGES / package, ONE))


def test_the_packages_that_people_begin_with_describe_their_messages() -> None:
    assert set(DESCRIBED) >= SHIPPED_FOR_ALL


@pytest.mark.parametrize("package", DESCRIBED)
def test_what_is_described_belongs_to_processes_of_the_package_and_its_examples_fit(package: str) -> None:
    manifest = {entry.process for entry in read_package(PACKAGES / package, ONE).entries}
    assert {each.process for each in apis(package)} <= manifest
    for api in apis(package):
        for message in api.messages:
            assert message.docs.text, f"{api.process} does not say what {message.name} is for"
            assert api.is_raw or misfit(api.request, message.example) is None


CONVERSATIONS: list[tuple[tuple[str, ...], str, Any, str]] = [
    (("hello",), "our@hello:hello:sys", {"Greet": "Ada"}, "Greeting"),
    (("hello",), "our@hello:hello:sys", {"Ask": {"node": TWO, "name": "Ada"}}, "Answered"),
    (("hello",), "our@hello:hello:sys", {"Ask": {"node": "nobody.nec", "name": "Ada", "timeout": 1}}, "Failed"),
    (("echo",), "our@ping:echo:sys", {"Run": {"target": f"{TWO}@echo:echo:sys", "count": 2, "size": 3}}, "Ran"),
    (("echo",), "our@ping:echo:sys", {"Run": {"target": "nobody", "count": 2, "size": 3, "outstanding": 0}}, "Err"),
    (("pool",), f"{TWO}@worker:pool:sys", {"Do": {"number": 3, "below": 100}}, "Did"),
    (("awaiting",), "our@registry:awaiting:sys", {"Lookup": {"key": "order/1042"}}, "Found"),
    (("heavy_computation",), "our@heavy_computation:heavy_computation:sys", "Unknown", "Err"),
]


@pytest.mark.parametrize(("packages", "target", "body", "answered"), CONVERSATIONS, ids=lambda each: str(each)[:30])
def test_a_process_answers_as_it_is_described(
    engine: Programs, packages: tuple[str, ...], target: str, body: Any, answered: str
) -> None:
    lab = Lab(engine, packages, (ONE, TWO))
    answer = lab.ask(target, body)
    assert next(iter(answer)) == answered
    if answered != "Err":
        assert {process for process, _ in lab.described.seen} == {target.partition("@")[2]}


def test_what_does_not_fit_is_answered_with_an_error_by_the_process_too(engine: Programs) -> None:
    lab = Lab(engine, ("counter",))
    (counter,) = apis("counter")
    for body in ("Add", {"Add": -1}, {"Add": "5"}, {"Add": True}, {"Add": 1.5}, 7, None, {"Sub": 1}):
        assert misfit(counter.request, body) is not None, json.dumps(body)
        assert "Err" in lab.ask("our@counter:counter:sys", body)
