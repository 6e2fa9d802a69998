"""A component in C that knows no WASI but 0.2: time, randomness and output, with and without a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.contract.events import Kill
from kernel.wasm.engine import Engine
from tests.kernel.wasm.guests import GUESTS, loaded
from tests.kernel.wasm.node import Node, pid

WASM = (GUESTS / "native.wasm").read_bytes()


@pytest.fixture
def node(engine: Engine) -> Iterator[Node]:
    node = Node()
    node.start("native", loaded(engine, WASM))
    yield node
    node.close()


def ask(node: Node, text: str) -> str:
    return node.ask("native", text.encode()).message.body.decode()


def answer(node: Node, token: object) -> str:
    return node.answers.pop(token).message.body.decode()  # type: ignore[union-attr]


def test_a_sleep_takes_the_kernels_time(node: Node) -> None:
    token = node.tell("native", b"sleep 1500")
    node.settle()
    node.pass_time(1.499)
    assert token not in node.answers
    node.pass_time(0.001)
    assert answer(node, token) == "1500"


def test_of_several_times_the_first_one_wakes(node: Node) -> None:
    token = node.tell("native", b"race 3000 1000 2000 1000")
    node.settle()
    node.pass_time(1)
    assert answer(node, token) == "1 3 "


def test_a_time_that_has_come_is_not_waited_for(node: Node) -> None:
    assert ask(node, "race 5 0") == "1 "


def test_one_that_sleeps_takes_its_next_message_afterwards(node: Node) -> None:
    tokens = [node.tell("native", b"sleep 1000"), node.tell("native", b"sleep 2000")]
    node.settle()
    node.pass_time(3)
    assert [answer(node, token) for token in tokens] == ["1000", "2000"]
    assert node.now == 3


def test_g23_one_that_sleeps_is_killed_at_once_and_leaves_no_timer(node: Node) -> None:
    node.tell("native", b"sleep 3600000", timeout=None)
    node.settle()
    assert node.machine.next_deadline() == 3600
    node.machine.handle(Kill(pid("native")), node.now)
    node.settle()
    assert not node.runs("native")
    assert node.machine.next_deadline() is None


def test_its_start_function_and_its_calls_have_the_nodes_randomness(node: Node) -> None:
    assert ask(node, "random") == "0 0"  # this node's entropy is zeros


def test_its_clocks_are_the_nodes(node: Node) -> None:
    node.now = 7.5
    assert ask(node, "time") == "7 7500000000"


def test_its_output_is_in_the_log(node: Node) -> None:
    assert ask(node, "print a line\n") == "printed"
    assert "a line" in [text for _, text in node.output]


def test_g28_it_may_use_no_socket_and_is_told_so(node: Node) -> None:
    assert ask(node, "socket") == "not supported"


def test_without_a_drive_there_is_no_folder(node: Node) -> None:
    node.tell("native", b"read /file")
    node.settle()
    assert not node.runs("native"), "it asks a folder that it was not given"


@pytest.mark.parametrize(("code", "text"), [("0", None), ("3", "exited with code 3")])
def test_an_exit_says_its_code(node: Node, code: str, text: str | None) -> None:
    node.tell("native", f"exit {code}".encode())
    node.settle()
    said = [line for _, line in node.output if "exited" in line]
    assert bool(said) is bool(text)
    assert all(str(text) in line for line in said)
