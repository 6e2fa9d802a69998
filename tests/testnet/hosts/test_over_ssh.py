"""A testnet over several machines: network namespaces with an ssh server each, real nodes, and links between them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

from nectar_node.contract.config import REGISTRAR_NAME
from testnet.model.lab import PACKAGES
from tests.testnet.hosts.rig import LIMIT, Rig, run_rig, why_not

pytestmark = pytest.mark.skipif((reason := why_not()) is not None, reason=reason or "")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two hosts, with the registrar and a node on one of them, and a node on the other."""
    with run_rig(tmp_path_factory.mktemp("hosts")) as rig:
        rig.write({"one": (rig.add("one"), ["a.nec"]), "two": (rig.add("two"), ["b.nec"])})
        yield rig


def told(rig: Rig, *words: str) -> str:
    """What a command that succeeds prints, on both streams."""
    ended = rig.nectar(*words)
    assert ended.code == 0, ended
    return ended.out + ended.err


def ask(rig: Rig, source: str, target: str, seconds: int = 60) -> str:
    """How the request from the hello package of one node to that of another has ended."""
    body = json.dumps({"Ask": {"node": target, "name": "x", "timeout": seconds}})
    words = ["message", "our@hello:hello:sys", body, "--timeout", str(seconds + 10), "--json"]
    done = subprocess.run(
        rig.command("testnet", "on", source, *words), capture_output=True, text=True, timeout=2 * LIMIT, check=True
    )
    answer = json.loads(json.loads(done.stdout)["body"])
    return str(answer["Failed"]["kind"] if "Failed" in answer else next(iter(answer)))


def test_nodes_on_two_hosts_talk_are_parted_and_leave_nothing(rig: Rig) -> None:
    up = told(rig, "testnet", "up", "--hosts", str(rig.file), "--detach")
    assert "b.nec runs on two" in up
    assert "a.nec runs on one" in up
    assert ask(rig, "a.nec", "b.nec") == "Answered"

    assert "partition" in told(rig, "testnet", "fault", "add", "partition", "--between", "a.nec,b.nec")
    assert ask(rig, "a.nec", "b.nec", 1) == "Timeout"
    told(rig, "testnet", "fault", "remove", "1")
    assert ask(rig, "a.nec", "b.nec") == "Answered"

    assert "`nectar testnet restart b.nec --dir" in told(rig, "testnet", "kill", "b.nec")
    status = rig.nectar("testnet", "status", "--json").json
    assert {row["name"]: (row["host"], row["state"]) for row in status["nodes"]} == {
        REGISTRAR_NAME: ("one", "running"),
        "a.nec": ("one", "running"),
        "b.nec": ("two", "down"),
    }

    told(rig, "testnet", "collect")
    collected = rig.folder / "here" / "collected"
    assert (collected / "two" / "nodes" / "b.nec" / "log").read_text().count("registrar.nec")
    assert not list(collected.rglob("key"))

    down = told(rig, "testnet", "down")
    assert "a.nec stopped" in down
    assert (rig.inside("one"), rig.inside("two")) == (set(), set())


def states(rig: Rig) -> dict[str, str]:
    """How `watch` sees each node."""
    ended = rig.nectar("testnet", "watch", "--once", "--json")
    assert ended.code == 0, ended
    return {row["name"]: row["state"] for row in json.loads(ended.out.splitlines()[-1])["nodes"]}


def test_a_screen_shows_the_nodes_of_all_machines_as_they_are_paused_resumed_killed_and_restarted(rig: Rig) -> None:
    told(rig, "testnet", "up", "--hosts", str(rig.file), "--detach")
    try:
        running = {REGISTRAR_NAME: "running", "a.nec": "running", "b.nec": "running"}
        assert states(rig) == running
        assert "b.nec" in told(rig, "testnet", "pause", "b.nec")
        assert states(rig) == running | {"b.nec": "paused"}
        assert "b.nec" in told(rig, "testnet", "resume", "b.nec")
        assert states(rig) == running
        told(rig, "testnet", "kill", "b.nec")
        assert states(rig) == running | {"b.nec": "down"}
        assert "b.nec" in told(rig, "testnet", "restart", "b.nec")
        assert states(rig) == running
        told(rig, "testnet", "fault", "add", "partition", "--between", "a.nec,b.nec")
        frame = told(rig, "testnet", "watch", "--once")
        assert [word for word in (REGISTRAR_NAME, "a.nec", "b.nec", "partition") if word not in frame] == []
        refused = rig.nectar("testnet", "watch", "--web")
        assert (refused.code, "one machine" in refused.err) == (2, True), refused
    finally:
        told(rig, "testnet", "down")


def test_packages_go_to_the_machines_and_browsers_there_reach_the_nodes(rig: Rig) -> None:
    witness = str(PACKAGES / "witness")
    up = told(rig, "testnet", "up", "--hosts", str(rig.file), "--package", witness, "--http", "--detach")
    try:
        assert "Browsers on two reach b.nec at http://" in up
        assert "`ssh -N -L " in up
        shown = subprocess.run(
            rig.command("testnet", "on", "b.nec", "ps", "--json"), capture_output=True, text=True, check=True
        )
        assert "b.nec@witness:witness:" in shown.stdout
    finally:
        told(rig, "testnet", "down")


def test_chaos_breaks_the_nodes_and_links_of_all_machines_and_everything_holds(rig: Rig) -> None:
    down = rig.nectar("testnet", "chaos", "--minutes", "0.1")
    assert (down.code, down.err.count("\n")) == (1, 1), down
    told(rig, "testnet", "up", "--hosts", str(rig.file), "--detach")
    try:
        done = subprocess.run(
            rig.command("testnet", "chaos", "--minutes", "0.4", "--seed", "3", "--json"),
            capture_output=True,
            text=True,
            timeout=4 * LIMIT,
            check=False,
        )
        report = json.loads(done.stdout)
        assert (done.returncode, report["violations"]) == (0, []), done
        assert report["faults"]
        assert not any(fault["refused"] for fault in report["faults"])
        assert report["transfers"]["completed"] > 0
        assert "No fault holds" in told(rig, "testnet", "fault", "list")
        assert not list(rig.folder.glob("*/testnet/lent/*"))
        assert not list(rig.folder.glob("*/testnet/nodes/*/vfs/file_transfer:sys/inbox/chaos-*"))
    finally:
        told(rig, "testnet", "down")
    rig.await_nothing()


def test_commands_that_do_not_go_to_other_machines_say_so_in_one_sentence(rig: Rig) -> None:
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


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nodes_end_with_the_command_that_holds_them(rig: Rig, end: signal.Signals) -> None:
    held = subprocess.Popen(
        rig.command("testnet", "up", "--hosts", rig.file), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert held.stdout is not None
        assert any("Ctrl-C stops" in line for line in held.stdout)
        held.send_signal(end)
        assert held.wait(LIMIT) == (-end if end is signal.SIGKILL else 0)
    finally:
        held.kill()
        held.wait()
    rig.await_nothing()


def test_a_host_whose_key_is_not_known_is_refused(rig: Rig) -> None:
    known = rig.known_hosts.read_text()
    try:
        rig.known_hosts.write_text("")
        ended = rig.nectar("testnet", "up", "--hosts", rig.file, "--detach")
        assert ended.code == 1
        assert "The key of one" in ended.err
        assert ended.err.count("\n") == 1
    finally:
        rig.known_hosts.write_text(known)


@pytest.mark.long
def test_the_project_is_installed_once_from_its_wheel_and_from_wheels_of_its_dependencies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    needed = [each for each in requires("nectar-node") or () if "extra ==" not in each]
    fetch = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(wheels), *needed, "hatchling>=1.27,<2"]
    subprocess.run(fetch, check=True, timeout=10 * LIMIT)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # the hub has no registry either, and the wheel is built there
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    base = str(Path(sys.base_prefix) / "bin" / "python3")
    with run_rig(tmp_path) as rig:
        hosts = {"one": (rig.add("one"), ["a.nec"])}
        rig.write(hosts, base)
        without = rig.nectar("testnet", "up", "--hosts", rig.file, "--detach")
        assert without.code == 1
        assert "name a folder of wheels here with `wheels`" in without.err
        assert without.err.count("\n") == 1
        rig.write(hosts, base, f'wheels = "{wheels}"')
        assert "Installing on one." in told(rig, "testnet", "up", "--hosts", str(rig.file), "--detach")
        told(rig, "testnet", "down")
        again = told(rig, "testnet", "up", "--detach")
        assert "Installing" not in again
        assert "a.nec runs on one" in again
        told(rig, "testnet", "down")
        rig.await_nothing()


@pytest.mark.long
def test_nodes_of_a_host_whose_cable_is_pulled_end_by_themselves_and_the_others_with_the_command(rig: Rig) -> None:
    held = rig.start("testnet", "up", "--hosts", rig.file)
    rig.await_log("b.nec", "connected to")
    rig.hosts.take_down("two.host")
    try:
        ended = held.result(3 * LIMIT)
        assert ended.code == 1
        assert "two" in ended.err
        rig.await_nothing()
    finally:
        rig.hosts.bring_up("two.host")
