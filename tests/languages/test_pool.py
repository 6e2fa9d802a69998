"""A pool of workers in each language: children are spawned, one that fails costs its job, and results come once."""

from __future__ import annotations

from collections.abc import Callable

from testnet.faults.crash import Crash
from testnet.testing.package_lab import PackageLab
from tests.packages.test_pool import check

ONE, TWO = NODES = ("one.nec", "two.nec")
BOSS = "our@boss:pool:sys"


def test_jobs_are_done_by_children_on_all_nodes_and_those_that_failed_again(
    lab: PackageLab, boot: Callable[..., None]
) -> None:
    boot("pool", *NODES)
    run = {"Run": {"jobs": 10, "workers": NODES, "timeout": 40, "trap": [0, 7]}}
    answer = lab.ask(ONE, BOSS, run, timeout=60).body
    assert set(check(answer, 10).values()) == set(NODES)
    assert answer["Done"]["retried"] == 2
    assert lab.ask(ONE, BOSS, "Status").body == {
        "Status": {"jobs": 10, "waiting": 0, "running": 0, "done": 10, "retried": 2}
    }
    assert sum("was to trap" in line for node in NODES for line in lab.log(node)) >= 2


def test_boss_answers_at_once_while_a_run_is_under_way_and_a_worker_that_is_gone_gets_no_jobs(
    lab: PackageLab, boot: Callable[..., None]
) -> None:
    boot("pool", *NODES)
    with lab.apply(Crash(TWO)):
        run = lab.begin(ONE, BOSS, {"Run": {"jobs": 5, "workers": NODES, "timeout": 40, "rest": 500}}, timeout=90)
        assert lab.ask(ONE, BOSS, "Status").body["Status"]["jobs"] == 5
        assert lab.ask(ONE, BOSS, {"Run": {"jobs": 1, "workers": NODES, "timeout": 1}}).body == {
            "Err": "a run is under way"
        }
        lab.wait(lambda: run.outcome is not None, 90)
    assert run.outcome is not None
    assert set(check(run.outcome.body, 5).values()) == {ONE}
