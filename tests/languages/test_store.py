"""A store with a replica in each language: what is acknowledged is on both nodes, and stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from testnet.faults.crash import Crash
from testnet.testing.package_lab import PackageLab

PRIMARY, REPLICA = "one.nec", "two.nec"
STORE = "our@store:store:sys"


class Stores:
    """A primary and its replica."""

    def __init__(self, lab: PackageLab) -> None:
        self.lab = lab
        assert self.ask({"Lead": {"replica": REPLICA}}) == "Ok"
        assert self.ask({"Follow": {"primary": PRIMARY}}, REPLICA) == "Ok"

    def ask(self, body: Any, node: str = PRIMARY) -> Any:
        return self.lab.ask(node, STORE, body, timeout=40).body

    def put(self, key: str, value: str) -> Any:
        return self.ask({"Put": {"key": key, "value": value}})["Put"]

    def dump(self, node: str) -> dict[str, tuple[str, int]]:
        entries = self.ask("Dump", node)["Dump"]["entries"]
        return {each["key"]: (each["value"], each["version"]) for each in entries}


@pytest.fixture
def stores(lab: PackageLab, boot: Callable[..., None]) -> Stores:
    boot("store", PRIMARY, REPLICA)
    return Stores(lab)


def test_g27_what_is_put_is_on_both_nodes_and_survives_a_crash_of_either(stores: Stores) -> None:
    assert stores.put("a", "x") == {"version": 1, "replicated": True}
    assert stores.put("b", "ü") == {"version": 2, "replicated": True}
    assert stores.put("a", "y") == {"version": 3, "replicated": True}
    for node in (PRIMARY, REPLICA):
        stores.lab.restart(node)
    assert stores.dump(PRIMARY) == stores.dump(REPLICA) == {"b": ("ü", 2), "a": ("y", 3)}
    assert stores.ask({"Get": {"key": "a"}}, REPLICA) == {"Value": {"value": "y", "version": 3}}
    assert stores.ask({"Get": {"key": "c"}}, REPLICA) == "Missing"


def test_many_puts_at_once_are_answered_each_with_its_version(stores: Stores) -> None:
    lab = stores.lab
    puts = [lab.begin(PRIMARY, STORE, {"Put": {"key": f"{n % 3}", "value": f"{n}"}}, 40) for n in range(1, 11)]
    lab.wait(lambda: all(each.outcome is not None for each in puts))
    versions = {each.outcome.body["Put"]["version"] for each in puts if each.outcome is not None}
    assert versions == set(range(1, 11))
    assert stores.dump(PRIMARY) == stores.dump(REPLICA)


def test_a_replica_that_was_down_catches_up_by_itself(stores: Stores) -> None:
    stores.put("a", "x")
    with stores.lab.apply(Crash(REPLICA)):
        assert stores.put("b", "y") == {"version": 2, "replicated": False}
    stores.lab.start(REPLICA)
    stores.lab.wait(lambda: stores.dump(REPLICA) == {"a": ("x", 1), "b": ("y", 2)}, 60)


def test_what_cannot_be_done_is_said(stores: Stores) -> None:
    for body, node, reason in (
        ({"Put": {"key": "", "value": "x"}}, PRIMARY, "a key has 1 to 100 bytes"),
        ({"Put": {"key": "k", "value": "x" * 1001}}, PRIMARY, "a value has at most 1,000 bytes"),
        ({"Put": {"key": "k", "value": "x"}}, REPLICA, "this is the replica: put to one.nec"),
        ({"Lead": {"replica": "three.nec"}}, PRIMARY, "this is the primary of two.nec already"),
        ({"Copy": {"after": 0, "entries": []}}, PRIMARY, "we do not follow you"),
    ):
        assert stores.ask(body, node) == {"Err": reason}
    assert "expected" in stores.ask("Puts")["Err"]
