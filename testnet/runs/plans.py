"""Plans from the command line and from journals; everything is checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kernel.contract.address import check_node
from kernel.contract.errors import BadAddress
from nectar_node.base.decoding import decode_untrusted
from nectar_node.base.errors import BadInput, NodeError
from testnet.faults.own import load_module
from testnet.faults.schedule import read_schedule_untrusted, read_steps_untrusted
from testnet.journal.journal import OF_A_TEST, Header
from testnet.model.lab import NodePlan
from testnet.model.packages import check_built, find_package
from testnet.model.seeds import MAX_SEED
from testnet.model.travelled import local, original
from testnet.model.unknown import unknown
from testnet.model.value import shown
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import MAX_NODES, Plan, Scenario, draw_plan

_OWN = "path/to/file.py:NAME for one of your own"


def find_scenario(name: str) -> Scenario:
    """Return the scenario of that name, or of `path/to/file.py:NAME`; raises BadInput.

    With its whole path that is its name from then on: a journal is replayed from wherever one stands.
    """
    if name in SCENARIOS:
        return SCENARIOS[name]
    path, colon, own = name.rpartition(":")
    if not colon:
        if not name.endswith(".py"):
            raise BadInput(unknown("scenario", name, SCENARIOS, _OWN))
        path, own = name, ""
    file = local(Path(path))
    module = load_module(file)
    found = getattr(module, own, None)
    if not isinstance(found, Scenario):
        here = [each for each, value in vars(module).items() if isinstance(value, Scenario)]
        if here and not own:
            raise BadInput(f"Which scenario of {path}? Say {' or '.join(f'{path}:{each}' for each in here)}.")
        raise BadInput(f"{path} has no scenario {own!r}; it has {', '.join(here) or 'none'}.")
    file = file.resolve()
    return _with_own_packages(replace(found, name=f"{original(file)}:{own}"), file)


def ready_scenario(name: str) -> Scenario:
    """Return the scenario of that name when all packages of its nodes are there and compiled; raises BadInput."""
    scenario = find_scenario(name)
    if scenario.name in SCENARIOS:
        return scenario
    try:
        nodes = scenario.topology(scenario.names(None))
    except NodeError:
        raise
    except Exception as error:
        raise BadInput(f"The topology of {name} cannot be made: {type(error).__name__}: {error}.") from error
    for folder in {folder for node in nodes for folder in node.folders()}:
        check_built(folder)
    return scenario


def _with_own_packages(scenario: Scenario, file: Path) -> Scenario:
    """Return a scenario of a user's own file, whose packages are looked for beside that file, and then here."""

    def topology(names: Sequence[str]) -> tuple[NodePlan, ...]:
        places = (file.parent, Path.cwd())
        return tuple(
            replace(node, packages=tuple(find_package(each, places) for each in node.packages))
            for node in scenario.topology(names)
        )

    return replace(scenario, topology=topology)


def expand(scenario: Scenario, seed: int, nodes: int | None = None) -> Plan:
    """Return the plan of a seed; raises BadInput for too few or too many nodes."""
    least, most = scenario.least_nodes, scenario.most_nodes
    if nodes is not None and not least <= nodes <= most:
        raise BadInput(f"{scenario.name} runs with {least} to {most} nodes, and not with {nodes}.")
    return as_read(draw_plan(scenario, seed, nodes))


def with_faults(scenario: Scenario, plan: Plan, file: Path) -> Plan:
    """Return the plan with the faults of a TOML file instead of its own; raises BadInput."""
    return as_read(replace(plan, schedule=read_schedule_untrusted(file, plan.nodes, scenario.seconds)))


def as_read(plan: Plan) -> Plan:
    """Return the plan as its journal will give it back, so that this run and its replay are the same."""
    return plan_untrusted(decode_untrusted(json.dumps(plan.value()), Header), "the plan")


def plan_of(header: Header, origin: str) -> tuple[Scenario, Plan]:
    """Return the scenario and the plan of a journal's header; `origin` names it in sentences. Raises BadInput."""
    if header.scenario == OF_A_TEST:
        raise BadInput(f"{origin} is the journal of a test, which pytest runs again with --nectar-seed {header.seed}.")
    try:
        return ready_scenario(header.scenario), plan_untrusted(header, "its plan")
    except NodeError as error:
        raise BadInput(f"{origin} can no longer be run: {error}") from error


def plan_untrusted(header: Header, origin: str) -> Plan:
    """Return the plan in a journal's header; `origin` names it in sentences. Raises BadInput."""
    _check_nodes(header.nodes, origin)
    schedule = read_steps_untrusted(header.schedule, header.nodes, origin)
    if not 0 <= header.seed <= MAX_SEED:
        raise BadInput(f"{origin} has the seed {shown(header.seed)}; a seed is a whole number from 0 to {MAX_SEED}.")
    return Plan(header.scenario, header.seed, header.nodes, header.options, schedule)


def _check_nodes(nodes: Sequence[str], origin: str) -> None:
    if not 0 < len(nodes) <= MAX_NODES:
        raise BadInput(f"{origin} names {len(nodes)} nodes; it must be 1 to {MAX_NODES}.")
    if len(set(nodes)) < len(nodes):
        raise BadInput(f"{origin} names a node twice.")
    for name in nodes:
        try:
            check_node(name)
        except BadAddress as error:
            raise BadInput(f"{origin}: {error}.") from error
