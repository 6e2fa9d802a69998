"""The journal of a chaos run: what the commands for journals read, with its faults and what was broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from testnet.chaos.journal import chaos_lines, write_chaos_journal
from testnet.chaos.plan import draw_rounds
from testnet.chaos.report import ChaosReport, Held
from testnet.cli.simulating.reruns import ChaosPlayer, played
from testnet.journal.journal import read_journal_untrusted
from testnet.report.story import tell
from testnet.sweep.workers import Workers

NODES = ("one.nec", "two.nec")


def test_a_broken_promise_is_told_with_the_faults_that_held_and_its_plan_can_be_played_again(tmp_path: Path) -> None:
    schedule = draw_rounds(NODES, 12.0, 3)
    report = ChaosReport(3, NODES, 12.0, 12.0)
    report.faults = [Held(step, step.at, step.until) for step in schedule]
    report.requests.lost = 1
    report.journal = chaos_lines(report, None, 0.0)
    file = tmp_path / "chaos.journal"
    write_chaos_journal(report, schedule, file)
    journal = read_journal_untrusted(file)
    story = tell(journal)
    assert story is not None
    assert story.text == "requests lost (G5): 1"
    assert [band.words for band in story.faults] == [step.fault.words() for step in schedule]
    with Workers(1) as workers:
        player, plan, _ = played(journal.header, str(file), workers)
        assert isinstance(player, ChaosPlayer)
        assert plan.schedule == schedule
        journal.header.options["seconds"] = 1e99
        with pytest.raises(BadInput, match="for how long there was chaos"):
            played(journal.header, str(file), workers)
