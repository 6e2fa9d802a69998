"""Sweeps on a cluster: a real scheduler and real workers, each a process on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import SHIPPED_FOLDER
from nectar_node.cli.main import main
from testnet.runs.plans import expand, find_scenario
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.run import run
from testnet.sweep.players import PlayersLost
from testnet.sweep.sweep import SweepTally, sweep
from testnet.sweep.verdict import DIED
from tests.testnet.cluster.own_kit import TEXT
from tests.testnet.sim.own import FAILS, HERE, fails

pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
from testnet.cluster import dask_cluster
from testnet.cluster.dask_cluster import DaskCluster, dask_address
from tests.testnet.cluster.dask_processes import DaskProcesses


def plan(name: str, seed: int) -> Plan:
    return expand(find_scenario(f"{HERE}:{name}"), seed)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    processes = DaskProcesses(tmp_path_factory.mktemp("dask"))
    try:
        processes.add()
        yield processes
    finally:
        processes.close()


@pytest.fixture(scope="module")
def cluster(processes: DaskProcesses) -> Iterator[DaskCluster]:
    with DaskCluster(processes.on) as cluster:
        yield cluster


def test_a_cluster_comes_to_the_same_verdict_as_a_run_here(cluster: DaskCluster) -> None:
    seed = next(seed for seed in range(200) if fails(expand(FAILS, seed)))
    here = run(plan("FAILS", seed), Programs(), find_scenario(f"{HERE}:FAILS"))
    there = cluster.play(plan("FAILS", seed))
    assert (there.result, there.text, there.digest) == (here.result, here.text, here.digest)


def test_no_seed_is_lost_or_counted_twice_when_a_worker_is_killed_in_the_midst(
    processes: DaskProcesses, cluster: DaskCluster
) -> None:
    doomed = processes.add()
    seeds, tally = range(10), SweepTally(10)
    failing = [seed for seed in seeds if fails(expand(FAILS, seed))]

    def show() -> None:
        if tally.done >= 2 and doomed.poll() is None:
            doomed.kill()
            doomed.wait()

    sweep(cluster, (plan("FAILS", seed) for seed in seeds), tally, True, show)
    assert doomed.returncode is not None
    assert sorted(each.plan.seed for each in tally.failures) == failing
    assert (tally.done, cluster.busy) == (10, 0)


def test_a_plan_that_breaks_its_process_is_told_and_the_worker_goes_on(cluster: DaskCluster) -> None:
    tally = SweepTally(5)
    sweep(cluster, (plan("DIES", seed) for seed in range(5)), tally, True, lambda: None)
    (failure,) = tally.failures
    assert (failure.plan.seed, failure.result, tally.passed) == (3, DIED, 4)
    assert "ended with exit code 7" in failure.text


def test_code_scenario_fault_and_package_travel_and_nothing_of_them_is_needed_there(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(SHIPPED_FOLDER / "hello" / "pkg", own / "mine" / "pkg")
    (own / "mine.py").write_text(TEXT)
    scenario = find_scenario(f"{own}/mine.py:MINE")
    first, second = expand(scenario, 1), expand(scenario, 2)
    assert first.schedule[0].value()["kind"] == f"{own}/mine.py:Slow"
    there = cluster.play(first)
    assert there.result == "violated", there.text
    code, _, file = there.text.partition(" and ")
    for found, inside in ((code, "testnet/__init__.py"), (file, f"{own}/mine.py")):
        assert "/cache/nectar/cluster/" in found
        assert found.endswith(inside)
    own.rename(tmp_path / "gone")
    assert cluster.play(second).text == there.text


def test_the_command_plays_and_shrinks_on_the_cluster(
    processes: DaskProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    seed = next(seed for seed in range(200) if fails(expand(FAILS, seed)))
    words = ["sim", "sweep", f"{HERE}:FAILS", "--first", str(seed), "--seeds", "1", "--runs", "2", "--json"]
    assert main([*words, "--on", processes.on]) == 1
    told = json.loads(capfd.readouterr().out)
    (shrunk,) = told["shrunk"]
    assert (shrunk["again"]["plan"]["seed"], shrunk["runs"]) == (seed, 2)
    assert len(shrunk["smallest"]["plan"]["schedule"]) <= len(shrunk["again"]["plan"]["schedule"])
    assert Path(shrunk["smallest_journal"]).is_file()


def test_a_worker_of_another_version_is_refused_by_name_and_a_scheduler_that_goes_is_told(tmp_path: Path) -> None:
    distribution = tmp_path / "old" / "wasmtime-9.9.9.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: wasmtime\nVersion: 9.9.9\n")
    processes = DaskProcesses(tmp_path)
    try:
        with DaskCluster(processes.on) as early:  # before the worker
            processes.add({"PYTHONPATH": str(distribution.parent)})
            with pytest.raises(PlayersLost, match=r"The worker tcp://127.* has wasmtime 9.9.9, and this is "):
                early.play(plan("FAILS", 1))
            with pytest.raises(BadInput, match=r"The worker tcp://127.* has wasmtime 9.9.9, and this is "):
                DaskCluster(processes.on)
            processes.scheduler.kill()
            processes.scheduler.wait()
            early.begin(plan("FAILS", 2))
            with pytest.raises(PlayersLost, match=r"The scheduler at dask://.* has gone"):
                early.verdicts(None)
    finally:
        processes.close()


@pytest.mark.parametrize(
    "on",
    ["", "dask", "dask://", "dask://host", "dask://host:", "dask://host:99999", "dask://a b:1", "http://host:8786",
     "tcp://host:8786", "dask://host:8786/x", "dask://user@host:8786", "dask://host:0", "ray://host:10001"],
)  # fmt: skip
def test_a_mistyped_address_is_one_sentence(on: str) -> None:
    with pytest.raises(BadInput, match=r"--on takes dask://HOST:PORT"):
        dask_address(on)


def test_addresses_of_dask() -> None:
    assert dask_address("dask://host:8786") == "tcp://host:8786"
    assert dask_address("dask+tls://[::1]:1/") == dask_address("tls://[::1]:1") == "tls://[::1]:1"


@pytest.mark.parametrize("listens", [False, True])
def test_what_is_no_scheduler_is_one_sentence(
    listens: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.5)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if listens:
            bound.listen()
        on = f"dask://127.0.0.1:{bound.getsockname()[1]}"
        assert main(["sim", "sweep", "store", "--seeds", "1", "--on", on]) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert " ".join(told.err.split()).startswith(
        f"What listens at {on} is not a scheduler" if listens else f"The scheduler at {on} does not answer: "
    )
    assert "Traceback" not in told.err


def test_jobs_and_a_cluster_exclude_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "sweep", "store", "--jobs", "2", "--on", "dask://host:1"]) == 2
    assert "leave one of them out" in " ".join(capfd.readouterr().err.split())


def test_without_a_cluster_nothing_of_it_is_loaded() -> None:
    loaded = "import sys, testnet.cli.sim; print([name for name in sys.modules if 'dask' in name or 'cluster' in name])"
    assert subprocess.check_output([sys.executable, "-c", loaded], text=True) == "[]\n"


@pytest.mark.long
def test_ten_thousand_seeds_of_which_a_worker_dies_every_thousand(processes: DaskProcesses) -> None:
    seeds, tally = range(10_000), SweepTally(10_000)
    failing = [seed for seed in seeds if fails(expand(FAILS, seed))]
    doomed = [processes.add()]

    def show() -> None:
        if tally.done >= 1000 * len(doomed) and len(doomed) < 10:
            doomed[-1].kill()
            doomed.append(processes.add())

    with DaskCluster(processes.on) as cluster:
        sweep(cluster, (plan("FAILS", seed) for seed in seeds), tally, True, show)
    assert sorted(each.plan.seed for each in tally.failures) == failing
    assert (tally.done, len(doomed)) == (10_000, 10)
