"""Faults of a running testnet, from the command line: real nodes, the links in a process of their own."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.cli.main import main
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork
from testnet.model.lab import PACKAGES
from testnet.real.links.client import LinksProcess
from testnet.real.local import LocalTestnet
from testnet.real.orders import absolute, parse_parameters, parse_where
from tests.testnet.cli.lab import Shell
from tests.waiting import until

ONE, OTHER = "one.nec", "other.nec"
LIMIT = 60.0
"""Seconds after which something is taken to hang."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("faults") / "testnet")
    package = str(PACKAGES / "witness")
    shell.say("testnet", "up", "--nodes", f"{ONE},{OTHER}", "--package", package, "--detach")
    yield shell
    shell.say("testnet", "down")


@pytest.fixture
def shell(running: Shell) -> Iterator[Shell]:
    """The shared testnet, without faults before and after each test."""
    yield running
    running.say("testnet", "fault", "remove", "all")


def test_up_runs_a_package_beside_those_that_come_with_the_nodes(shell: Shell) -> None:
    for node in (ONE, OTHER):
        processes = {row["address"].partition("@")[2] for row in shell.json("ps", "--node", node)["processes"]}
        assert {"witness:witness:sys", "hello:hello:sys"} <= processes


def test_a_node_that_joins_is_reached_by_faults_too(shell: Shell) -> None:
    shell.say("boot", "later.nec", "--detach")
    assert shell.greet("later.nec", ONE) == "Answered"
    shell.say("testnet", "fault", "add", "partition", "--between", f"later.nec,{ONE}")
    assert shell.greet("later.nec", ONE, timeout=2) in ("Offline", "Timeout")
    shell.say("testnet", "fault", "remove", "all")
    assert shell.greet("later.nec", ONE) == "Answered"


def test_a_partition_comes_and_goes(shell: Shell) -> None:
    assert shell.greet(ONE, OTHER) == "Answered"
    said = shell.say("testnet", "fault", "add", "partition", "--between", f"{ONE},{OTHER}")
    number = said.split()[1]
    remove = f"nectar testnet fault remove {number} --dir {shell.folder}"
    assert said == f"Fault {number} holds until `{remove}`: partition {ONE} from {OTHER}.\n"
    assert shell.greet(ONE, OTHER, timeout=1) == "Timeout"
    said = shell.say("testnet", "fault", "remove", number)
    assert said == f"Fault {number} is removed: partition {ONE} from {OTHER}.\n"
    assert shell.greet(ONE, OTHER) == "Answered"


def test_faults_are_listed_and_status_says_that_there_are_some(shell: Shell) -> None:
    row = shell.json("testnet", "fault", "add", "latency", "seconds=0.01", "--from", ONE, "--to", OTHER)
    assert row["parameters"] == {"seconds": 0.01, "jitter": 0.0, "source": ONE, "target": OTHER}
    assert [each["number"] for each in shell.json("testnet", "fault", "list")["faults"]] == [row["number"]]
    table = [line.split("\t") for line in shell.say("testnet", "fault", "list").splitlines()]
    assert table == [["FAULT", "WHAT", "ENDS"], [str(row["number"]), row["words"], "-"]]
    assert "1 fault holds on the links and nodes: see `nectar testnet fault list" in shell.say("testnet", "status")
    assert shell.json("testnet", "status")["links"]["state"] == "running"


def test_without_faults_the_list_says_so_and_only_numbers_of_faults_that_hold_can_be_removed(shell: Shell) -> None:
    assert shell.say("testnet", "fault", "list") == "No fault holds.\n"
    assert shell.say("testnet", "fault", "remove", "all") == "No fault held.\n"
    assert shell.json("testnet", "fault", "list") == {"faults": []}
    assert shell.fails("testnet", "fault", "remove", "99") == (2, "There is no fault number 99: there are none.")
    assert shell.fails("testnet", "fault", "remove", "x") == (2, "'x' is not a fault: give its number, or all.")
    code, said = shell.fails("testnet", "fault", "add", "clock_step", "--node", ONE, "seconds=1")
    assert (code, "in a simulation only" in said) == (1, True)


def test_a_fault_for_a_while_says_when_it_ends(shell: Shell) -> None:
    said = shell.say("testnet", "fault", "add", "stall", "--node", ONE, "--for", "600")
    assert " holds for 600 s: " in said
    (row,) = shell.json("testnet", "fault", "list")["faults"]
    assert 0 < row["left"] <= 600


def test_a_node_that_a_fault_has_crashed_is_back_when_it_ends(shell: Shell) -> None:
    before = shell.node(OTHER)["pid"]
    shell.say("testnet", "fault", "add", "crash", "--node", OTHER)
    assert shell.node(OTHER)["state"] == "down"
    shell.say("testnet", "fault", "remove", "all")
    assert shell.node(OTHER)["pid"] != before
    assert shell.greet(ONE, OTHER) == "Answered"


def test_an_impostor_is_not_believed_and_gone_when_it_ends(shell: Shell) -> None:
    shell.say("testnet", "restart", OTHER)
    shell.say("testnet", "fault", "add", "impostor", "--node", OTHER)
    said = shell.fails("message", f"{OTHER}@hello:hello:sys", '{"Greet":"x"}', "--node", ONE)
    assert (said[0], "bad key" in said[1]) == (3, True)
    shell.say("testnet", "fault", "remove", "all")
    assert shell.greet(ONE, OTHER) == "Answered"
    assert [*(shell.folder / "impostors").iterdir()] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["partion"], "There is no fault 'partion'; did you mean partition? There are bandwidth, "),
        (
            ["partition", "--node", "x.nec"],
            "The links lead to no node x.nec, but to registrar.nec, ",
        ),
        (["latency", "--node", ONE, "second=1"], "latency has no parameter 'second'"),
        (["latency", "--node", ONE, "seconds"], "'seconds' is not a parameter of a fault: expected KEY=VALUE"),
        (["partition", "--node", ONE, "--between", "a,b"], "Give one of --between A,B, --node A, and --from A with "),
        (["partition", "--node", ONE, "--for", "0"], "A fault holds for more than 0 and at most"),
        (["partition", "--node", ONE, "--for", "1e999"], "A fault cannot hold for inf seconds: give a number"),
        (["partition", "--node", ONE, "--for", "nan"], "A fault cannot hold for nan seconds: give a number"),
        (["partition", "--between", ONE], "partition: between must be the names of two nodes"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(shell: Shell, words: list[str], sentence: str) -> None:
    code, said = shell.fails("testnet", "fault", "add", *words)
    assert (code, said[: len(sentence)]) == (2, sentence)
    assert shell.json("testnet", "fault", "list") == {"faults": []}


def test_a_fault_of_ones_own_is_found_where_one_stands(shell: Shell, tmp_path: Path) -> None:
    source = (Path(__file__).resolve().parents[3] / "testnet" / "faults" / "partition.py").read_text()
    file = tmp_path / "mine.py"
    file.write_text(source.replace('"partition ', '"my own partition '))
    row = shell.json("testnet", "fault", "add", f"{file}:Partition", "--node", ONE)
    assert row["words"].startswith("my own partition")


def test_when_the_links_die_everybody_says_so_and_up_starts_them_again(shell: Shell) -> None:
    links = LinksProcess(LocalNetwork(shell.folder))
    pid = links.pid
    assert pid is not None
    shell.say("testnet", "fault", "add", "stall", "--node", ONE)
    handle = os.pidfd_open(pid)
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    assert select.select([handle], [], [], LIMIT)[0]
    os.close(handle)

    sentence = "The links between the nodes have ended, so no node reaches another: `nectar testnet up"
    assert sentence in shell.say("testnet", "status")
    assert shell.fails("testnet", "fault", "list")[1].startswith(sentence)
    assert shell.say("testnet", "up", "--detach") == "The links between the nodes run again; no faults hold.\n"
    until(lambda: shell.greet(ONE, OTHER) == "Answered")  # who was cut off for long is Offline until it is back


def test_nodes_that_reach_each_other_directly_have_no_faults(tmp_path: Path) -> None:
    with LocalTestnet(tmp_path / "testnet", BootOptions(packages=())).start() as nodes:
        shell = Shell(nodes.folder)
        assert not LinksProcess(nodes.network).pid
        code, said = shell.fails("testnet", "fault", "add", "partition", "--node", REGISTRAR_NAME)
        assert (code, said.partition(",")[0]) == (1, "These nodes reach each other directly")
        assert shell.json("testnet", "status")["links"] == {"state": "none"}


def test_parameters_and_links_are_named_as_a_schedule_names_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = parse_parameters(["seconds=0.5", "how=crash", 'list=["a"]', "empty=", "yes=true"])
    assert found == {"seconds": 0.5, "how": "crash", "list": ["a"], "empty": "", "yes": True}
    assert parse_where("", "", "", "") == {}
    assert parse_where("a.nec, b.nec", "", "", "") == {"between": ["a.nec", "b.nec"]}
    assert parse_where("", "a.nec", "", "") == {"source": "a.nec"}
    assert parse_where("", "a.nec", "b.nec", "") == {"source": "a.nec", "target": "b.nec"}
    assert parse_where("", "", "", "a.nec") == {"node": "a.nec"}
    monkeypatch.chdir(tmp_path)
    assert absolute("mine.py:Mine") == f"{tmp_path}/mine.py:Mine"
    assert absolute("partition") == "partition"


@pytest.mark.parametrize("word", ["seconds", "=1", "a b=1", "", "--x=1"])
def test_what_is_no_parameter_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match="is not a parameter of a fault"):
        parse_parameters([word])


def test_all_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["testnet", "fault", "kinds"]) == 0
    assert "\npartition\t" in capsys.readouterr().out
