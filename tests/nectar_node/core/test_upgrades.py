"""What becomes of a package's requests, state and versions when another version takes its place, in virtual time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.contract.address import Address, PackageId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.limits import MAX_INBOX_MESSAGES
from kernel.contract.message import Reason, Request
from kernel.wasm.engine import Engine
from nectar_node.contract.actions import BadCode, LoadCode
from nectar_node.driver.program_code import load_program
from nectar_node.packages.decisions import Decision
from nectar_node.packages.manifest import Package
from nectar_node.packages.trial import TRIAL_SECONDS, Trial
from nectar_node.releases.installed import InstalledVersion
from testnet.sim.simulation import SimNode
from tests.conformance.lab import PACKAGE, SimLab, SimProbe
from tests.conformance.steps import GET_STATE, TRAP, respond, script, set_state, spawn

PROBES = PackageId.parse(PACKAGE)
REQUESTS = 50


@pytest.fixture
def lab(replayable: Engine, tmp_path: Path) -> SimLab:
    return SimLab(replayable, tmp_path, 1)


def version(lab: SimLab, number: int, *processes: str) -> Package:
    """A version of the package of probes, on the node's disk."""
    entries = [{"process_name": each, "process_wasm_path": "/probe.wasm", "public": True} for each in processes]
    (lab.folder / "manifest.json").write_text(json.dumps(entries))
    (lab.folder / "version").write_text(str(number))
    return lab.our._lay_down(lab.folder)


def noted(lab: SimLab, package: Package, number: int) -> None:
    """The node notes that it is installed."""
    made = InstalledVersion(f"{number}.0.0", package.digest, str(package.folder), str(package.source), None, number)
    lab.our.core.installed.add(package.id, made)


def install(lab: SimLab, number: int, *processes: str, trial: bool = False) -> Trial | None:
    """Install a version; with a trial, the one before comes back if it fails in its first seconds."""
    core, package = lab.our.core, version(lab, number, *processes)
    before, trying = core.packages.get(PROBES), None
    if trial:
        assert before is not None
        decided = core.decisions.of(PROBES)
        trying = Trial(before, object(), lambda: core.installed.go_back(PROBES), decided)
    core.install(package, None, lab.now, note=lambda: noted(lab, package, number), trial=trying)
    lab.our.go_on()
    return trying


def granted(lab: SimLab, number: int) -> Decision:
    """What the user of the node decides about a version."""
    lab.our.core.decide(PROBES, Decision(str(number)), lab.now)
    lab.our.go_on()
    return Decision(str(number))


def wait_for_second(lab: SimLab) -> None:
    """Let time pass until the second version runs, and that is durable."""
    lab.wait(lambda: len(versions(lab.our)) == 2 and lab.our.core.kept)


def versions(node: SimNode) -> list[str]:
    """The versions that are installed, the oldest first."""
    return [each.version for each in node.core.installed.of(PROBES)]


def runs(node: SimNode) -> str:
    """The version that runs, by what lies in its folder."""
    package = node.core.packages[PROBES]
    installed = {each.digest: each.version for each in node.core.installed.of(PROBES)}
    return installed.get(package.digest, "another")


# --- no request is lost ---------------------------------------------------------------------------------------------


def test_g5_requests_that_wait_when_the_new_version_starts_are_answered_by_it(lab: SimLab) -> None:
    install(lab, 1, "a")
    lab.rest()
    core, package = lab.our.core, version(lab, 2, "a")
    core.install(package, "token", lab.now)
    (load,) = (each for each in core.settle(lab.now) if isinstance(each, LoadCode))
    core._out.clear()
    asked = [object() for _ in range(REQUESTS)]
    for token in asked:
        request = Request(False, 30, script(respond("answered")))
        core.inject(Address.parse(f"our@a:{PACKAGE}"), request, None, token, lab.now)
    program = core.kernel.processes[package.processes[0]].launch.program
    core.code_loaded(load, program, lab.now)
    lab.our.go_on()
    lab.rest()
    taken, *waiting = (lab.our.answer(token) for token in asked)
    assert isinstance(taken, Failure)
    assert taken.error.reason is Reason.PROCESS_ENDED
    assert [each.message.body for each in waiting if isinstance(each, Arrival)] == [b"answered"] * (REQUESTS - 1)
    assert core.packages[PROBES].digest == package.digest


@pytest.mark.long
def test_g5_a_full_mailbox_goes_to_the_new_version_and_what_finds_no_room_has_an_outcome_too(lab: SimLab) -> None:
    install(lab, 1, "a")
    lab.rest()
    core, package = lab.our.core, version(lab, 2, "a")
    core.install(package, "token", lab.now)
    (load,) = (each for each in core.settle(lab.now) if isinstance(each, LoadCode))
    core._out.clear()
    asked = [object() for _ in range(MAX_INBOX_MESSAGES + REQUESTS)]
    for token in asked:
        core.inject(
            Address.parse(f"our@a:{PACKAGE}"), Request(False, 30, script(respond("here"))), None, token, lab.now
        )
    program = core.kernel.processes[package.processes[0]].launch.program
    core.code_loaded(load, program, lab.now)
    lab.our.go_on()
    lab.rest(60)
    outcomes = [lab.our.answer(token) for token in asked]
    assert None not in outcomes
    answered = sum(isinstance(each, Arrival) for each in outcomes)
    assert answered >= MAX_INBOX_MESSAGES - 1, answered
    assert core.packages[PROBES].digest == package.digest


def test_g27_the_new_version_has_the_state_that_the_former_one_has_saved(lab: SimLab) -> None:
    install(lab, 1, "a")
    lab.rest()
    SimProbe(lab, lab.our, "a").ask(set_state("saved"), respond())
    install(lab, 2, "a")
    lab.rest()
    probe = SimProbe(lab, lab.our, "a")
    probe.ask(GET_STATE, respond())
    assert [each.body for each in probe.seen("state")][-1:] == ["saved"]


# --- the first seconds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "is_back"), [(0, True), (1, True), (int(TRIAL_SECONDS), True), (int(TRIAL_SECONDS) + 1, False)]
)
def test_a_version_that_traps_in_its_first_seconds_gives_way_to_the_one_before(
    lab: SimLab, after: int, is_back: bool
) -> None:
    install(lab, 1, "a")
    lab.rest()
    trial = install(lab, 2, "a", trial=True)
    started = lab.now
    lab.until(started + after)
    SimProbe(lab, lab.our, "a").begin(TRAP)
    lab.rest()
    assert trial is not None
    assert (trial.failed is not None, versions(lab.our)) == (is_back, ["1.0.0"] if is_back else ["1.0.0", "2.0.0"])
    assert (PROBES in lab.our.core.packages and runs(lab.our)) == ("1.0.0" if is_back else "2.0.0")
    assert bool(lab.our.core.kernel.processes) is is_back
    if is_back:
        assert SimProbe(lab, lab.our, "a").ask(respond("here")).body == "here"
        assert any("has failed in its first seconds" in line for line in lab.our.log)


def test_a_child_that_traps_does_not_make_its_version_fail(lab: SimLab) -> None:
    install(lab, 1, "a")
    lab.rest()
    trial = install(lab, 2, "a", trial=True)
    lab.until(lab.now + 1)
    SimProbe(lab, lab.our, "a").ask(spawn("child"), respond())
    SimProbe(lab, lab.our, "child").begin(TRAP)
    lab.rest()
    assert trial is not None
    assert (trial.failed, versions(lab.our)) == (None, ["1.0.0", "2.0.0"])


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("after", [0, 4])
def test_g26_a_version_on_trial_when_the_node_dies_is_on_trial_again_after_the_boot(
    lab: SimLab, power: bool, after: int
) -> None:
    before = granted(lab, 1)
    install(lab, 1, "a")
    lab.rest()
    install(lab, 2, "a", trial=True)
    granted(lab, 2)
    wait_for_second(lab)
    lab.until(lab.now + after)
    lab.reboot(power=power)
    assert runs(lab.our) == "2.0.0"
    SimProbe(lab, lab.our, "a").begin(TRAP)
    lab.rest()
    assert (versions(lab.our), runs(lab.our)) == (["1.0.0"], "1.0.0")
    assert lab.our.core.decisions.of(PROBES) == before
    assert SimProbe(lab, lab.our, "a").ask(respond("here")).body == "here"
    lab.reboot(power=power)
    assert (versions(lab.our), runs(lab.our)) == (["1.0.0"], "1.0.0")


def test_a_version_whose_trial_is_over_is_on_none_after_a_boot(lab: SimLab) -> None:
    install(lab, 1, "a")
    lab.rest()
    install(lab, 2, "a", trial=True)
    lab.until(lab.now + int(TRIAL_SECONDS) + 1)
    lab.reboot()
    SimProbe(lab, lab.our, "a").begin(TRAP)
    lab.rest()
    assert (versions(lab.our), runs(lab.our)) == (["1.0.0", "2.0.0"], "2.0.0")


def test_a_trial_that_a_boot_has_begun_again_is_over_after_as_long_as_any(lab: SimLab) -> None:
    install(lab, 1, "a")
    lab.rest()
    install(lab, 2, "a", trial=True)
    wait_for_second(lab)
    lab.reboot()
    lab.until(lab.now + int(TRIAL_SECONDS) + 1)
    SimProbe(lab, lab.our, "a").begin(TRAP)
    lab.rest()
    assert (versions(lab.our), runs(lab.our)) == (["1.0.0", "2.0.0"], "2.0.0")


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [False, True])
def test_g26_after_a_crash_at_every_write_of_an_upgrade_one_version_is_installed_and_runs(
    replayable: Engine, tmp_path: Path, power: bool
) -> None:
    seen = set[str]()
    for left in range(40):
        folder = tmp_path / str(left)
        folder.mkdir()
        lab = SimLab(replayable, folder, 1)
        install(lab, 1, "a")
        lab.rest()
        files = lab.our.disk.database_files
        before, files.left = files.done, left
        install(lab, 2, "a")
        lab.rest()
        needed = files.done - before
        lab.reboot(power=power)
        found = versions(lab.our)
        assert runs(lab.our) == found[-1], left
        assert found in (["1.0.0"], ["1.0.0", "2.0.0"])
        assert SimProbe(lab, lab.our, "a").ask(respond("here")).body == "here"
        seen.add(found[-1])
        if needed < left:
            break
    assert seen == {"1.0.0", "2.0.0"}


# --- while the version before is being loaded again -----------------------------------------------------------------


def failing(lab: SimLab) -> None:
    """The second version has failed, and the code of the first is on its way."""
    install(lab, 1, "a")
    lab.rest()
    trial = install(lab, 2, "a", trial=True)
    lab.until(lab.now + 1)
    SimProbe(lab, lab.our, "a").begin(TRAP)
    assert trial is not None
    lab.wait(lambda: trial.failed is not None)
    assert runs(lab.our) == "2.0.0"


def test_a_package_that_is_uninstalled_while_its_version_before_comes_back_stays_away(lab: SimLab) -> None:
    failing(lab)
    lab.our.core.uninstall(PROBES, lab.now)
    lab.our.go_on()
    lab.rest()
    assert (PROBES in lab.our.core.packages, [*lab.our.core.kernel.processes]) == (False, [])
    lab.reboot()
    assert PROBES not in lab.our.core.packages


def test_a_version_that_is_started_while_the_version_before_comes_back_is_the_one_that_runs(lab: SimLab) -> None:
    failing(lab)
    core, package = lab.our.core, version(lab, 3, "a")
    core.install(package, None, lab.now, note=lambda: noted(lab, package, 3))
    (load,) = (each for each in core.settle(lab.now) if isinstance(each, LoadCode))
    core._out.clear()
    program = load_program(lab.simulation.engine, lab.our.disk.perform, f"{lab.our.spec.name}/code", load.source)
    core.code_loaded(load, program, lab.now)  # faster than that of the version before
    lab.our.go_on()
    assert runs(lab.our) == "3.0.0"
    lab.rest()
    assert runs(lab.our) == versions(lab.our)[-1] == "3.0.0"


def test_a_version_comes_back_although_another_is_started_meanwhile_that_cannot_be(lab: SimLab) -> None:
    failing(lab)
    core, package = lab.our.core, version(lab, 3, "a")
    core.install(package, None, lab.now, note=lambda: noted(lab, package, 3))
    (load,) = (each for each in core.settle(lab.now) if isinstance(each, LoadCode))
    core._out.clear()
    core.code_loaded(load, BadCode("no module"), lab.now)
    lab.our.go_on()
    lab.rest()
    assert runs(lab.our) == versions(lab.our)[-1] == "1.0.0"
