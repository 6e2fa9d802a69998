"""Chaos on real nodes: everything holds, and nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, CannotStart, NotRunning
from nectar_node.launcher.boot_options import BootOptions, keep_options, kept_options
from nectar_node.launcher.file_transfer import Interrupts
from nectar_node.launcher.local_network import LocalNetwork
from testnet.chaos import askers as requests
from testnet.chaos.fault_player import ECHO
from testnet.chaos.nodes import RunningTestnet, check, running_testnet, started
from testnet.chaos.report import ChaosReport
from testnet.chaos.run import run_chaos
from testnet.faults.bit_flips import BitFlips
from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.schedule import Schedule, Step
from testnet.model.where import Where
from testnet.real.links.client import LinksProcess
from testnet.real.local import LocalTestnet
from testnet.real.nodes.processes import NodeProcesses
from testnet.real.traces import TracePipes
from tests.commands import nectar
from tests.nectar_node.cli.served_node import make_network
from tests.testnet.cli.lab import Shell

NODES = ("a.nec", "b.nec", "c.nec")
SCHEDULE: Schedule = (
    Step(0.5, 4.0, BitFlips(1e-6, where=Where("b.nec"))),
    Step(1.0, 2.0, Crash("a.nec")),
    Step(1.5, 3.0, Partition(Where("b.nec", "c.nec"))),
    Step(2.5, 3.5, Pause("c.nec")),
    Step(3.0, 500.0, DiskFull("b.nec")),
)
"""However slow the machine, at last a disk is full alone, until somebody has seen enough."""


class Progress:
    """What was shown."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def show(self, done: int, total: int, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTestnet]:
    """One whose nodes write traces, which most tests here leave alone."""
    folder = tmp_path_factory.mktemp("chaos")
    network = LocalNetwork(folder / "testnet")
    with closing(TracePipes(folder / "traces")) as traces, started(network, NODES, traces=traces):
        yield RunningTestnet(network, NODES, traces=traces)


@pytest.fixture
def network(traced: RunningTestnet) -> LocalNetwork:
    return traced.network


def run(
    network: LocalNetwork,
    schedule: Schedule,
    seconds: float,
    wanted: Interrupts | None = None,
    progress: Progress | None = None,
) -> ChaosReport:
    place = RunningTestnet(network, check(network, network.names()))
    return run_chaos(place, 5, seconds, schedule, progress or Progress(), wanted or Interrupts())


def left(network: LocalNetwork) -> list[object]:
    """What a run may not leave behind."""
    processes, files = [], []
    for name in NODES:
        with network.connect(name) as client:
            processes += [row["address"] for row in client.request("ps")["processes"] if "witness" in row["address"]]
        inbox = network.place(name).drives / "file_transfer:sys" / "inbox"
        files += [path for path in inbox.rglob("*") if path.is_file()]
    return [*LinksProcess(network).ask("faults")["faults"], *processes, *files]


class When(Progress):
    """Does something once: when the words that say what holds begin so, and some files and requests were sent."""

    def __init__(self, holds: str, what: Callable[[], object], files: int = 0) -> None:
        super().__init__()
        self._holds = holds
        self._what = what
        self._files = files
        self._is_done = False

    def show(self, done: int, total: int, text: str) -> None:
        files, requests = int(text.split()[-4]), int(text.split()[-2])
        if not self._is_done and text.startswith(self._holds) and files >= self._files and requests:
            self._is_done = True
            self._what()


def interrupting(holds: str, files: int = 0) -> tuple[Interrupts, When]:
    """A user who interrupts then."""
    wanted = Interrupts()
    return wanted, When(holds, lambda: setattr(wanted, "count", 1), files)


def test_files_and_requests_stand_a_kill_a_pause_a_full_disk_and_broken_links_and_what_traces_show_is_a_violation(
    traced: RunningTestnet,
) -> None:
    wanted, progress = interrupting(SCHEDULE[-1].fault.words(), files=1)
    report = run_chaos(traced, 5, 600.0, SCHEDULE, progress, wanted)
    assert report.violations() == [], report.evidence()
    assert (report.steps > report.requests.started, report.unwatched) == (True, "")
    assert [held.step for held in report.faults] == list(SCHEDULE)
    assert all(held.refused is None and held.ended is not None for held in report.faults)
    assert report.transfers.completed > 0
    assert report.requests.answered > 0
    assert report.healed is not None
    ended = report.requests.answered + report.requests.returned + report.requests.offline + report.requests.timeout
    assert report.requests.started == ended + report.requests.died
    assert left(traced.network) == []
    forge(traced)
    report = run_chaos(traced, 5, 0.5, (), Progress(), Interrupts())
    (violation,) = report.violations()
    assert violation.startswith(
        f"G3: b.nec took request 7 to b.nec@{ECHO} from a.nec@{ECHO}, who never sent it (the tr"
    )


def forge(traced: RunningTestnet) -> None:
    """Have the trace of b.nec tell of a request that nobody has sent."""
    network, traces = traced.network, traced.traces
    assert traces is not None
    NodeProcesses(network).pause("b.nec")  # whatever it writes next is younger
    traces.catch_up()
    lines = traces.files["b.nec"].read_text().splitlines()
    last = max((json.loads(line).get("at", traces.began) for line in lines if line), default=traces.began)
    never_sent = {"at": last, "step": "sent", "id": 7, "parent": None, "root": 7, "source": f"a.nec@{ECHO}"}
    never_sent |= {"target": f"b.nec@{ECHO}", "claimed": True, "expects": True, "inherits": False, "body": 1}
    never_sent |= {"blob": None, "reason": None, "beginning": ""}
    network.place("b.nec").trace.write_text(json.dumps(never_sent) + "\n")
    NodeProcesses(network).resume("b.nec")


def test_whoever_interrupts_it_gets_a_report_and_all_nodes_run(network: LocalNetwork) -> None:
    wanted, progress = interrupting("2 faults hold")
    schedule = (Step(0.2, 500.0, Crash("b.nec")), Step(0.3, 500.0, Pause("c.nec")))
    report = run(network, schedule, 600.0, wanted, progress)
    assert report.ended_early
    assert report.violations() == [], report.evidence()
    assert set(check(network, network.names())) == set(NODES)
    assert left(network) == []


class Impatient(Progress):
    """Interrupts at the first requests; pauses c.nec when no fault will come, and interrupts again once some wait."""

    def __init__(self, network: LocalNetwork) -> None:
        super().__init__()
        self.wanted = Interrupts()
        self._network = network
        self._paused_at: int | None = None

    def show(self, done: int, total: int, text: str) -> None:
        requests = int(text.split()[-2])
        if requests and not self.wanted.count:
            self.wanted.count = 1
        elif text.startswith("waiting") and self._paused_at is None:
            NodeProcesses(self._network).pause("c.nec")
            self._paused_at = requests
        elif self._paused_at is not None and requests >= self._paused_at + 20:
            self.wanted.count = 2  # a.nec and b.nec take turns with their targets: some of twenty are to c.nec


def test_who_interrupts_it_twice_waits_for_no_outcome(network: LocalNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "RUN_SECONDS", 120.0)  # however long the network takes to heal, more is asked then
    impatient = Impatient(network)
    report = run(network, (Step(0.1, 500.0, Pause("c.nec")),), 600.0, impatient.wanted, impatient)
    assert report.violations() == []
    assert report.requests.abandoned > 0
    assert set(check(network, network.names())) == set(NODES)
    assert left(network) == []


def test_a_testnet_that_somebody_stops_meanwhile_stays_down_and_the_report_says_so(tmp_path: Path) -> None:
    network = LocalNetwork(tmp_path / "testnet")
    with started(network, NODES[:2]):
        place = RunningTestnet(network, NODES[:2])
        pause = Pause("b.nec")
        down = When(pause.words(), lambda: Shell(network.folder).say("testnet", "down"))
        report = run_chaos(place, 5, 600.0, (Step(0.1, 500.0, pause),), down, Interrupts())
    assert report.violations() == ["the links between the nodes have ended, or the testnet was stopped, during the run"]
    assert [name for name in network.names() if network.place(name).owner() is not None] == []


def test_where_faults_hold_already_or_a_node_is_paused_it_does_not_begin(network: LocalNetwork) -> None:
    links = LinksProcess(network)
    links.ask("apply", kind="partition", parameters={"between": ["a.nec", "b.nec"]}, seconds=None)
    with pytest.raises(BadInput, match=r"faults already \(partition a\.nec from b\.nec\): `nectar testnet fault rem"):
        check(network, network.names())
    links.ask("remove", number=None)
    NodeProcesses(network).pause("a.nec")
    try:
        with pytest.raises(BadInput, match=r"^a\.nec is paused: `nectar testnet resume a\.nec"):
            check(network, network.names())
    finally:
        NodeProcesses(network).resume("a.nec")


def test_where_nodes_reach_each_other_directly_it_says_that_nothing_can_break(tmp_path: Path) -> None:
    with LocalTestnet(tmp_path / "direct", BootOptions(packages=())) as nodes:
        nodes.start()
        with (
            pytest.raises(NotRunning, match=r"reach each other directly.*without --direct"),
            running_testnet(nodes.folder, print),
        ):
            raise AssertionError("it began")


def test_a_testnet_that_is_down_runs_for_as_long_as_it_takes(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "testnet")
    make_network(shell.folder, "registrar.nec", "a.nec", "b.nec")
    shell.say("testnet", "chaos", "--minutes", "0.02", "--seed", "3", "--json", "-o", str(tmp_path / "report"))
    report = json.loads((tmp_path / "report").read_text())
    assert (report["nodes"], report["violations"]) == (["a.nec", "b.nec"], [])
    assert report["traced_steps"] > 0
    network = LocalNetwork(shell.folder)
    assert [path for path in network.folder.rglob("trace*") if path.is_file() or path.is_fifo()] == []
    assert not kept_options(network.place("a.nec")).trace
    assert [name for name in network.names() if network.place(name).owner() is not None] == []
    assert LinksProcess(network).pid is None


def test_where_there_is_no_testnet_one_is_made_in_the_folder_that_is_named(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "new")
    shell.say("testnet", "chaos", "--minutes", "0.02", "--seed", "3")
    assert LocalNetwork(shell.folder).names() == ["registrar.nec", "one.nec", "three.nec", "two.nec"]
    assert LinksProcess(LocalNetwork(shell.folder)).pid is None


def test_where_nothing_can_start_the_traces_of_users_are_left_alone(tmp_path: Path) -> None:
    make_network(tmp_path, "registrar.nec", "a.nec", "b.nec")
    place = LocalNetwork(tmp_path).place("a.nec")
    place.trace.write_text("the user's")
    keep_options(place, BootOptions(trace=True))
    damaged = tmp_path / "links" / "places.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    with pytest.raises(CannotStart, match=r"places.json is damaged"), running_testnet(tmp_path, print):
        raise AssertionError("it began")
    assert (place.trace.read_text(), kept_options(place).trace) == ("the user's", True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        *((f"--minutes={each}", 2, f"{float(each):g} minutes are not a time to run:") for each in ("0", "nan", "1e9")),
        ("--seed=-1", 2, "Invalid value for '--seed'"),
        ("-o none/report", 2, "none/report cannot be written: No such file or directory."),
        ("", 2, "Chaos needs two nodes or more that run behind links:"),
    ],
)
def test_what_cannot_run_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, code: int, said: str
) -> None:
    (tmp_path / ".nectar" / "nodes" / "a.nec").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    ended = nectar("testnet", "chaos", *words.split(), *(() if "--dir" in words else ("--dir", ".nectar")))
    assert (ended.code, ended.out, ended.err.count("\n"), ended.err[: len(said)]) == (code, "", 1, said)
