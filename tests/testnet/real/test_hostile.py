"""Hostile peers of all kinds at once against a real node, as strong as goes: it lives, and serves who is honest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from nectar_node.contract.config import REGISTRAR_NAME
from testnet.faults.hostile_peer import BehaviourName
from testnet.model.hostile_names import is_hostile
from testnet.model.rule import Attack
from testnet.real.local import LocalTestnet
from testnet.real.nodes import attackers
from testnet.real.nodes.processes import NodeProcesses, resident_bytes
from tests.testnet.cli.lab import Shell

A, B = "a.nec", "b.nec"
SECONDS = 2
PATIENCE = 60
"""Seconds in which an honest request is answered, however busy the machine is."""
MOST_BYTES = 3 << 30
"""Resident: far more than a node may have, far less than it had before memory was bounded."""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    with LocalTestnet(tmp_path_factory.mktemp("hostile") / "testnet") as net:
        net.start([A, B])
        yield net


def greet(net: LocalTestnet) -> str:
    """What b.nec's user hears from a.nec."""
    answer = net.message(B, f"{A}@hello:hello:sys", '{"Greet": "Ada"}', PATIENCE)
    assert answer["outcome"] == "response", answer
    return str(json.loads(answer["body"])["Greeting"])


def test_a_node_that_all_kinds_attack_at_once_lives_and_answers_who_is_honest(net: LocalTestnet) -> None:
    before = [net.pid(name) for name in (A, B, REGISTRAR_NAME)]
    command = [sys.executable, "-m", "nectar_node", "testnet", "attack", "--node", A, "--for", str(SECONDS)]
    command += ["--seed", "7", "--json", "--dir", str(net.folder)]
    most, greetings = 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attack:
        while attack.poll() is None:
            greetings.append(greet(net))
            most = max(most, resident_bytes(before[0] or 0))
        told = json.loads(attack.stdout.read() if attack.stdout is not None else "")
    assert set(greetings) == {f"Hello, Ada, from {A}"}
    assert [net.pid(name) for name in (A, B, REGISTRAR_NAME)] == before
    assert 0 < most < MOST_BYTES
    assert (attack.returncode, told["running"]) == (0, True)
    assert [peer["behaviour"] for peer in told["peers"]] == list(get_args(BehaviourName))
    assert all(peer["names"] for peer in told["peers"])


def test_an_attack_that_is_interrupted_ends_with_130_and_no_traceback(net: LocalTestnet) -> None:
    command = [sys.executable, "-m", "nectar_node", "testnet", "attack", "--node", A, "--behaviour", "grants_nothing"]

    def up() -> set[str]:
        return {peer["name"] for peer in net.status(A)["peers"] if peer["state"] == "up"}

    before = up()
    with subprocess.Popen([*command, "--dir", str(net.folder)], stderr=subprocess.PIPE, text=True) as attack:
        while not {name for name in up() if is_hostile(name)} - before:
            assert attack.poll() is None
        attack.send_signal(signal.SIGINT)
        _, said = attack.communicate(timeout=PATIENCE)
    assert (attack.returncode, "Traceback" in said) == (130, False), said


def test_an_attack_whose_peers_have_got_no_name_is_none(net: LocalTestnet) -> None:
    command = [sys.executable, "-m", "nectar_node", "testnet", "attack", "--node", A, "--for", "0.001"]
    attack = subprocess.run([*command, "--dir", str(net.folder)], capture_output=True, text=True, check=False)
    assert attack.returncode == 1
    assert attack.stderr.startswith(f"Nothing has attacked {A}: ")


def test_one_attacks_beside_the_testnet_until_it_is_called_off(net: LocalTestnet) -> None:
    nodes, by = NodeProcesses(net.network), "redials.a.nec"
    nodes.attack(Attack(A, "redials", "hello:hello:sys", 1), by)
    owner = attackers.place(net.network, by).owner()
    assert owner is not None
    while not any(is_hostile(peer["name"]) for peer in net.status(A)["peers"]):
        greet(net)
    nodes.call_off(by)
    assert not Path(f"/proc/{owner}").exists() or attackers.place(net.network, by).owner() is None
    assert not attackers.place(net.network, by).path.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--node", "c.nec"], "There is no node c.nec"),
        (["--node", A, "--behaviour", "never_read"], "never_reads"),
        (["--node", A, "--for", "0"], "--for 0 is not a time to attack"),
        (["--node", A, "--process", "hello"], "--process: "),
    ],
)
def test_what_cannot_be_attacked_is_said_in_a_sentence(net: LocalTestnet, words: list[str], sentence: str) -> None:
    code, said = Shell(net.folder).fails("testnet", "attack", *words)
    assert code == 2
    assert sentence in said
