"""A key-value store with a replica: what is acknowledged is durable, on one node or on both, and stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.sim.programs import Programs
from tests.packages.lab import Lab

STORE = "our@store:store:sys"
PRIMARY, REPLICA = "one.nec", "two.nec"
CATCH_UP = 20
"""Seconds in which a replica that can be reached again has everything: an attempt every five, and some to connect."""


@pytest.fixture
def bare(engine: Programs) -> Lab:
    """Two nodes whose stores have no roles."""
    return Lab(engine, ("store",), (PRIMARY, REPLICA))


@pytest.fixture
def lab(bare: Lab) -> Lab:
    """The same with roles."""
    assert bare.ask(STORE, {"Lead": {"replica": REPLICA}}) == "Ok"
    assert bare.ask(STORE, {"Follow": {"primary": PRIMARY}}, where=REPLICA) == "Ok"
    return bare


def put(lab: Lab, key: str, value: str) -> Any:
    return lab.ask(STORE, {"Put": {"key": key, "value": value}})


def get(lab: Lab, key: str, where: str) -> Any:
    return lab.ask(STORE, {"Get": {"key": key}}, where=where)


def dump(lab: Lab, where: str) -> dict[str, tuple[str, int]]:
    answer = lab.ask(STORE, "Dump", where=where)["Dump"]
    versions = [entry["version"] for entry in answer["entries"]]
    assert versions == sorted(set(versions))
    assert answer["version"] == (versions[-1] if versions else 0)
    return {entry["key"]: (entry["value"], entry["version"]) for entry in answer["entries"]}


def restart(lab: Lab, node: str) -> None:
    lab.simulation.restart(node)
    lab.simulation.settle()


def test_what_is_put_is_on_both_nodes_when_that_is_acknowledged(lab: Lab) -> None:
    assert put(lab, "a", "x") == {"Put": {"version": 1, "replicated": True}}
    for node in (PRIMARY, REPLICA):
        assert get(lab, "a", node) == {"Value": {"value": "x", "version": 1}}
        assert get(lab, "b", node) == "Missing"


def test_a_later_value_replaces_an_earlier_one_with_a_higher_version(lab: Lab) -> None:
    for key, value in (("a", "x"), ("b", "y"), ("a", "z")):
        put(lab, key, value)
    for node in (PRIMARY, REPLICA):
        assert dump(lab, node) == {"b": ("y", 2), "a": ("z", 3)}


def test_many_puts_at_once_are_all_answered_with_their_own_versions(lab: Lab) -> None:
    puts = [lab.begin(STORE, {"Put": {"key": f"{number % 7}", "value": f"{number}"}}) for number in range(1, 51)]
    answers = [lab.wait(each) for each in puts]
    assert answers == [{"Put": {"version": number, "replicated": True}} for number in range(1, 51)]
    assert dump(lab, REPLICA) == dump(lab, PRIMARY) == {f"{n % 7}": (f"{n}", n) for n in range(44, 51)}


@pytest.mark.parametrize("node", [PRIMARY, REPLICA])
def test_g27_a_replicated_put_survives_a_crash_of_either_node(lab: Lab, node: str) -> None:
    put(lab, "a", "x")
    restart(lab, node)
    assert dump(lab, PRIMARY) == dump(lab, REPLICA) == {"a": ("x", 1)}
    assert put(lab, "b", "y") == {"Put": {"version": 2, "replicated": True}}


def test_g27_a_put_that_is_not_replicated_survives_a_crash_of_the_primary(lab: Lab) -> None:
    with lab.simulation.apply(Crash(REPLICA)):
        assert put(lab, "a", "x") == {"Put": {"version": 1, "replicated": False}}
        restart(lab, PRIMARY)
        assert dump(lab, PRIMARY) == {"a": ("x", 1)}
    lab.simulation.settle()
    lab.simulation.rest(CATCH_UP)
    assert dump(lab, REPLICA) == {"a": ("x", 1)}


def test_g27_a_put_is_answered_after_it_is_on_both_disks(lab: Lab) -> None:
    asked = lab.begin(STORE, {"Put": {"key": "a", "value": "x"}})
    lab.wait(asked)
    # Whatever was in memory is gone now.
    for node in (PRIMARY, REPLICA):
        lab.simulation.crash(node)
    for node in (PRIMARY, REPLICA):
        lab.simulation.start(node)
    lab.simulation.settle()
    assert dump(lab, PRIMARY) == dump(lab, REPLICA) == {"a": ("x", 1)}


def test_a_replica_that_was_down_catches_up_by_itself(lab: Lab) -> None:
    put(lab, "a", "x")
    with lab.simulation.apply(Crash(REPLICA)):
        for key, value in (("b", "1"), ("a", "2"), ("c", "3")):
            assert not put(lab, key, value)["Put"]["replicated"]
    lab.simulation.settle()
    assert dump(lab, REPLICA) == {"a": ("x", 1)}
    lab.simulation.rest(CATCH_UP)
    assert dump(lab, REPLICA) == dump(lab, PRIMARY) == {"b": ("1", 2), "a": ("2", 3), "c": ("3", 4)}


def test_the_next_put_brings_a_replica_what_it_missed(lab: Lab) -> None:
    with lab.simulation.apply(Crash(REPLICA)):
        put(lab, "a", "x")
    lab.simulation.settle()
    assert put(lab, "b", "y") == {"Put": {"version": 2, "replicated": True}}
    assert dump(lab, REPLICA) == {"a": ("x", 1), "b": ("y", 2)}


def test_puts_into_a_partition_are_told_apart_and_the_replica_has_them_after_it(lab: Lab) -> None:
    put(lab, "a", "x")
    with lab.simulation.apply(Partition()):
        puts = [lab.begin(STORE, {"Put": {"key": "a", "value": f"{number}"}}) for number in range(5)]
        replicated = [lab.wait(each)["Put"]["replicated"] for each in puts]
        assert replicated == [False] * 5
    lab.simulation.rest(60)
    assert dump(lab, REPLICA) == dump(lab, PRIMARY) == {"a": ("4", 6)}


def test_a_replica_that_sleeps_takes_each_change_once(lab: Lab) -> None:
    put(lab, "a", "x")
    with lab.simulation.apply(Pause(REPLICA)):
        puts = [lab.begin(STORE, {"Put": {"key": f"{number}", "value": "y"}}) for number in range(3)]
        lab.simulation.rest(8)
        assert [lab.answer(each) for each in puts] == [None] * 3
    assert [lab.wait(each)["Put"] for each in puts] == [{"version": n, "replicated": True} for n in (2, 3, 4)]
    assert dump(lab, REPLICA) == dump(lab, PRIMARY)


def test_a_replica_that_was_told_late_gets_everything(bare: Lab) -> None:
    bare.ask(STORE, {"Lead": {"replica": REPLICA}})
    assert put(bare, "a", "x") == {"Put": {"version": 1, "replicated": False}}
    bare.ask(STORE, {"Follow": {"primary": PRIMARY}}, where=REPLICA)
    bare.simulation.rest(CATCH_UP)
    assert dump(bare, REPLICA) == {"a": ("x", 1)}


def test_a_store_whose_disk_is_full_promises_nothing(lab: Lab) -> None:
    put(lab, "a", "x")
    lab.at(PRIMARY).disk.capacity = 0
    asked = lab.begin(STORE, {"Put": {"key": "a", "value": "y" * 1000}})
    lab.simulation.rest(0.5)
    lab.at(PRIMARY).disk.capacity = 1 << 30
    lab.simulation.rest(5)
    with pytest.raises(AssertionError, match="TIMEOUT"):
        lab.answer(asked)
    assert dump(lab, PRIMARY) == dump(lab, REPLICA) == {"a": ("x", 1)}


def test_the_store_is_full_at_256_keys_and_still_takes_new_values(lab: Lab) -> None:
    for number in range(256):
        assert put(lab, f"{number}", "x" * 1000)["Put"]["version"] == number + 1
    assert put(lab, "one more", "x") == {"Err": "the store is full: it has 256 keys"}
    assert put(lab, "7", "y") == {"Put": {"version": 257, "replicated": True}}
    restart(lab, REPLICA)
    assert dump(lab, REPLICA) == dump(lab, PRIMARY)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"Put": {"key": "", "value": "x"}}, "a key has 1 to 100 bytes"),
        ({"Put": {"key": "k" * 101, "value": "x"}}, "a key has 1 to 100 bytes"),
        ({"Put": {"key": "k", "value": "x" * 1001}}, "a value has at most 1,000 bytes"),
        ({"Lead": {"replica": "three.nec"}}, "this is the primary of two.nec already"),
        ({"Follow": {"primary": REPLICA}}, "this is the primary of two.nec already"),
        ({"Copy": {"after": 0, "entries": []}}, "we do not follow you"),
    ],
)
def test_what_cannot_be_done_is_said(lab: Lab, body: object, reason: str) -> None:
    assert lab.ask(STORE, body) == {"Err": reason}


def test_roles_are_kept_and_can_be_given_again(lab: Lab) -> None:
    for node in (PRIMARY, REPLICA):
        restart(lab, node)
    assert lab.ask(STORE, {"Lead": {"replica": REPLICA}}) == "Ok"
    assert lab.ask(STORE, {"Follow": {"primary": PRIMARY}}, where=REPLICA) == "Ok"
    refused = lab.ask(STORE, {"Put": {"key": "a", "value": "x"}}, where=REPLICA)
    assert refused == {"Err": "this is the replica: put to one.nec"}


def test_without_a_role_nothing_is_put(bare: Lab) -> None:
    assert put(bare, "a", "x") == {"Err": "this node has no role yet: ask it to Lead or to Follow"}
    assert get(bare, "a", PRIMARY) == "Missing"
    assert bare.ask(STORE, {"Lead": {"replica": PRIMARY}}) == {"Err": "the two must be different nodes"}
    assert "expected" in bare.ask(STORE, "Puts")["Err"]


def test_other_nodes_cannot_put_or_copy(lab: Lab) -> None:
    asked = lab.begin(f"{PRIMARY}@store:store:sys", {"Put": {"key": "a", "value": "x"}}, where=REPLICA)
    assert lab.wait(asked) == {"Err": "only processes of this node may ask this"}
    copy = {"Copy": {"after": 0, "entries": [{"key": "a", "value": "x", "version": 9}]}}
    asked = lab.begin(f"{PRIMARY}@store:store:sys", copy, where=REPLICA)
    assert lab.wait(asked) == {"Err": "we do not follow you"}
    assert json.dumps(dump(lab, PRIMARY)) == "{}"


def test_a_replica_with_changes_of_another_primary_is_left_alone(lab: Lab) -> None:
    # As if the primary had lost its disk: it knows less than its replica, and must not say that the two are equal.
    copy = {"Copy": {"after": 0, "entries": [{"key": "a", "value": "theirs", "version": 9}]}}
    assert lab.ask(f"{REPLICA}@store:store:sys", copy) == {"Copied": {"version": 9}}
    assert put(lab, "a", "ours") == {"Put": {"version": 1, "replicated": False}}
    assert dump(lab, REPLICA) == {"a": ("theirs", 9)}
    assert any("has changes that are not ours" in line for line in lab.node.log)
