"""Names of system processes that a node does not have: an error at once, and nothing kept."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Reply
from kernel.contract.message import Envelope, ReplyTo, Request
from nectar_node.base.shipped import find_shipped
from nectar_node.base.system_processes import HOMEPAGE
from nectar_node.contract.actions import LogLine
from nectar_node.system.processes import MAX_TOLD, Absent
from testnet.sim.programs import Programs
from testnet.sim.simulation import NodeSpec, Simulation
from tests.nectar_node.system.test_http_server import NODE, Site, site

OUR = "our.nec"
APP = Address(OUR, ProcessId("main", "app", "sys"))


def ask(absent: Absent, name: str, body: bytes, *, awaited: bool = True) -> tuple[list[Reply], list[LogLine]]:
    target = Address(OUR, ProcessId(name, "distro", "sys"))
    request = Request(False, 5 if awaited else None, body, '"m"')
    absent.receive(Envelope(1, APP, target, ReplyTo(APP, 1) if awaited else None, request, None), 0.0)
    replies, lines = [], []
    while (action := absent.next_action()) is not None:
        if isinstance(action, Reply):
            replies.append(action)
        else:
            assert isinstance(action, LogLine)
            lines.append(action)
    return replies, lines


CHAIN: dict[str, object] = {"chain_id": 10, "method": "eth_blockNumber", "params": None}


@pytest.mark.parametrize(
    ("name", "asked", "answer"),
    [
        ("eth", {"Request": CHAIN}, {"Err": "NoRpcForChain"}),
        (
            "eth",
            {"SubscribeLogs": {"sub_id": 1, "chain_id": 10, "kind": "logs", "params": {}}},
            {"Err": "NoRpcForChain"},
        ),
        ("eth", {"UnsubscribeLogs": 1}, {"Err": "NoRpcForChain"}),
        ("eth", "GetProviders", "PermissionDenied"),
        ("eth", {"AddProvider": {}}, "PermissionDenied"),
        ("fd-manager", "GetState", {"Err": "this node has no fd-manager:distro:sys"}),
    ],
)
def test_a_request_is_answered_at_once_as_its_callers_know(name: str, asked: object, answer: object) -> None:
    (reply,), _ = ask(Absent(), name, json.dumps(asked).encode())
    assert (reply.source, reply.response.metadata) == (ProcessId(name, "distro", "sys"), '"m"')
    assert json.loads(reply.response.body) == answer


def test_who_asks_a_homepage_that_does_not_run_is_told_so_at_once(tmp_path: Path, nectar_programs: Programs) -> None:
    with closing(Simulation(1, nectar_programs)) as simulation:
        node = simulation.boot_node(NodeSpec(NODE, (site(tmp_path / "pkg"),)))
        simulation.settle()
        before = simulation.now
        answer = Site(simulation, node).tell("GetApps", server=str(HOMEPAGE))
        assert answer == {"Err": f"this node has no {HOMEPAGE}: its user starts it with `nectar start homepage`"}
        assert simulation.now - before < 1


def test_a_homepage_that_runs_is_asked_itself(tmp_path: Path, nectar_programs: Programs) -> None:
    shipped = find_shipped("homepage")
    assert shipped is not None
    with closing(Simulation(1, nectar_programs)) as simulation:
        node = simulation.boot_node(NodeSpec(NODE, (shipped, site(tmp_path / "pkg", homepage=True))))
        simulation.settle()
        assert Site(simulation, node).tell("GetApps", server=str(HOMEPAGE)) == {"GetApps": []}


def test_a_request_that_expects_no_answer_is_dropped() -> None:
    replies, _ = ask(Absent(), "eth", b"x", awaited=False)
    assert replies == []


def test_g23_whoever_calls_ten_thousand_names_is_answered_and_fills_neither_memory_nor_log() -> None:
    absent, told = Absent(), 0
    for number in range(10_000):
        replies, lines = ask(absent, f"n{number}", b"{}")
        assert len(replies) == 1
        told += len(lines)
    assert (told, len(absent._told)) == (MAX_TOLD, MAX_TOLD)
    assert ask(Absent(), "eth", b"{}")[1] == [
        LogLine(str(APP.process), 0, "asks eth:distro:sys, which this node does not have")
    ]


@given(st.binary(max_size=200) | st.sampled_from([b"[" * 100_000, b'{"a":' * 20_000, b'"\\ud800"']))
def test_no_body_is_more_than_an_error(body: bytes) -> None:
    (reply,), _ = ask(Absent(), "eth", body)
    assert json.loads(reply.response.body) in ({"Err": "NoRpcForChain"}, "PermissionDenied")
