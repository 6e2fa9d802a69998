"""A chat with a page, in virtual time: what pages are told of lines, through restarts and failures of the network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Inject
from kernel.contract.message import Request
from testnet.browsers.web_socket import SimWebSocket
from testnet.faults.partition import Partition
from testnet.model.where import Where
from testnet.sim.programs import Programs
from tests.packages.lab import Lab

ONE, TWO = NODES = ("one.nec", "two.nec")
BASE = "/web_chat:web_chat:sys"


class Visitor:
    """A browser that is signed in, with the page of one node open."""

    def __init__(self, lab: Lab, node: str) -> None:
        self.lab = lab
        self.node = node
        self.lines: dict[int, dict[str, Any]] = {}
        """By id, as the page shows them."""
        self.errors: list[str] = []
        self.socket: SimWebSocket = lab.simulation.websocket(node, f"{BASE}/lines", sign_in(lab, node))
        assert self.socket.is_open, self.socket.refused
        self.listen()

    def listen(self) -> None:
        """Take the next piece of news."""
        ((kind, value),) = json.loads(self.socket.receive(60.0)).items()
        if kind == "Hello":
            assert value["node"] == self.node
            self.lines = {line["id"]: line for line in value["lines"]}
        elif kind == "Line":
            self.lines[value["id"]] = value
        else:
            self.errors.append(value)

    def send(self, order: object) -> None:
        self.socket.send(json.dumps(order))

    def say(self, to: str, text: str) -> None:
        self.send({"Say": {"to": to, "text": text}})
        self.listen()

    def shown(self) -> list[tuple[str, str, str]]:
        """With whom, what, and what became of it."""
        return [(line["node"], line["text"], line["state"]) for line in self.lines.values()]


def sign_in(lab: Lab, node: str) -> dict[str, str]:
    """The headers of a page whose user has signed in."""
    return lab.simulation.sign_in(node, "web_chat:web_chat:sys")


@pytest.fixture
def ann(lab: Lab) -> Visitor:
    """Somebody at one.nec."""
    return Visitor(lab, ONE)


@pytest.fixture
def ben(lab: Lab) -> Visitor:
    """Somebody at two.nec."""
    return Visitor(lab, TWO)


def test_a_line_goes_from_page_to_page_and_its_author_sees_that_it_has_arrived(ann: Visitor, ben: Visitor) -> None:
    ann.say(TWO, "Hello")
    assert ann.shown() == [(TWO, "Hello", "Sent")]
    ben.listen()
    assert ben.shown() == [(ONE, "Hello", "Heard")]
    ann.listen()
    assert ann.shown() == [(TWO, "Hello", "Heard")]


def test_all_pages_of_a_node_are_told_and_a_later_one_sees_what_was_said(lab: Lab, ann: Visitor) -> None:
    other = Visitor(lab, ONE)
    ann.say("nobody.nec", "Hello")
    for _ in range(2):
        other.listen()
    ann.listen()
    assert other.shown() == ann.shown() == Visitor(lab, ONE).shown() == [("nobody.nec", "Hello", "Offline")]


def test_g13_a_line_into_a_partition_is_offline_and_comes_when_it_is_sent_again(
    lab: Lab, ann: Visitor, ben: Visitor
) -> None:
    with lab.simulation.apply(Partition()):
        ann.say(TWO, "Cut off")
        ann.listen()
        assert ann.shown() == [(TWO, "Cut off", "Offline")]
    ann.send({"Again": 1})
    ben.listen()
    for _ in range(2):
        ann.listen()
    assert ann.shown() == [(TWO, "Cut off", "Heard")]
    assert ben.shown() == [(ONE, "Cut off", "Heard")]


def test_a_line_that_was_heard_without_its_author_knowing_is_not_shown_twice(
    lab: Lab, ann: Visitor, ben: Visitor
) -> None:
    ann.say(TWO, "First")
    ann.listen()
    ben.listen()
    with lab.simulation.apply(Partition(Where(TWO, ONE, both=False))):
        ann.say(TWO, "Second")
        ben.listen()
        ann.listen()
    assert ann.shown()[1] == (TWO, "Second", "Offline")
    ann.send({"Again": 2})
    for _ in range(2):
        ann.listen()
    assert ann.shown()[1] == (TWO, "Second", "Heard")
    ann.say(TWO, "Third")
    ben.listen()
    assert [text for _, text, _ in ben.shown()] == ["First", "Second", "Third"]


def test_g27_lines_outlive_a_crash_and_what_was_on_its_way_is_not_known(lab: Lab, ann: Visitor, ben: Visitor) -> None:
    ann.say(TWO, "Known")
    ann.listen()
    with lab.simulation.apply(Partition(Where(ONE, TWO))):
        ann.say(TWO, "Not known")
        lab.simulation.restart(ONE)
    lab.simulation.settle()
    lab.simulation.rest(1.0)  # until the process has bound its pages
    again = Visitor(lab, ONE)
    assert again.shown() == [(TWO, "Known", "Heard"), (TWO, "Not known", "Timeout")]
    again.send({"Again": 2})
    for _ in range(2):
        again.listen()
    assert again.shown()[1] == (TWO, "Not known", "Heard")
    assert len(Visitor(lab, TWO).shown()) == 2


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"Say": {"to": "", "text": "x"}}, "Say the name of a node, such as two.nec."),
        ({"Say": {"to": ONE, "text": "x"}}, "That is this node itself: name another one."),
        ({"Say": {"to": TWO, "text": ""}}, "A line has 1 to 1,000 bytes."),
        ({"Say": {"to": TWO, "text": "x" * 1001}}, "A line has 1 to 1,000 bytes."),
        ({"Again": 7}, "That line is not kept any more."),
        ("nonsense", "That is no order that this chat knows."),
    ],
)
def test_what_cannot_be_done_is_said_to_the_page_that_wanted_it(ann: Visitor, order: object, why: str) -> None:
    ann.send(order)
    ann.listen()
    assert (ann.errors, ann.shown()) == ([why], [])


def test_a_line_that_has_arrived_is_not_sent_again(ann: Visitor) -> None:
    ann.say(TWO, "Hello")
    ann.listen()
    ann.send({"Again": 1})
    ann.listen()
    assert ann.errors == ["That line is not one to send again."]


def test_other_nodes_can_send_lines_and_nothing_else(lab: Lab) -> None:
    target = f"{TWO}@web_chat:web_chat:sys"
    assert lab.ask(target, {"Line": {"number": 1, "text": "x"}}) == "Heard"
    for body in ({"WebSocketOpen": {"path": "/lines", "channel_id": 1}}, {"Line": {"number": 2, "text": ""}}, "x"):
        assert "Err" in lab.ask(target, body)


def test_g3_another_node_is_not_taken_for_the_server_of_this_one(lab: Lab) -> None:
    # The user of a node may send in the name of any process there.
    ask = Request(False, 10, json.dumps({"WebSocketOpen": {"path": "/lines", "channel_id": 1}}).encode())
    server, token, liar = ProcessId("http-server", "distro", "sys"), object(), lab.at(ONE)
    liar.core.machine.handle(
        Inject(server, Address.parse(f"{TWO}@web_chat:web_chat:sys"), ask, None, token), lab.simulation.now
    )
    liar.go_on()
    assert lab.wait(token) == {"Err": "expected a Line"}


def test_nobody_comes_in_who_has_not_signed_in(lab: Lab) -> None:
    headers = {**sign_in(lab, ONE), "cookie": ""}
    socket = lab.simulation.websocket(ONE, f"{BASE}/lines", headers)
    assert socket.refused is not None
    assert socket.refused.status == 401


def test_the_last_two_hundred_lines_are_kept(lab: Lab) -> None:
    for number in range(1, 204):
        lab.ask(f"{TWO}@web_chat:web_chat:sys", {"Line": {"number": number, "text": f"{number}"}})
    assert [text for _, text, _ in Visitor(lab, TWO).shown()] == [f"{number}" for number in range(4, 204)]


def test_the_nodes_homepage_leads_to_the_chat(engine: Programs) -> None:
    lab = Lab(engine, ("homepage", "web_chat"))
    path = "/homepage:homepage:sys/"
    page = lab.simulation.get(ONE, path, lab.simulation.sign_in(ONE, "homepage:homepage:sys"))
    assert page is not None
    text = bytes(page.body).decode()
    assert "<span>Chat</span>" in text
    assert f'{BASE}/"' in text
