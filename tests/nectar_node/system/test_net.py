"""net:distro:sys: hello from node to node, and what this node knows of others."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Reply
from kernel.contract.message import Envelope, ReplyTo, Request
from nectar_node.base.system_processes import NET
from nectar_node.contract.actions import LogLine
from nectar_node.system.net import (
    MAX_HELLO_CHARACTERS,
    MAX_HELLOS,
    MAX_QUESTION_BYTES,
    WINDOW_SECONDS,
    Net,
    Peer,
    _is_message_pack,
)
from net.names.directory import Endpoint, NameRecord
from tests.nectar_node.system.driven import APP, OUR
from tests.nectar_node.system.drives import JSON

THEIR = "their.nec"
RECORD = NameRecord(THEIR, b"\x01" * 32, (Endpoint("127.0.0.1", 9000),), (), 3, 0, 1)
RECORD_JSON = {
    "name": THEIR,
    "public_key": "01" * 32,
    "endpoints": [{"host": "127.0.0.1", "port": 9000}],
    "routers": [],
    "sequence": 3,
}
HI = ProcessId("hi", "terminal", "sys")


def a_net() -> Net:
    peers: list[Peer] = [{"name": THEIR, "state": "up"}]
    return Net(OUR, lambda: peers, lambda name: RECORD if name == THEIR else None, lambda: {"live": 1, "sessions": 2})


def say(net: Net, body: bytes, node: str = THEIR, now: float = 0.0) -> list[object]:
    """One request, and all that the net wants then."""
    source = Address(node, HI if node != OUR else APP)
    envelope = Envelope(1, source, Address(OUR, NET), ReplyTo(source, 1), Request(False, 5, body), None, node != OUR)
    net.receive(envelope, now)
    actions: list[object] = []
    while (action := net.next_action()) is not None:
        actions.append(action)
    return actions


def ask(net: Net, question: object) -> Any:
    (answer,) = say(net, json.dumps(question).encode(), OUR)
    assert isinstance(answer, Reply)
    return json.loads(answer.response.body)


def test_a_hello_is_a_line_in_the_log_and_is_acknowledged() -> None:
    line, answer = say(a_net(), "grüß dich".encode())
    assert line == LogLine("net", 0, "their.nec: grüß dich")
    assert isinstance(answer, Reply)
    assert (answer.reply_to, answer.response.body) == (ReplyTo(Address(THEIR, HI), 1), b"ack")


@pytest.mark.parametrize("question", [b'"GetPeers"', b'{"GetPeer":"their.nec"}', b'"GetDiagnostics"'])
def test_g18_another_node_learns_nothing_whatever_it_says(question: bytes) -> None:
    line, answer = say(a_net(), question)
    assert line == LogLine("net", 0, f"their.nec: {question.decode()}")
    assert isinstance(answer, Reply)
    assert answer.response.body == b"ack"


def test_a_hello_is_cut_short_and_plays_no_tricks_on_the_terminal() -> None:
    line, _ = say(a_net(), b"\x1b[2J\r\nfake.nec: hi\x00\xff")
    assert line == LogLine("net", 0, "their.nec: \\x1b[2J\\r\\nfake.nec: hi\\x00�")
    line, _ = say(a_net(), b"x" * 100_000)
    assert line == LogLine("net", 0, f"their.nec: {'x' * MAX_HELLO_CHARACTERS}…")


def test_g23_a_node_that_says_hello_all_the_time_does_not_fill_the_log() -> None:
    net = a_net()
    for _ in range(MAX_HELLOS):
        assert len(say(net, b"hi")) == 2
    (answer,) = say(net, b"hi")
    assert isinstance(answer, Reply)
    assert answer.response.body == b'{"Err":"too many hellos within a minute"}'
    assert len(say(net, b"hi", "other.nec")) == 2
    assert len(say(net, b"hi", now=WINDOW_SECONDS)) == 2


def test_who_may_ask_sees_peers_name_records_and_diagnostics() -> None:
    peer = {"name": THEIR, "state": "up", "record": RECORD_JSON}
    assert ask(a_net(), "GetPeers") == {"Peers": [peer]}
    assert ask(a_net(), {"GetPeer": THEIR}) == {"Peer": peer}
    assert ask(a_net(), {"GetPeer": "nobody.nec"}) == {"Peer": None}
    assert ask(a_net(), {"GetName": THEIR}) == {"Name": RECORD_JSON}
    assert ask(a_net(), {"GetName": "nobody.nec"}) == {"Name": None}
    assert ask(a_net(), "GetDiagnostics") == {"Diagnostics": "our.nec: 1 live, 2 sessions\ntheir.nec up"}


@pytest.mark.parametrize("question", ["GetPears", {"GetPeer": 1}, {"GetName": None}, {}, [], 1, None, {"GetPeers": 1}])
def test_what_is_no_question_is_a_bad_request(question: object) -> None:
    assert list(ask(a_net(), question)["Err"]) == ["BadRequest"]


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from([OUR, THEIR]))
def test_whatever_anybody_sends_gets_one_answer(body: bytes, node: str) -> None:
    actions = say(a_net(), body, node)
    assert sum(isinstance(action, Reply) for action in actions) == 1


def test_g23_a_body_too_long_for_a_question_is_a_hello_unread() -> None:
    question = b'"GetPeers"'
    (answer,) = say(a_net(), question.ljust(MAX_QUESTION_BYTES), OUR)
    assert isinstance(answer, Reply)
    assert answer.response.body.startswith(b'{"Peers"')
    line, answer = say(a_net(), question.ljust(MAX_QUESTION_BYTES + 1), OUR)
    assert isinstance(line, LogLine)
    assert isinstance(answer, Reply)
    assert answer.response.body == b"ack"


# --- MessagePack, as packages of the existing node speak it -----------------------------------------------------------


def ask_packed(net: Net, question: object) -> Any:
    (answer,) = say(net, msgspec.msgpack.encode(question), OUR)
    assert isinstance(answer, Reply)
    return msgspec.msgpack.decode(answer.response.body)


IDENTITY = [THEIR, "0x" + "01" * 32, {"Direct": ["127.0.0.1", {"tcp": 9000}]}]
UPDATE = ["a.os", "0x00", ["127.0.0.1"], {"ws": 9000}, []]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("GetPeers", {"Peers": [IDENTITY]}),
        ({"GetPeer": THEIR}, {"Peer": IDENTITY}),
        ({"GetPeer": "nobody.nec"}, {"Peer": None}),
        ({"GetName": THEIR}, {"Name": THEIR}),
        ({"GetName": "0xabc"}, {"Name": None}),
        ("GetDiagnostics", {"Diagnostics": "our.nec: 1 live, 2 sessions\ntheir.nec up"}),
        ({"ConnectionRequest": THEIR}, {"Rejected": THEIR}),
        ({"Verify": [f"{THEIR}@a:b:sys", b"signature"]}, {"Verified": False}),
    ],
)
def test_a_question_in_message_pack_is_answered_in_the_existing_nodes_shape(question: object, answer: object) -> None:
    assert ask_packed(a_net(), question) == answer


@pytest.mark.parametrize(
    "question", [{"KnsUpdate": UPDATE}, {"KnsBatchUpdate": [UPDATE] * 50_000}, {"HnsUpdate": UPDATE}]
)
def test_what_indexers_of_names_tell_is_answered_with_an_error_however_long_it_is(question: object) -> None:
    assert ask_packed(a_net(), question) == {
        "Err": "this node takes names from its network's registrar, and none from a chain"
    }


@pytest.mark.parametrize("question", ["Sign", "Nonsense", {"Nonsense": [[]]}, {"GetPeer": 1}, {"GetPeer": "x" * 5000}])
def test_what_net_does_not_do_ends_its_askers_waiting(question: object) -> None:
    assert ask_packed(a_net(), question) == {"Err": "this node's net does not know that"}


def test_another_nodes_message_pack_is_a_hello() -> None:
    line, answer = say(a_net(), msgspec.msgpack.encode("GetPeers"))
    assert isinstance(line, LogLine)
    assert isinstance(answer, Reply)
    assert answer.response.body == b"ack"


NAMED = st.sampled_from(["GetPeer", "GetName", "ConnectionRequest", "Verify", "KnsUpdate"]).map(msgspec.msgpack.encode)


@given(
    st.tuples(NAMED, st.binary(max_size=60)).map(lambda parts: b"\x81" + b"".join(parts))
    | st.binary(min_size=1, max_size=60).map(lambda rest: b"\x81" + rest)
    | st.binary(max_size=60)
)
@example(b"\x81\xa7GetPeer" + b"\x91" * 4000)
@example(b"\x81\xa7GetPeer\xa2\xff\xff")
def test_every_body_has_one_answer(body: bytes) -> None:
    assert len([each for each in say(a_net(), body, OUR) if isinstance(each, Reply)]) == 1


@given(st.text(min_size=1))
def test_no_text_is_taken_for_message_pack(text: str) -> None:
    assert not _is_message_pack(text.encode(errors="replace"))
