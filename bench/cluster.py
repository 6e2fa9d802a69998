"""`cluster`: seeds a minute on two workers of Dask, beside two processes of a sweep without a cluster."""

from __future__ import annotations

from bench.measure import Result, Skipped, in_turns, ratio
from bench.sim import SWEEPS, per_minute
from testnet.sweep.workers import Workers

GOAL = 0.95
"""Of the seeds a minute of `--jobs 2`."""


def run() -> list[Result]:
    """Measure all small scenarios, in turns; all processes have compiled their programs before."""
    try:
        from dask import config
        from distributed import LocalCluster
    except ImportError:
        return [Skipped("cluster_seeds", "the extra [cluster] is not installed")]
    from testnet.cluster.dask_cluster import DaskCluster

    with (
        config.set({"distributed.worker.profile.enabled": False}),  # as docs/clusters.md says
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as dask,
        DaskCluster(dask.scheduler_address.replace("tcp://", "dask://")) as cluster,
        Workers(2) as both,
    ):
        per_minute(cluster)
        per_minute(both)
        ours, theirs = in_turns(lambda: per_minute(cluster), lambda: per_minute(both), runs=SWEEPS)
    return [ratio("cluster_seeds", ours, theirs, ("two processes, `--jobs 2`", "seeds a minute"), GOAL)]
