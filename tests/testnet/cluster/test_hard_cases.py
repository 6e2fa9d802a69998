"""A cluster with TLS, and seeds that kill each worker that plays them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from testnet.runs.plans import expand, find_scenario
from testnet.sweep.sweep import SweepTally, sweep
from testnet.sweep.verdict import DIED
from tests.testnet.sim.own import HERE

pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
import dask

from testnet.cluster.dask_cluster import DaskCluster
from tests.testnet.cluster.certificates import ClusterCertificates
from tests.testnet.cluster.dask_processes import DaskProcesses

KILLS = f"{Path(__file__).with_name('killer.py')}:KILLS"


@pytest.mark.long
def test_a_seed_that_kills_its_workers_has_died_and_the_others_are_played(tmp_path: Path) -> None:
    processes = DaskProcesses(tmp_path, environment={"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"})
    try:
        workers = [processes.add() for _ in range(3)]
        plans = [expand(find_scenario(KILLS), seed) for seed in range(6)]
        tally = SweepTally(6)
        with DaskCluster(processes.on) as cluster:
            sweep(cluster, iter(plans), tally, True, lambda: None)
        (failure,) = tally.failures
        assert (failure.plan.seed, failure.result, tally.passed) == (3, DIED, 5)
        assert failure.text == (
            "each worker of the cluster that ran it died: its log, or that of its machine, says why"
        )
        assert sum(worker.poll() is not None for worker in workers) == 2
    finally:
        processes.close()


@pytest.mark.long
def test_with_tls_who_has_a_certificate_of_the_authority_gets_in_and_nobody_else(tmp_path: Path) -> None:
    ours, others = ClusterCertificates(tmp_path / "ours"), ClusterCertificates(tmp_path / "others")
    processes = DaskProcesses(tmp_path, environment=ours.environment)
    try:
        processes.add()
        assert processes.address.startswith("tls://127.0.0.1:")
        plan = expand(find_scenario(f"{HERE}:DIES"), 1)
        with dask.config.set(ours.settings):
            for on in (processes.on, processes.address):
                with DaskCluster(on) as cluster:
                    assert cluster.play(plan).result == "passed"
        unanswered = r"^The scheduler at \S+ does not answer: "
        with dask.config.set(others.settings), pytest.raises(BadInput, match=unanswered):
            DaskCluster(processes.on)
        with pytest.raises(BadInput, match=unanswered):
            DaskCluster(processes.on.replace("dask+tls", "dask"))
    finally:
        processes.close()


def test_who_has_no_certificate_is_told_which_settings_are_missing() -> None:
    with pytest.raises(BadInput, match=r"^For TLS, .* set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "):
        DaskCluster("tls://127.0.0.1:1")
