"""What the control client promises."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.base.errors import BadInput
from nectar_node.base.folder import NodeFolder
from nectar_node.launcher.client import (
    ControlClient,
    ControlError,
    NodeEvent,
    NodeGone,
    RefusedCommand,
    decode_answer_untrusted,
)
from tests.nectar_node.cli.served_node import Answerer, serve_node


def ask(network: Path, answer: Answerer, command: str = "status", patience: float = 5.0) -> dict[str, object]:
    with serve_node(network, "a.nec", answer) as node, ControlClient.connect("a.nec", node.folder) as client:
        return client.request(command, patience=patience)


def test_requests_carry_their_arguments_and_answers_what_the_node_put_under_ok(tmp_path: Path) -> None:
    assert ask(tmp_path, lambda request: {"ok": {"name": "a.nec"}}) == {"name": "a.nec"}
    with serve_node(tmp_path, "a.nec", lambda _: {"ok": {}}) as node:
        with ControlClient.connect("a.nec", node.folder) as client:
            client.request("message", target="t", timeout=7)
        assert node.requests == [{"command": "message", "target": "t", "timeout": 7}]
    with (
        serve_node(tmp_path, "a.nec", lambda request: {"ok": {"n": request["n"]}}) as node,
        ControlClient.connect("a.nec", node.folder) as client,
    ):
        assert [client.request("status", n=n)["n"] for n in range(3)] == [0, 1, 2]


def test_an_answer_may_arrive_before_it_is_asked_for_also_from_deep_in_the_file_system(tmp_path: Path) -> None:
    with (
        serve_node(tmp_path, "a.nec", lambda request: b'{"ok": {"n": 1}}\n{"ok": {"n": 2}}\n') as node,
        ControlClient.connect("a.nec", node.folder) as client,
    ):
        client.send("status")
        assert client.receive() == {"n": 1}
        assert client.has_answer(0.0)
        assert client.receive() == {"n": 2}
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    assert ask(deep, lambda request: {"ok": {"deep": True}}) == {"deep": True}


def test_events_come_one_by_one_before_the_answer_and_whole(tmp_path: Path) -> None:
    lines = b'{"event": {"n": 1}}\n{"event": {"n": 2}}\n{"ok": {"n": 3}}\n'
    with (
        serve_node(tmp_path, "a.nec", lambda request: lines if request["command"] == "run" else {"ok": {}}) as node,
        ControlClient.connect("a.nec", node.folder) as client,
    ):
        assert client.follow(0.0) is None
        client.send("run")
        assert [client.follow(5.0) for _ in range(3)] == [NodeEvent({"n": 1}), NodeEvent({"n": 2}), {"n": 3}]
        assert client.request("run") == {"n": 3}
    with (
        serve_node(tmp_path, "a.nec", lambda _: b'{"event": {"n"') as node,
        ControlClient.connect("a.nec", node.folder) as client,
    ):
        client.send("run")
        assert client.has_answer(5.0)
        assert client.follow(0.05) is None


def test_a_refusal_is_the_callers_fault_or_the_nodes_and_keeps_its_kind(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^No such thing\.$"):
        ask(tmp_path, lambda request: {"error": {"kind": "BadInput", "sentence": "No such thing."}})
    with pytest.raises(ControlError, match=r"^The disk is full\.$"):
        ask(tmp_path, lambda request: {"error": {"kind": "StorageFull", "sentence": "The disk is full."}})
    line = b'{"error": {"kind": "StorageFull", "sentence": "Full."}}'
    assert decode_answer_untrusted(line) == RefusedCommand("StorageFull", "Full.")


def test_a_node_that_ends_is_told_apart_from_a_silent_one_and_from_nobody(tmp_path: Path) -> None:
    with pytest.raises(NodeGone, match=r"^a\.nec ended"):
        ask(tmp_path, lambda request: None)
    with pytest.raises(ControlError, match="did not answer in time"):
        ask(tmp_path, lambda request: b"", patience=0.01)
    with pytest.raises(FileNotFoundError):
        ControlClient.connect("a.nec", NodeFolder(tmp_path))


def test_a_node_that_ends_within_its_answer_is_gone_too(tmp_path: Path) -> None:
    with serve_node(tmp_path, "a.nec", lambda request: b'{"ok": {') as node:
        client = ControlClient.connect("a.nec", node.folder)
        client.send("status")
        assert client.has_answer(5.0)
        node.answer = lambda request: None
        client.send("status")
        with pytest.raises(NodeGone):
            client.receive()


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"{}", b'{"ok": 1}', b'{"error": {"kind": 1}}', b"[" * 10**5])
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    with pytest.raises(ControlError):
        decode_answer_untrusted(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary() | st.builds(lambda value: json.dumps(value).encode(), json_values))
def test_no_line_causes_another_error(line: bytes) -> None:
    with contextlib.suppress(ControlError):
        decode_answer_untrusted(line)
