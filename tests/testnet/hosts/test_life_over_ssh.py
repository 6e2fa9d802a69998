"""How a testnet over several machines begins and ends: installed, held by a command, cut off, broken by chaos."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.testnet.hosts.rig import LIMIT, Rig, run_rig, why_not

pytestmark = pytest.mark.skipif((reason := why_not()) is not None, reason=reason or "")


@pytest.mark.parametrize("end", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
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
        assert "Installing on one." in rig.told("testnet", "up", "--hosts", str(rig.file), "--detach")
        rig.told("testnet", "down")
        again = rig.told("testnet", "up", "--detach")
        assert "Installing" not in again
        assert "a.nec runs on one" in again
        rig.told("testnet", "down")
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


@pytest.mark.long
def test_chaos_breaks_the_nodes_and_links_of_all_machines_and_everything_holds(rig: Rig) -> None:
    down = rig.nectar("testnet", "chaos", "--minutes", "0.1")
    assert (down.code, down.err.count("\n")) == (1, 1), down
    rig.told("testnet", "up", "--hosts", str(rig.file), "--detach")
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
        assert "No fault holds" in rig.told("testnet", "fault", "list")
        assert not list(rig.folder.glob("*/testnet/lent/*"))
        assert not list(rig.folder.glob("*/testnet/nodes/*/vfs/file_transfer:sys/inbox/chaos-*"))
    finally:
        rig.told("testnet", "down")
    rig.await_nothing()
