"""Real nodes that break a promise are noticed by their traces alone: a scenario is played that looks at nothing itself.

All runs begin together, each in a process of its own with sources of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from testnet.journal.journal import read_journal_untrusted
from tests.mutants import promises
from tests.mutants.table import MUTANTS
from tests.mutants.workshop import copied

UNBROKEN = ""
NOTICED = {
    "forget-what-came-at-reconnect": r"G4: b\.nec@hello:hello:sys was given request \d+ of a\.nec@\S+ twice",
    "late-response-after-timeout": r"G5: request \d+ of a\.nec failed, and was answered again",
    "failed-request-is-forgotten": r"G5: request \d+ of a\.nec@\S+ to nobody\.nec@\S+ never ended, and nobody waits",
}
"""By the mutant: what is found."""
QUICK = "forget-what-came-at-reconnect"
"""The one that the default run plays."""
BROKEN = [pytest.param(name, marks=() if name == QUICK else pytest.mark.long) for name in NOTICED]

Runs = Mapping[str, Future[dict[str, Any]]]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """What `nectar testnet play` reports, by the mutant, of those that a test here that was selected asks for."""
    folder = tmp_path_factory.mktemp("promises")
    mine = [each for each in request.session.items if isinstance(each, pytest.Function) and each.path == request.path]
    wanted = dict.fromkeys(str(each.callspec.params["name"]) for each in mine)
    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(play, name, folder / f"{name or 'unbroken'}.journal") for name in wanted}


def play(name: str, journal: Path) -> dict[str, Any]:
    """Play it on loopback with nodes that are broken in that way, in sources that are."""
    mutant = next((each for each in MUTANTS if each.name == name), None)
    with copied(mutant) as folder:
        scenario = f"{Path(promises.__file__)}:PROMISES"
        command = [sys.executable, "-m", "nectar_node", "testnet", "play", scenario, "--json", "-o", str(journal)]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


@pytest.mark.long
@pytest.mark.parametrize("name", [UNBROKEN], ids=["unbroken"])
def test_nothing_is_found_where_all_promises_are_kept(name: str, runs: Runs) -> None:
    """As in `tests/levels/test_levels.py`, where scenarios pass."""
    report = runs[name].result()
    assert (report["result"], report["text"]) == ("passed", "")


@pytest.mark.long
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found_by_its_number(name: str, runs: Runs) -> None:
    report = runs[name].result()
    assert report["result"] == "violated"
    assert re.fullmatch(NOTICED[name], report["text"])


@pytest.mark.parametrize("name", BROKEN)
def test_the_journal_keeps_every_step_and_the_violation_at_its_place(name: str, runs: Runs) -> None:
    report = runs[name].result()
    events = read_journal_untrusted(Path(report["journal"])).events
    request = re.search(r"request (\d+)", report["text"])
    assert request is not None
    there = [event.text for event in events if request[1] in event.text]
    assert there[0].startswith('message {"step":"sent"')
    assert f"violation {report['text']}" in there
