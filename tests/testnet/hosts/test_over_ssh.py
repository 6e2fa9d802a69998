"""A testnet over several machines: network namespaces with an ssh server each, real nodes, and links between them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from nectar_node.contract.config import REGISTRAR_NAME
from testnet.model.lab import PACKAGES
from tests.testnet.hosts.rig import LIMIT, Rig, why_not
from tests.waiting import until

pytestmark = pytest.mark.skipif((reason := why_not()) is not None, reason=reason or "")


@pytest.fixture(scope="module")
def up(rig: Rig) -> Iterator[str]:
    """What `testnet up` says of the nodes on these hosts, which run meanwhile with a package and a page; each test
    leaves them so. When they are down, nothing is left on any host.
    """
    package = str(PACKAGES / "witness")
    yield rig.told("testnet", "up", "--hosts", str(rig.file), "--package", package, "--http", "--detach")
    assert "a.nec stopped" in rig.told("testnet", "down")
    assert (rig.inside("one"), rig.inside("two")) == (set(), set())


def ask(rig: Rig, source: str, target: str, seconds: int = 60) -> str:
    """How the request from the hello package of one node to that of another has ended."""
    body = json.dumps({"Ask": {"node": target, "name": "x", "timeout": seconds}})
    words = ["message", "our@hello:hello:sys", body, "--timeout", str(seconds + 10), "--json"]
    done = subprocess.run(
        rig.command("testnet", "on", source, *words), capture_output=True, text=True, timeout=2 * LIMIT, check=True
    )
    answer = json.loads(json.loads(done.stdout)["body"])
    return str(answer["Failed"]["kind"] if "Failed" in answer else next(iter(answer)))


def states(rig: Rig) -> dict[str, str]:
    """How `watch` sees each node."""
    ended = rig.nectar("testnet", "watch", "--once", "--json")
    assert ended.code == 0, ended
    return {row["name"]: row["state"] for row in json.loads(ended.out.splitlines()[-1])["nodes"]}


def test_packages_go_to_the_machines_and_browsers_there_reach_the_nodes(rig: Rig, up: str) -> None:
    assert "b.nec runs on two" in up
    assert "a.nec runs on one" in up
    assert "Browsers on two reach b.nec at http://" in up
    assert "`ssh -N -L " in up
    shown = subprocess.run(
        rig.command("testnet", "on", "b.nec", "ps", "--json"), capture_output=True, text=True, check=True
    )
    assert "b.nec@witness:witness:" in shown.stdout


def test_nodes_on_two_hosts_talk_and_are_parted(rig: Rig, up: str) -> None:
    assert "partition" in rig.told("testnet", "fault", "add", "partition", "--between", "a.nec,b.nec")
    assert ask(rig, "a.nec", "b.nec", 1) == "Timeout"
    frame = rig.told("testnet", "watch", "--once")
    assert [word for word in (REGISTRAR_NAME, "a.nec", "b.nec", "partition") if word not in frame] == []
    rig.told("testnet", "fault", "remove", "all")
    until(lambda: ask(rig, "a.nec", "b.nec") == "Answered")  # who was cut off for long is Offline until it is back


@pytest.mark.long
def test_the_nodes_of_all_machines_are_seen_as_they_are_paused_resumed_killed_and_restarted(rig: Rig, up: str) -> None:
    running = {REGISTRAR_NAME: "running", "a.nec": "running", "b.nec": "running"}
    assert "b.nec" in rig.told("testnet", "pause", "b.nec")
    assert states(rig) == running | {"b.nec": "paused"}
    assert "b.nec" in rig.told("testnet", "resume", "b.nec")
    assert "`nectar testnet restart b.nec --dir" in rig.told("testnet", "kill", "b.nec")
    status = rig.nectar("testnet", "status", "--json").json
    assert {row["name"]: (row["host"], row["state"]) for row in status["nodes"]} == {
        REGISTRAR_NAME: ("one", "running"),
        "a.nec": ("one", "running"),
        "b.nec": ("two", "down"),
    }
    assert "b.nec" in rig.told("testnet", "restart", "b.nec")
    assert states(rig) == running


def test_the_files_of_all_machines_are_collected_but_for_keys(rig: Rig, up: str) -> None:
    rig.told("testnet", "collect")
    collected = rig.folder / "here" / "collected"
    assert (collected / "two" / "nodes" / "b.nec" / "log").read_text().count("registrar.nec")
    assert not list(collected.rglob("key"))


def test_one_machine_has_the_page_of_a_testnet(rig: Rig, up: str) -> None:
    refused = rig.nectar("testnet", "watch", "--web")
    assert (refused.code, "one machine" in refused.err) == (2, True), refused


def test_commands_that_do_not_go_to_other_machines_say_so_in_one_sentence(rig: Rig, up: str) -> None:
    told_of = [
        rig.nectar(*words)
        for words in (
            ("ps", "--node", "a.nec"),
            ("testnet", "attack", "--node", "a.nec"),
            ("testnet", "invite"),
            ("testnet", "up", "--direct"),
            ("testnet", "up", "--grant", "all"),
            ("testnet", "up", "--package", "nowhere"),
            ("testnet", "fault", "add", f"{__file__}:Own"),
            ("testnet", "kill", "c.nec"),
            ("boot", "c.nec", "--detach"),
        )
    ]
    for ended in told_of:
        assert (ended.code > 0, ended.out, ended.err.count("\n")) == (True, "", 1), ended
