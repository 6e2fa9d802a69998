"""Bytes for the pages of packages: bounds for one, for all, and the node's."""

from __future__ import annotations

from kernel.contract.address import PackageId
from nectar_node.contract.memory_budget import LEAST_BYTES, MemoryBudget
from nectar_node.contract.package_bytes import HeldBodies, PackageBytes

A, B = PackageId("a", "sys"), PackageId("b", "sys")


def test_a_package_has_its_bound_all_have_one_and_what_is_given_back_is_free() -> None:
    memory = MemoryBudget(LEAST_BYTES)
    waiting = PackageBytes(memory, 100, 150)
    assert waiting.take(A, 100)
    assert not waiting.take(A, 1)
    assert waiting.take(B, 50)
    assert not waiting.take(B, 1)
    assert (memory.of("web", "a:sys"), memory.used) == (100, 150)
    waiting.remove(A, 100)
    assert waiting.take(B, 50)
    waiting.remove(B, 100)
    assert (waiting.used, memory.used, memory.holders) == (0, 0, {})


def test_where_the_nodes_memory_is_used_up_a_package_gets_no_more_than_its_share_of_the_rest() -> None:
    memory = MemoryBudget(LEAST_BYTES)
    peer = memory.of_node("x.nec")
    peer.add(LEAST_BYTES)
    waiting = PackageBytes(memory, LEAST_BYTES, LEAST_BYTES)
    assert waiting.take(A, 16 << 10)
    assert not waiting.take(A, 1)
    peer.remove(LEAST_BYTES)
    assert waiting.take(A, 1)


def test_bodies_on_their_way_are_bounded_for_each_package_and_all() -> None:
    memory = MemoryBudget(LEAST_BYTES)
    held = HeldBodies(memory, 100, 150)
    first, second, third = bytes(80), bytearray(80), bytes(70)
    assert held.hold(1, A, first)
    assert held.hold(2, A, memoryview(first)[10:20]), "a part of it is there already"
    assert not held.hold(3, A, second)
    assert held.hold(4, B, third)
    assert not held.hold(5, B, second)
    held.release(1)
    assert held.used == 150
    held.release(2)
    held.release(2)
    assert held.hold(3, A, second)
    held.release(3)
    held.release(4)
    assert (len(held), memory.used, memory.holders) == (0, 0, {})
