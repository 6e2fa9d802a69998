"""Programs are compiled on threads of which no package can take all."""

from __future__ import annotations

import threading

import trio
import trio.testing

from nectar_node.contract.actions import BadCode
from nectar_node.driver.code_loading import THREADS_OF_PACKAGE, Loader
from nectar_node.driver.program_code import Source
from nectar_node.storage.operations import Location


class Slow:
    """A compiler that takes as long as the test likes."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun: list[Source] = []

    def __call__(self, source: Source) -> BadCode:
        self.begun.append(source)
        if isinstance(source, Location) and source.parts[0].startswith("bomb"):
            self.go_on.wait(60)
        return BadCode("compiled")


async def test_g23_hostile_programs_of_one_package_hold_up_no_other() -> None:
    slow = Slow()
    loader = Loader("drives", slow)
    async with trio.open_nursery() as nursery:
        for number in range(THREADS_OF_PACKAGE + 20):
            nursery.start_soon(loader.load, Location("drives", ("bomb:sys", "pkg", f"{number}.wasm")))
        await loader.load(Location("drives", ("other:sys", "pkg", "a.wasm")))
        await loader.load(Location("installed", ("a.wasm",)))
        assert (
            sum(isinstance(each, Location) and each.parts[0] == "bomb:sys" for each in slow.begun) <= THREADS_OF_PACKAGE
        )
        slow.go_on.set()
    assert len(slow.begun) == THREADS_OF_PACKAGE + 22


async def test_a_node_that_stops_waits_for_no_compiler() -> None:
    slow = Slow()
    loader = Loader("drives", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loader.load, Location("drives", ("bomb:sys", "pkg", "a.wasm")))
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    slow.go_on.set()
