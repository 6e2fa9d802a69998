"""Schedules that Hypothesis draws: within their bounds, and shrunk to what matters."""

from __future__ import annotations

import json

import pytest
from hypothesis import find, given, settings

from nectar_node.base.errors import BadInput
from testnet.faults.crash import Crash
from testnet.faults.draw import LINKS, MACHINES, NODES, WRONG_BYTES, latency, partition, pause
from testnet.faults.schedule import Schedule, read_steps_untrusted, words
from testnet.sim.programs import Programs
from testnet.testing.simulation import simulation
from testnet.testing.strategies import schedules

NAMES = ("one.nec", "two.nec", "three.nec")
ALL = (*LINKS, *WRONG_BYTES, *NODES, *MACHINES)
QUICKLY = settings(deadline=None, database=None, max_examples=2000)


@settings(deadline=None, max_examples=50)
@given(schedules(NAMES, ALL, until=8.0))
def test_every_schedule_is_one_that_a_file_could_hold(schedule: Schedule) -> None:
    written = json.loads(json.dumps([step.value() for step in schedule]))
    assert read_steps_untrusted(written, NAMES, "it") == schedule
    assert all(0.0 <= step.at < (step.until or 0.0) <= 8.0 for step in schedule)


def test_the_one_fault_that_matters_is_left_at_the_simplest_time() -> None:
    shrunk = find(
        schedules(NAMES, ALL),
        lambda schedule: any(isinstance(step.fault, Crash) for step in schedule),
        settings=QUICKLY,
    )
    assert words(shrunk) == "t=0 s: kill one.nec until t=0.1 s"
    shrunk = find(
        schedules(NAMES),
        lambda schedule: any(step.at >= 3.0 and (step.until or 0.0) - step.at >= 2.0 for step in schedule),
        settings=QUICKLY,
    )
    assert [(step.at, step.until) for step in shrunk] == [(3.0, 5.0)]
    with pytest.raises(BadInput, match="two nodes or more"):
        schedules(("one.nec",))


@settings(deadline=None, max_examples=3, database=None)
@given(schedule=schedules(("one.nec", "two.nec"), (partition, pause), until=4.0))
def test_a_network_of_its_own_for_each_example_heals(nectar_programs: Programs, schedule: Schedule) -> None:
    with simulation(nectar_programs) as sim:
        sim.boot("one.nec", "two.nec", packages=["hello"])
        with sim.faults(schedule):
            sim.rest(4.0)
        greeting = {"Ask": {"node": "two.nec", "name": "Ada", "timeout": 30}}
        assert "Answered" in sim.ask("one.nec", "our@hello:hello:sys", greeting, timeout=60).body


def is_answered_soon(programs: Programs, schedule: Schedule) -> bool:
    """What a careless author takes for granted: an answer within two seconds, asked for once."""
    with simulation(programs) as sim:
        sim.boot("one.nec", "two.nec", packages=["hello"])
        with sim.faults(schedule):
            asked = sim.begin("one.nec", "two.nec@hello:hello:sys", {"Greet": "Ada"}, timeout=2)
            sim.rest(4.0)
        return asked.outcome is not None and asked.outcome.kind == "response"


@pytest.mark.long
def test_what_a_careless_author_took_for_granted_is_shrunk_to_the_one_fault_that_breaks_it(
    nectar_programs: Programs,
) -> None:
    shrunk = find(
        schedules(("one.nec", "two.nec"), (partition, latency, pause), until=4.0, most=3),
        lambda schedule: not is_answered_soon(nectar_programs, schedule),
        settings=QUICKLY,
    )
    assert len(shrunk) == 1
    assert shrunk[0].at == 0.0
