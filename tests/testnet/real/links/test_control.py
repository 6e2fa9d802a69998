"""What the links can be asked, line by line, and what they make of anything else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from testnet.model.rule import NotAtThisLevel
from testnet.real.links.control import MAX_FAULTS, LinksControl
from testnet.real.links.fabric import open_links
from testnet.real.nodes.addresses import Allocation, LoopbackNetwork
from tests.testnet.real.links.nodes import NotedNodes

PARTITION = {"kind": "partition", "parameters": {"between": ["a.nec", "b.nec"]}}
PAUSE = {"kind": "pause", "parameters": {"node": "a.nec"}}


class Asking:
    """A client of the links of a testnet in which a.nec and b.nec are known."""

    def __init__(self, control: LinksControl, nodes: NotedNodes) -> None:
        self.control = control
        self.nodes = nodes

    async def answer(self, line: bytes) -> dict[str, Any]:
        return await self.control.answer_untrusted(None, line)

    async def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        answer = await self.answer(json.dumps({"command": command, **arguments}).encode())
        assert "ok" in answer, answer
        found: dict[str, Any] = answer["ok"]
        return found

    async def refused(self, command: str, **arguments: object) -> str:
        answer = await self.answer(json.dumps({"command": command, **arguments}).encode())
        sentence: str = answer["error"]["sentence"]
        return sentence

    async def held(self) -> list[int]:
        return [row["number"] for row in (await self.ask("faults"))["faults"]]


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[Asking]:
    nodes = NotedNodes()
    async with open_links() as links, trio.open_nursery() as nursery:
        allocation = Allocation(LoopbackNetwork.of(folder), ["a.nec", "b.nec"])
        (folder / "links").mkdir()
        control = LinksControl(links, lambda _: nodes, folder, allocation)
        nursery.start_soon(control.expire)
        yield Asking(control, nodes)
        nursery.cancel_scope.cancel()


async def test_a_fault_holds_until_it_is_removed(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        row = await client.ask("apply", **PARTITION)
        assert row == {
            "number": 1,
            "kind": "partition",
            "parameters": {"between": ["a.nec", "b.nec"]},
            "words": "partition a.nec from b.nec",
            "left": None,
        }
        assert (await client.ask("faults"))["faults"] == [row]
        assert (await client.ask("remove", number=1))["removed"] == [row]
        assert await client.held() == []


async def test_all_faults_are_removed_at_once(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        for _ in range(3):
            await client.ask("apply", **PARTITION)
        assert await client.held() == [1, 2, 3]
        assert len((await client.ask("remove", number=None))["removed"]) == 3
        assert await client.held() == []


async def test_a_fault_ends_by_itself_when_its_time_is_over(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking(tmp_path) as client:
        for seconds in (5, 3):
            await client.ask("apply", **PARTITION, seconds=seconds)
        await client.ask("apply", **PARTITION)
        held = {}
        for now in (2, 4, 6):
            await trio.sleep(now - trio.current_time() + 0.5)
            held[now] = await client.held()
        assert held == {2: [1, 2, 3], 4: [1, 3], 6: [3]}


async def test_a_fault_of_a_node_is_done_to_it_and_undone(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        await client.ask("apply", **PAUSE)
        assert client.nodes.noted == ["pause a.nec"]
        await client.ask("remove", number=1)
        assert client.nodes.noted == ["pause a.nec", "resume a.nec"]


async def test_of_equal_faults_only_the_first_is_begun_and_only_the_last_is_ended(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        for _ in range(2):
            await client.ask("apply", **PAUSE)
        await client.ask("remove", number=1)
        assert client.nodes.noted == ["pause a.nec"]
        await client.ask("remove", number=2)
        assert client.nodes.noted == ["pause a.nec", "resume a.nec"]


async def test_what_this_level_cannot_do_is_one_sentence_and_does_not_hold(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        client.nodes.refuses = NotAtThisLevel("Not here.")
        assert await client.refused("apply", **PAUSE) == "Not here."
        assert await client.held() == []


OWN = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Own:
    names = ()
    def begin(self, nodes): BEGIN
    def end(self, nodes): END
    def words(self): return "own"
"""


async def test_a_fault_of_ones_own_that_cannot_begin_is_one_sentence_and_does_not_hold(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN.replace("BEGIN", 'raise KeyError("b")').replace("END", "pass"))
    async with asking(tmp_path) as links:
        assert await links.refused("apply", kind=f"{file}:Own", parameters={}) == "The fault has failed: KeyError: 'b'."
        assert await links.held() == []


async def test_faults_behind_one_that_cannot_end_are_removed_too(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN.replace("BEGIN", "pass").replace("END", 'raise KeyError("e")'))
    async with asking(tmp_path) as links:
        await links.ask("apply", kind=f"{file}:Own", parameters={})
        await links.ask("apply", **PARTITION)
        assert await links.refused("remove") == "The fault has failed: KeyError: 'e'."
        assert await links.held() == []


async def test_a_node_gets_a_place_that_is_remembered(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        place = await client.ask("add", name="c.nec")
        assert place["front"] == [place["host"], 7100]
        assert place == await client.ask("add", name="c.nec")
        assert json.loads((tmp_path / "links" / "places.json").read_text())["nodes"] == ["a.nec", "b.nec", "c.nec"]
        assert await client.ask("statistics") == {"connections": 0, "links": []}


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"kind": "partion", "parameters": {}}, "There is no fault 'partion'; did you mean partition?"),
        (
            {"kind": "partition", "parameters": {"node": "c.nec"}},
            "The links lead to no node c.nec, but to a.nec",
        ),
        ({"kind": "latency", "parameters": {"second": 1}}, "latency has no parameter 'second'"),
        ({"kind": "latency", "parameters": {"seconds": "soon"}}, "latency: seconds"),
        ({"kind": 7, "parameters": {}}, "The request cannot be understood: kind must be a text"),
        (
            {"kind": "partition", "parameters": []},
            "The request cannot be understood: parameters must be an object",
        ),
        ({**PARTITION, "seconds": 0}, "A fault holds for more than 0"),
        ({**PARTITION, "seconds": 1e300}, "A fault holds for more than 0"),
        ({**PARTITION, "seconds": True}, "The request cannot be understood: seconds must be a number"),
    ],
)
async def test_what_is_no_fault_is_refused_in_a_sentence(tmp_path: Path, asked: dict[str, object], why: str) -> None:
    async with asking(tmp_path) as client:
        assert (await client.refused("apply", **asked)).startswith(why)
        assert await client.held() == []


@pytest.mark.parametrize("name", ["", "a", "../a.nec", "\ud800", "x" * 60_000])
async def test_a_node_is_added_under_the_name_of_one(tmp_path: Path, name: object) -> None:
    async with asking(tmp_path) as links:
        assert (await links.refused("add", name=name)).startswith(
            "name must be the name of a node, such as a.nec, and not "
        )


@pytest.mark.parametrize("number", [2, -1, 1 << 70])
async def test_a_fault_that_is_not_there_cannot_be_removed(tmp_path: Path, number: object) -> None:
    async with asking(tmp_path) as client:
        await client.ask("apply", **PARTITION)
        assert (await client.refused("remove", number=number)).endswith(": there are 1.")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 1000,
        b'{"command": []}',
        b'{"command": "add"}',
        b'{"command": "add", "name": null}',
    ]
    + [b'{"command": "remove", "number": %b}' % number for number in (b'"1"', b"[]", b"1.5", b"true")],
)
async def test_a_line_that_is_no_request_is_refused(tmp_path: Path, line: bytes) -> None:
    async with asking(tmp_path) as client:
        assert (await client.answer(line))["error"]["kind"] == "BadInput"


async def test_faults_without_end_are_not_taken(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        for _ in range(MAX_FAULTS):
            await client.ask("apply", **PARTITION)
        assert await client.refused("apply", **PARTITION) == "256 faults hold already: remove some."
