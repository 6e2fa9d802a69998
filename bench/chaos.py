"""`chaos`: three real nodes that send files and requests to each other while faults come and go, compared with calm.

The faults are those of one seed (`testnet.chaos.plan`); their effects differ from run to run. Promises are not figures:
none may be broken, however often this runs. The figures say how much of the traffic a network under faults still
carries, and how soon it is whole again.
"""

from __future__ import annotations

from pathlib import Path

from bench.lab import folder
from bench.measure import Figure, Reference, Result
from nectar_node.launcher.file_transfer import Interrupts
from nectar_node.launcher.local_network import LocalNetwork
from testnet.chaos.fault_player import HEALS_WITHIN
from testnet.chaos.nodes import OWN_NODES, RunningTestnet, started
from testnet.chaos.plan import draw_rounds
from testnet.chaos.report import ChaosReport
from testnet.chaos.run import run_chaos
from testnet.faults.schedule import Schedule

SEED = 5
MINUTES = 0.5
"""Minutes of each part; `make chaos` takes ten."""


def run(minutes: float = MINUTES) -> list[Result]:
    """Run so many minutes with faults, and as many without."""
    with folder() as place:
        calm = _play(place / "calm", (), minutes)
        chaos = _play(place / "chaos", draw_rounds(OWN_NODES, 60 * minutes, SEED), minutes)
    return [_broken(chaos, calm), _healed(chaos, calm), _answered(chaos, calm), _completed(chaos, calm)]


class Silent:
    """Shows nothing."""

    def show(self, done: int, total: int, text: str) -> None:
        """Show nothing."""


def _play(place: Path, schedule: Schedule, minutes: float) -> ChaosReport:
    network = LocalNetwork(place)
    with started(network, OWN_NODES) as line:
        return run_chaos(RunningTestnet(network, OWN_NODES, line), SEED, 60 * minutes, schedule, Silent(), Interrupts())


def _broken(chaos: ChaosReport, calm: ChaosReport) -> Figure:
    count = float(len(chaos.violations()))
    reference = Reference("without faults", float(len(calm.violations())), "promises broken")
    requests, transfers = chaos.requests, chaos.transfers
    detail: dict[str, float | str] = {
        "minutes": round(chaos.seconds / 60, 1),
        "faults": len(chaos.faults),
        "requests started": requests.started,
        "requests answered, returned, Offline, Timeout": _numbers(
            requests.answered, requests.returned, requests.offline, requests.timeout
        ),
        "requests that died with their node": requests.died,
        "requests lost, doubled, out of order, from the wrong node": _numbers(
            requests.lost, requests.doubled, requests.disordered, requests.wrong_node
        ),
        "files started": transfers.started,
        "files completed, failed with an error, died with their node": _numbers(
            transfers.completed, transfers.failed.total(), transfers.died
        ),
        "files wrong": len(transfers.wrong),
    }
    for number, violation in enumerate([*chaos.violations(), *chaos.evidence()]):
        detail[f"broken {number}"] = violation
    return Figure("chaos", count, count, count, "promises broken", reference, "at most 0", count == 0, detail)


def _healed(chaos: ChaosReport, calm: ChaosReport) -> Figure:
    seconds = round(HEALS_WITHIN if chaos.healed is None else chaos.healed, 2)
    reference = Reference("without faults", round(calm.healed or 0.0, 2), "seconds")
    goal = f"at most {HEALS_WITHIN:g} seconds"
    return Figure("chaos_heal", *(seconds,) * 3, "seconds", reference, goal, chaos.healed is not None)


def _answered(chaos: ChaosReport, calm: ChaosReport) -> Figure:
    return _share("chaos_answered", chaos.requests.answered, calm.requests.answered, "requests answered")


def _completed(chaos: ChaosReport, calm: ChaosReport) -> Figure:
    return _share("chaos_files", chaos.transfers.completed, calm.transfers.completed, "files completed")


def _share(name: str, ours: int, theirs: int, unit: str) -> Figure:
    """Return the share of the traffic that succeeds, against calm; it has no goal, since it depends on the faults
    alone."""
    share = round(ours / max(1, theirs), 3)
    reference = Reference("without faults", float(theirs), unit)
    return Figure(name, *(share,) * 3, "times the reference", reference, "none", True, {f"ours, {unit}": ours})


def _numbers(*counts: int) -> str:
    return ", ".join(map(str, counts))
