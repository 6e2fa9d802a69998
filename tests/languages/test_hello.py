"""Echo and hello in each language: bodies and blobs come back, and a node asks another."""

from __future__ import annotations

import json
from collections.abc import Callable

from testnet.faults.crash import Crash
from testnet.testing.package_lab import PackageLab

ONE, TWO = "one.nec", "two.nec"
HELLO = "our@hello:hello:sys"
ECHO = "our@echo:echo:sys"
KIB = 1024


def test_echo_gives_back_what_it_is_sent(lab: PackageLab, boot: Callable[..., None]) -> None:
    boot("echo", ONE)
    for body in ("", {"a": [1, 2.5, None]}, "ü€😀", "x" * 1000 * KIB):
        assert lab.ask(ONE, ECHO, body).body == body
    assert lab.ask(ONE, ECHO, "with a blob", blob=bytes(range(256)) * KIB).body == "with a blob"


def test_hello_greets_and_asks_another_node(lab: PackageLab, boot: Callable[..., None]) -> None:
    boot("hello", ONE, TWO)
    assert lab.ask(ONE, HELLO, {"Greet": "Ada"}).body == {"Greeting": "Hello, Ada, from one.nec"}
    asked = {"Ask": {"node": TWO, "name": "Ada"}}
    assert lab.ask(ONE, HELLO, asked).body == {"Answered": {"body": {"Greeting": "Hello, Ada, from two.nec"}}}
    for wrong in ({"Greeting": "x"}, {"Ask": {"node": TWO}}, 7):
        assert list(json.loads(json.dumps(lab.ask(ONE, HELLO, wrong).body))) == ["Err"]


def test_g13_a_node_that_is_gone_is_offline_and_others_are_greeted_meanwhile(
    lab: PackageLab, boot: Callable[..., None]
) -> None:
    boot("hello", ONE, TWO)
    with lab.apply(Crash(TWO)):
        asked = lab.begin(ONE, HELLO, {"Ask": {"node": TWO, "name": "Ada", "timeout": 20}}, timeout=30)
        assert lab.ask(ONE, HELLO, {"Greet": "Bob"}).body == {"Greeting": "Hello, Bob, from one.nec"}
        lab.wait(lambda: asked.outcome is not None)
    assert asked.outcome is not None
    assert asked.outcome.body == {"Failed": {"kind": "Offline"}}
