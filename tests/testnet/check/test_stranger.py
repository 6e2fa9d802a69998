"""A stranger's replicated counter with a mistake: its history finds it, names two operations, and they are drawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from testnet.journal.journal import Journal, read_journal_untrusted
from testnet.report.page import render
from tests.testnet.plugin_runs import run
from tests.testnet.report.test_page import data_of

pytest_plugins = ("pytester",)

GUEST = Path(__file__).parents[2] / "guests" / "replicas.wasm"
TEST = """
    import pytest

    from testnet.check import UNKNOWN, CounterModel, Linearizable
    from testnet.faults.draw import LINKS

    COUNTER = "our@replicas:replicas:local"
    ONE, TWO, THREE = "one.nec", "two.nec", "three.nec"

    @pytest.mark.nectar_seeds(SEEDS)
    def test_what_is_replicated_is_on_the_last_replica(sim):
        sim.boot(ONE, TWO, THREE, packages=["replicas"])
        assert sim.ask(ONE, COUNTER, {"Start": {"replicas": [TWO, THREE], "hasty": HASTY}}).body == "Started"
        history = sim.history(Linearizable(CounterModel()), name="the counter")

        @history.operation
        def add(client, amount):
            answer = sim.ask(client, COUNTER, {"Add": amount}, timeout=15)
            is_replicated = answer.kind == "response" and answer.body["Added"]["replicated"]
            return answer.body["Added"]["count"] if is_replicated else UNKNOWN

        @history.operation
        def read(client):
            answer = sim.ask(client, COUNTER, "Read", timeout=5)
            return answer.body["Count"] if answer.kind == "response" else UNKNOWN

        with sim.chaos(10, LINKS):
            for _ in range(5):
                add(ONE, 1)
                read(THREE)
                sim.rest(1)
"""


@pytest.fixture
def package(pytester: pytest.Pytester) -> None:
    """The counter, beside the test."""
    folder = pytester.path / "replicas"
    folder.mkdir()
    shutil.copy(GUEST, folder / "replicas.wasm")
    entry = {
        "process_name": "replicas",
        "process_wasm_path": "/replicas.wasm",
        "on_exit": "Restart",
        "request_networking": True,
        "request_capabilities": [],
        "grant_capabilities": [],
        "public": True,
    }
    (folder / "manifest.json").write_text(json.dumps([entry]))
    (folder / "metadata.json").write_text('{"package": "replicas", "publisher": "local"}')


def operations(journal: Journal) -> list[dict[str, Any]]:
    """What the report draws of the history."""
    table = data_of(render(journal))["operations"]
    return [dict(zip(table["names"], row, strict=True)) for row in table["rows"]]


@pytest.mark.usefixtures("package")
def test_the_planted_mistake_is_named_in_two_operations_and_drawn(pytester: pytest.Pytester) -> None:
    source = TEST.replace("HASTY", "True").replace("SEEDS", "3")
    result = run(pytester, source, "-x", "--nectar-journals=kept")
    assert result.ret == 1
    told = r".*the counter, linearizable: .* no order explains these 2 operations.*: "
    these = r"one\.nec: add\(1\) → \d \[.*; three\.nec: read\(\) → \d \[.*"
    result.stdout.re_match_lines_random([told + these])
    (journal,) = (
        journal for file in (pytester.path / "kept").iterdir() if (journal := read_journal_untrusted(file)).end.text
    )
    drawn = operations(journal)
    wrong = [each for each in drawn if each["wrong"]]
    assert [each["client"] for each in wrong] == ["one.nec", "three.nec"]
    assert wrong[0]["returned"] <= wrong[1]["called"]
    assert len(drawn) == 10


@pytest.mark.usefixtures("package")
def test_without_the_mistake_it_holds_in_the_same_storms(pytester: pytest.Pytester) -> None:
    run(pytester, TEST.replace("HASTY", "False").replace("SEEDS", "3")).assert_outcomes(passed=3)
