"""Each fault alone between two real nodes in virtual time, on links that take none: what it is like for a process."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest

from nectar_node.storage.operations import DiskError, DiskFault, FileStat, Location, ReadAt, Stat, WriteAt
from testnet.faults.bandwidth import Bandwidth
from testnet.faults.bit_flips import BitFlips
from testnet.faults.black_hole import BlackHole
from testnet.faults.clock_drift import ClockDrift
from testnet.faults.clock_step import ClockStep
from testnet.faults.crash import Crash
from testnet.faults.disk_error import FailingDisk
from testnet.faults.disk_full import DiskFull
from testnet.faults.impostor import Impostor
from testnet.faults.latency import Latency
from testnet.faults.loss import Loss
from testnet.faults.no_route import NoRoute
from testnet.faults.nonsense import Nonsense
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.faults.refusal import Refusal
from testnet.faults.registrar_down import RegistrarDown
from testnet.faults.replay import Replay
from testnet.faults.reset import ConnectionReset
from testnet.faults.slow_guests import SlowGuests
from testnet.faults.slow_handshake import SlowHandshake
from testnet.faults.stall import Stall
from testnet.faults.unsynced import Unsynced
from testnet.model.rule import Fault
from testnet.model.where import ANY, Where
from testnet.sim.programs import Programs
from tests.testnet.faults.network import GREETED, SEED, A, B, Network, Told
from tests.testnet.transfer_lab import RECEIVER, TRANSFER, FileTransfer, order

OUTPUT = Path(__file__).resolve().parents[2] / "guests" / "output.wasm"
BETWEEN = Where(A, B)
SILENCE = 25.0
"""Seconds after which a node gives up a session whose other side is silent: 15, 5 for a ping, 5 to dial again."""


@pytest.fixture
def net(programs: Programs) -> Network:
    return Network(programs)


@pytest.fixture
def acquainted(net: Network) -> Network:
    return net.acquainted()


def test_without_a_fault_no_time_passes(net: Network) -> None:
    assert net.greet() == net.greet() == Told(GREETED, 0.0)


def test_latency_is_felt_on_both_ways(acquainted: Network) -> None:
    with acquainted.simulation.apply(Latency(0.25, where=BETWEEN)):
        assert acquainted.greet() == Told(GREETED, 0.5)
    with acquainted.simulation.apply(Latency(0.25, where=Where(A, B, both=False))):
        assert acquainted.greet() == Told(GREETED, 0.25)


def test_bandwidth_lets_a_greeting_wait_for_its_bytes(acquainted: Network) -> None:
    with acquainted.simulation.apply(Bandwidth(100.0, BETWEEN)):
        told = acquainted.greet()
    sent = [int(line.split()[3]) for line in acquainted.lines(" sends ")[-6:]]
    assert told.what == GREETED
    assert 2.0 < told.seconds <= sum(sent) / 100.0


def test_what_a_slow_link_still_has_when_it_is_slow_no_longer_goes_on_at_once(acquainted: Network) -> None:
    number = acquainted.simulation.inject(Bandwidth(1.0, BETWEEN))
    acquainted.simulation.at(2.0, lambda: acquainted.simulation.withdraw(number))
    assert acquainted.greet() == Told(GREETED, 2.0)


def test_of_two_latencies_one_is_left_when_the_other_ends(acquainted: Network) -> None:
    simulation = acquainted.simulation
    with simulation.apply(Latency(3.0, where=Where(A, B, both=False))):
        number = simulation.inject(Latency(5.0, where=Where(A, B, both=False)))
        simulation.at(1.0, lambda: simulation.withdraw(number))
        assert acquainted.greet() == Told(GREETED, 3.0)


def test_a_stall_that_ends_is_a_delay(acquainted: Network) -> None:
    with acquainted.simulation.apply(Stall(BETWEEN)):
        token = acquainted.a.begin_to_ask(f"{B}@hello:hello:sys", b'{"Greet":"Ada"}', 60)
        acquainted.simulation.rest(3.0)
        assert acquainted.a.answer(token) is None
    acquainted.simulation.rest(0.0)
    assert acquainted.a.answer(token) is not None


def test_a_stall_breaks_no_connection_and_refuses_none(net: Network) -> None:
    with net.simulation.apply(Stall(BETWEEN)):
        assert net.greet() == Told("unreachable", 5.0)
    assert net.lines("ends: silent for too long")
    assert not net.lines("has broken")


def test_a_reset_breaks_the_connection_and_the_nodes_make_a_new_one(acquainted: Network) -> None:
    fault = acquainted.simulation.inject(ConnectionReset(where=BETWEEN))
    token = acquainted.a.begin_to_ask(f"{B}@hello:hello:sys", b'{"Greet":"Ada"}', 60)
    acquainted.simulation.rest(0.0)
    acquainted.simulation.withdraw(fault)
    assert [len(acquainted.lines(f"{each} log net: connection")) for each in (A, B)] == [1, 1]
    acquainted.simulation.rest(2.0)
    assert acquainted.a.answer(token) is not None


@pytest.mark.parametrize("byte", [0, 1, 40, 200])
def test_a_reset_at_a_byte_of_each_connection_lets_just_those_before_it_arrive(net: Network, byte: int) -> None:
    with net.simulation.apply(ConnectionReset(byte=byte, where=BETWEEN)):
        assert net.greet() == Told("unreachable", 5.0)
    assert net.greet().what == GREETED


def test_in_a_black_hole_nobody_is_told_until_silence_tells(acquainted: Network) -> None:
    with acquainted.simulation.apply(BlackHole(Where(B, ANY))):
        assert acquainted.greet() == Told("connection lost", SILENCE)


def test_a_refusal_is_told_at_once_and_leaves_connections_alone(net: Network) -> None:
    with net.simulation.apply(Refusal(BETWEEN)):
        assert net.greet() == Told("refused", 0.0)
    assert net.greet().what == GREETED
    with net.simulation.apply(Refusal(BETWEEN)):
        assert net.greet().what == GREETED


def test_where_there_is_no_route_a_node_is_unreachable_after_all_its_attempts(net: Network) -> None:
    with net.simulation.apply(NoRoute(BETWEEN)):
        assert net.greet() == Told("unreachable", 5.0)
    assert net.greet().what == GREETED


@pytest.mark.parametrize("both", [True, False])
def test_a_partition_parts_and_what_was_said_is_sent_again_after_it(acquainted: Network, both: bool) -> None:
    fault = acquainted.simulation.inject(Partition(Where(A, B, both)))
    token = acquainted.a.begin_to_ask(f"{B}@hello:hello:sys", b'{"Greet":"Ada"}', 60)
    acquainted.simulation.rest(4.0)
    acquainted.simulation.withdraw(fault)
    assert acquainted.a.answer(token) is None
    acquainted.simulation.rest(2.0)
    assert acquainted.a.answer(token) is None
    acquainted.simulation.rest(0.5)
    assert acquainted.a.answer(token) is not None


def test_a_partition_of_one_way_leaves_the_other(acquainted: Network) -> None:
    said = len(acquainted.lines(f" {B} sends "))
    with acquainted.simulation.apply(Partition(Where(B, A, both=False))):
        token = acquainted.a.begin_to_ask(f"{B}@hello:hello:sys", b'{"Greet":"Ada"}', 60)
        acquainted.simulation.rest(0.0)
        assert len(acquainted.lines(f" {B} sends ")) > said
        assert acquainted.a.answer(token) is None


def test_a_flipped_bit_ends_the_connection_and_reaches_no_process(acquainted: Network) -> None:
    with acquainted.simulation.apply(BitFlips(1.0, "piece", Where(A, B, both=False))):
        assert acquainted.greet() == Told("connection lost", 5.0)
    assert acquainted.lines("does not decrypt")
    assert acquainted.greet().what == GREETED


def test_a_handshake_that_trickles_too_slowly_is_given_up(net: Network) -> None:
    with net.simulation.apply(SlowHandshake(50.0, where=BETWEEN)):
        assert net.greet() == Told("unreachable", 5.0)


def test_a_handshake_that_trickles_fast_enough_is_only_late(net: Network) -> None:
    with net.simulation.apply(SlowHandshake(1000.0, where=BETWEEN)):
        first, second = net.greet(), net.greet()
    assert first.what == second.what == GREETED
    assert 0.5 < first.seconds < 5.0
    assert second.seconds == 0.0


@pytest.mark.parametrize("how", ["crash", "unreachable"])
def test_without_the_registrar_only_strangers_cannot_be_reached(net: Network, how: str) -> None:
    down = RegistrarDown("crash") if how == "crash" else RegistrarDown("unreachable")
    with net.simulation.apply(down):
        assert net.greet() == Told("the registrar could not be asked", 5.0)
    net.simulation.rest(30.0)
    net.acquainted()
    with net.simulation.apply(down):
        assert net.greet() == Told(GREETED, 0.0)


def test_a_crash_ends_the_node_and_its_end_boots_it(net: Network) -> None:
    with net.simulation.apply(Crash(B)):
        assert B not in net.simulation.nodes
        assert net.greet() == Told("refused", 0.0)
    net.simulation.rest(1.0)  # its record's number is on the disk before it registers
    assert net.greet() == Told(GREETED, 0.0)


def test_a_node_that_has_restarted_meanwhile_is_not_started_twice(net: Network) -> None:
    with net.simulation.apply(Crash(B)):
        net.simulation.start(B)
    assert len(net.lines(f"{B} boots")) == 2


def test_a_pause_is_a_silence(acquainted: Network) -> None:
    with acquainted.simulation.apply(Pause(B)):
        assert acquainted.greet() == Told("connection lost", SILENCE)
    acquainted.simulation.rest(1.0)
    assert acquainted.greet().what == GREETED


def clock_guest(folder: Path) -> Path:
    """A package whose process prints its wall clock and ends."""
    folder.mkdir()
    shutil.copy(OUTPUT, folder / OUTPUT.name)
    manifest = [{"process_name": "random", "process_wasm_path": f"/{OUTPUT.name}", "on_exit": "None"}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_process_sees_the_step_of_the_clock_until_it_ends(programs: Programs, tmp_path: Path) -> None:
    package = clock_guest(tmp_path / "clock")
    net = Network(programs, (package,))
    net.simulation.rest(99.0 + 1.0 - net.simulation.now)
    times = []
    for fault in (None, ClockStep(B, 3600.0), ClockStep(B, -3600.0), None):
        with net.simulation.apply(fault or Latency(0.0)):
            net.b.install(package)
            net.simulation.rest(0.2)
            line = [line for line in net.b.log if line.startswith("random:")][-1]
            times.append(struct.unpack("<q", bytes.fromhex(line.split()[1]))[0])
    assert times == [100, 3700, 0, 100]


def test_a_node_that_boots_years_ahead_is_refused_its_name_and_does_not_run(net: Network) -> None:
    with net.simulation.apply(ClockStep(B, 1e9)):
        net.simulation.restart(B)
        net.simulation.rest(30.0)
        assert B not in net.simulation.nodes
        assert net.lines(f"{B} does not run: The registrar finds the record of {B} issued in the future")
    net.simulation.start(B)
    net.simulation.settle()
    assert net.greet() == Told(GREETED, 0.0)


def test_a_node_whose_clock_is_set_years_ahead_believes_nobody_until_it_is_set_back(net: Network) -> None:
    with net.simulation.apply(ClockStep(B, 1e9)):
        net.simulation.rest(30.0)
        assert net.greet().what == "the node does not believe who we are"
    net.simulation.rest(60.0)
    assert net.greet() == Told(GREETED, 0.0)


def test_a_file_that_is_written_after_a_step_of_the_clock_has_its_time(net: Network) -> None:
    place = Location("/home", ("file",))
    with net.simulation.apply(ClockStep(B, 3600.0)):
        net.b.disk.put(place, b"")
        status = net.b.disk.perform(Stat(place))
    assert isinstance(status, FileStat)
    assert status.modified == round((net.simulation.now + 3600.0) * 1e9)


def test_a_clock_that_drifts_is_ahead_from_then_on_and_a_timeout_comes_by_it(net: Network) -> None:
    wall = net.b._wall_clock
    before = net.simulation.now
    with net.simulation.apply(ClockDrift(B, 3.0)):
        net.simulation.rest(10.0)
        assert round(net.b.time - net.simulation.now, 6) == 20.0
    net.simulation.rest(5.0)
    assert round(wall() / 1e9 - (before + 15.0), 6) == 20.0
    with net.simulation.apply(ClockDrift(A, 2.0)), net.simulation.apply(Pause(B)):
        told = net.greet(timeout=8)
    assert told == Told("unreachable", 2.5)


def test_a_clock_that_drifts_never_stands_still_at_a_deadline(net: Network) -> None:
    for rate in (0.37, 1.1, 7.3, 0.99):
        with net.simulation.apply(ClockDrift(B, rate)):
            net.simulation.rest(33.3)
            assert net.greet(timeout=60).what == GREETED
    assert net.greet().what == GREETED


def test_slow_processes_let_messages_wait_and_the_node_answers_pings(acquainted: Network) -> None:
    with acquainted.simulation.apply(SlowGuests(B, 0.5)):
        told = acquainted.greet()
        assert told.what == GREETED
        assert told.seconds % 0.5 == 0.0
        acquainted.simulation.rest(60.0)
    assert not acquainted.lines("has broken")
    assert acquainted.greet() == Told(GREETED, 0.0)


def test_a_failing_disk_changes_nothing_and_can_be_read(net: Network) -> None:
    place = Location("/home", ("file",))
    net.b.disk.put(place, b"old")
    with net.simulation.apply(FailingDisk(B)):
        failed = net.b.disk.perform(WriteAt(place, 0, b"new"))
        assert failed == ops_error()
        assert net.b.disk.perform(ReadAt(place, 0, 3)) == b"old"
    assert net.b.disk.perform(WriteAt(place, 0, b"new")) is None
    assert net.greet().what == GREETED


def ops_error() -> DiskError:
    return DiskError(DiskFault.OTHER, "Input/output error")


def test_a_step_of_the_clock_ends_no_connection(acquainted: Network) -> None:
    with acquainted.simulation.apply(ClockStep(B, 1e9)):
        assert acquainted.greet() == Told(GREETED, 0.0)
    acquainted.simulation.rest(30.0)
    assert not acquainted.lines("has broken")


def test_a_full_disk_takes_nothing_and_the_node_lives(programs: Programs) -> None:
    transfer = FileTransfer.begin(SEED, programs)
    with transfer.simulation.apply(DiskFull(RECEIVER)):
        refused = transfer.send(b"x" * 1000, "one.bin")
    assert "Done" not in refused
    assert transfer.received("one.bin") is None
    assert "Done" in transfer.send(b"x" * 1000, "two.bin")


def test_a_file_that_was_received_outlives_a_power_cut(programs: Programs) -> None:
    transfer = FileTransfer.begin(SEED, programs)
    data = transfer.random_file(300_000)
    assert "Done" in transfer.send(data)
    with transfer.simulation.apply(Unsynced(RECEIVER)):
        transfer.simulation.rest(1.0)
    assert transfer.received() == data


def test_what_was_not_synced_is_gone_after_a_power_cut(programs: Programs) -> None:
    transfer = FileTransfer.begin(SEED, programs)
    data = transfer.random_file(3_000_000)
    transfer.sender.begin_to_ask(TRANSFER, order("file.bin", transfer.share(data), "file.bin"), 600)
    transfer.simulation.run_until(lambda: "disk WriteAt" in transfer.simulation.journal[-1], 60.0)
    assert partial_files(transfer) != []
    with transfer.simulation.apply(Unsynced(RECEIVER)):
        assert partial_files(transfer) == []
    transfer.simulation.rest(10.0)
    assert "Done" in transfer.send(data)
    assert transfer.received() == data


def partial_files(transfer: FileTransfer) -> list[tuple[str, ...]]:
    """What recv.nec has of files that are not there in full."""
    simulation = transfer.simulation
    node = simulation.nodes.get(RECEIVER) or simulation.down[RECEIVER]
    return [path for path in node.disk.paths() if ".partial" in path]


def test_an_impostor_is_found_out_and_gone_at_the_end(net: Network) -> None:
    with net.simulation.apply(Impostor(B)):
        assert net.greet() == Told("bad key", 0.0)
    assert net.greet() == Told(GREETED, 0.0)
    assert f"impostor.{B}" not in {*net.simulation.nodes, *net.simulation.down}


def test_an_impostor_can_come_again(net: Network) -> None:
    for _ in range(2):
        with net.simulation.apply(Impostor(B)):
            assert net.greet() == Told("bad key", 0.0)


def test_a_replayed_connection_is_not_taken_for_the_peer(net: Network) -> None:
    with net.simulation.apply(Replay(BETWEEN)):
        net.acquainted()
        net.simulation.cut(net.a.host)
        net.simulation.rest(10.0)
        assert net.greet().what != GREETED
    net.simulation.rest(1.0)
    assert net.greet().what == GREETED


@pytest.mark.parametrize("speaks", ["bytes", "pieces", "lengths"])
def test_nonsense_reaches_no_process_and_ends_no_node(net: Network, speaks: str) -> None:
    with net.simulation.apply(Nonsense(speaks, where=Where(A, B, both=False))):  # type: ignore[arg-type]
        assert net.greet() == Told("unreachable", 5.0)
    assert net.greet() == Told(GREETED, 0.0)


def test_a_forgotten_connection_is_found_out_by_its_silence_and_the_next_one_works(acquainted: Network) -> None:
    with acquainted.simulation.apply(Loss(BETWEEN)):
        told = acquainted.greet()
        assert told.what == GREETED
        assert 20.0 <= told.seconds < SILENCE
        assert acquainted.greet() == Told(GREETED, 0.0)


# --- scope ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Partition(), Crash(B), Pause(B), Impostor(B), DiskFull(B)])
def test_a_fault_ends_with_its_block_also_when_that_raises(net: Network, fault: Fault) -> None:
    with pytest.raises(ZeroDivisionError), net.simulation.apply(fault):
        raise ZeroDivisionError
    assert net.simulation.fabric.rules == []
    net.simulation.rest(1.0)
    assert net.greet() == Told(GREETED, 0.0)
    assert not net.b.disk.full


def test_nested_faults_combine_and_end_one_by_one(acquainted: Network) -> None:
    with acquainted.simulation.apply(Latency(0.25, where=BETWEEN)):
        with acquainted.simulation.apply(Latency(0.5, where=BETWEEN)):
            assert acquainted.greet() == Told(GREETED, 1.5)
            acquainted.simulation.rest(2.0)  # what is still on its way is not overtaken
        assert acquainted.greet() == Told(GREETED, 0.5)
        acquainted.simulation.rest(2.0)
    assert acquainted.greet() == Told(GREETED, 0.0)


def test_one_fault_within_itself_holds_until_the_outer_one_ends(net: Network) -> None:
    down, hole = Crash(B), Partition(BETWEEN)
    with net.simulation.apply(down), net.simulation.apply(hole):
        with net.simulation.apply(down), net.simulation.apply(hole):
            pass
        assert B not in net.simulation.nodes
        assert len(net.simulation.fabric.rules) == 1
    assert net.greet().what == GREETED


def test_a_fault_that_is_used_again_remembers_nothing(programs: Programs) -> None:
    slow = SlowHandshake(1000.0, where=BETWEEN)
    told = []
    for _ in range(2):
        net = Network(programs)
        with net.simulation.apply(slow):
            told.append(net.greet())
    assert told[0] == told[1]


def test_the_journal_says_when_a_fault_begins_and_ends(net: Network) -> None:
    with net.simulation.apply(Pause(B)):
        net.simulation.rest(2.0)
    begins, ends = net.lines(" - fault ")
    assert json.loads(begins.split(" fault ")[1])["words"] == f"pause {B}"
    assert float(ends.split()[0]) - float(begins.split()[0]) == pytest.approx(2.0)
