"""What is still under way when nobody waits any longer, with nodes that a test serves: no file comes after that."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nectar_node.launcher.file_transfer import Interrupts
from nectar_node.launcher.local_network import LocalNetwork
from testnet.chaos.context import ChaosContext
from testnet.chaos.leftovers import end_transfers
from testnet.chaos.nodes import RunningTestnet
from testnet.chaos.report import ChaosReport
from testnet.chaos.run import run_chaos
from testnet.real.links.claim import links_folder
from tests.nectar_node.cli.served_node import Reply, make_network, serve_folder, serve_node

NODES = ("a.nec", "b.nec")
PREFIX = "chaos-0123-"


@dataclass
class Transfers:
    """What file_transfer of a node says, and what it is told."""

    rows: list[dict[str, str]]
    told: list[str]
    """Of all nodes: what was asked for, in order; a cancelled transfer by its id."""
    cancelled: Callable[[dict[str, str]], None] = lambda row: row.update(state="failed")

    def answer(self, asked: dict[str, Any]) -> Reply:
        body = json.loads(asked["body"])
        if body == "List":
            return self._response({"List": self.rows})
        row = next(each for each in self.rows if each["id"] == body["Cancel"]["id"])
        self.told.append(row["id"])
        self.cancelled(row)
        return self._response("Ok")

    def _response(self, value: object) -> Reply:
        return {"ok": {"outcome": "response", "body": json.dumps(value)}}


@dataclass
class Nodes:
    """Those of a testnet, all served until the end of this."""

    folder: Path
    told: list[str] = field(default_factory=list)
    transfers: dict[str, Transfers] = field(default_factory=dict)
    served: ExitStack = field(default_factory=ExitStack)

    @property
    def stage(self) -> ChaosContext:
        return ChaosContext(LocalNetwork(self.folder), NODES, 1, self.folder, ChaosReport(1, NODES, 60.0))

    def serve(self, name: str, *rows: dict[str, str]) -> Transfers:
        self.transfers[name] = Transfers(list(rows), self.told)
        self.served.enter_context(serve_node(self.folder, name, self.transfers[name].answer))
        return self.transfers[name]

    def __enter__(self) -> Nodes:
        make_network(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self.served.close()


def row(direction: str, name: str, state: str = "sending") -> dict[str, str]:
    return {"id": f"{direction} {name}", "direction": direction, "name": name, "state": state}


def inbox(network: LocalNetwork, name: str) -> Path:
    return network.place(name).drives / "file_transfer:sys" / "inbox"


def test_receivers_are_told_to_end_when_no_sender_is_left(tmp_path: Path) -> None:
    sends, receives = row("sending", f"{PREFIX}1.bin"), row("receiving", f"{PREFIX}1.bin", "checking")
    with Nodes(tmp_path) as nodes:
        sending = nodes.serve("a.nec", sends)
        sending.cancelled = lambda told: told.update(state="failed" if nodes.told.count(told["id"]) == 3 else "sending")
        nodes.serve("b.nec", receives)
        stage = nodes.stage
        end_transfers(stage, PREFIX)
    assert nodes.told == [sends["id"]] * 3 + [receives["id"]]
    assert stage.report.problems == []


class StoresAtTheLast:
    """A node whose senders are told that they have failed, though it stores what came: when it is told to end, or,
    if it is not, later."""

    def __init__(self, network: LocalNetwork, name: str) -> None:
        self._inbox = inbox(network, name)
        self.coming: dict[str, bytes] = {}
        """What others have sent, and has not been stored."""
        self.others: dict[str, StoresAtTheLast] = {}

    def answer(self, asked: dict[str, Any]) -> Reply:
        if asked["command"] == "share":
            return {"ok": {"path": asked["file"]}}
        if asked["command"] != "message" or "witness" in asked["target"]:
            return {"error": {"kind": "ControlError", "sentence": "There is no witness."}}
        match json.loads(asked["body"]):
            case {"Send": {"path": path, "name": name, "to": target}}:
                self.others[target].coming[name] = Path(path).read_bytes()
                value: object = {"Failed": {"reason": "gone", "kind": "Offline", "received": 0}}
            case {"Cancel": {"id": name}}:
                self.store(name)
                value = "Ok"
            case _:
                rows = [
                    {"id": name, "name": name, "direction": "receiving", "state": "sending"} for name in self.coming
                ]
                value = {"List": rows}
        return {"ok": {"outcome": "response", "body": json.dumps(value)}}

    def store(self, name: str) -> None:
        (self._inbox / name).write_bytes(self.coming.pop(name))


def test_a_file_that_comes_when_its_transfer_is_told_to_end_is_looked_at_and_removed(tmp_path: Path) -> None:
    network = LocalNetwork(make_network(tmp_path))
    receivers = {name: StoresAtTheLast(network, name) for name in NODES}
    wanted = Interrupts()

    class Interrupting:
        """Interrupts when files are under way both ways."""

        def show(self, done: int, total: int, text: str) -> None:
            if all(each.coming for each in receivers.values()):
                wanted.count = 1

    with ExitStack() as served:
        for name, receiver in receivers.items():
            receiver.others = receivers
            served.enter_context(serve_node(tmp_path, name, receiver.answer))
            inbox(network, name).mkdir(parents=True)
        served.enter_context(serve_folder(links_folder(tmp_path), lambda _: {"ok": {"faults": []}}))
        report = run_chaos(RunningTestnet(network, NODES), 5, 600.0, (), Interrupting(), wanted)
    for receiver in receivers.values():
        for name in list(receiver.coming):
            receiver.store(name)
    assert report.violations() == []
    assert report.transfers.failed.total() >= len(NODES)
    assert [path for name in NODES for path in inbox(network, name).iterdir()] == []


def test_transfers_of_others_and_those_that_have_ended_are_left_alone(tmp_path: Path) -> None:
    with Nodes(tmp_path) as nodes:
        nodes.serve("a.nec", row("sending", "photo.jpg"), row("sending", f"{PREFIX}1.bin", "done"))
        nodes.serve("b.nec", row("receiving", "chaos-4567-1.bin"), row("receiving", f"{PREFIX}1.bin", "failed"))
        stage = nodes.stage
        end_transfers(stage, PREFIX)
    assert (nodes.told, stage.report.problems) == ([], [])


def test_a_node_that_does_not_run_has_none(tmp_path: Path) -> None:
    with Nodes(tmp_path) as nodes:
        nodes.serve("a.nec")
        stage = nodes.stage
        end_transfers(stage, PREFIX)
    assert stage.report.problems == []


def test_a_transfer_that_does_not_end_is_a_problem_of_the_run(tmp_path: Path) -> None:
    with Nodes(tmp_path) as nodes:
        nodes.serve("a.nec")
        nodes.serve("b.nec", row("receiving", f"{PREFIX}1.bin")).cancelled = lambda told: None
        stage = nodes.stage
        end_transfers(stage, PREFIX, within=0.0)
    assert stage.report.problems == [f"b.nec may still be receiving files: receiving {PREFIX}1.bin has not ended"]
