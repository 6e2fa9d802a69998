"""A whole node without I/O: what it keeps, what it grants, and what no process can make it do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kernel.capabilities.revocations import Revoked
from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import MESSAGING, Capability
from kernel.contract.events import Answered
from kernel.contract.guest import Arrival, GuestConfig
from kernel.contract.message import ON_EXIT_NONE, Request
from kernel.contract.process import Remnant
from kernel.router.kernel import Kernel
from kernel.wasm.engine import Engine
from nectar_node.core.config import CoreConfig
from nectar_node.core.core import EVENTS_AT_ONCE, NodeCore
from nectar_node.core.kept import KeptState, decode_untrusted
from nectar_node.packages.boot import Boot
from nectar_node.packages.manifest import Package, read_package
from nectar_node.packages.reboot import KeptPackage
from nectar_node.peers.grant_rows import KeptGrants
from nectar_node.storage.database import STORE_FILE
from nectar_node.storage.operations import Location
from nectar_node.system.terminal import FAILED
from net.contract.events import Log
from net.names.directory import RegistrarDirectory
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig
from testnet.faults.refusal import Refusal
from testnet.model.where import Where
from testnet.sim.simulation import REGISTRAR, SimNode, Simulation
from tests.conformance.lab import PROBE, SimLab, SimProbe
from tests.conformance.steps import TRAP, blob, capability, respond, send, wait_for

OUR = "one.nec"
ECHO = Path(__file__).resolve().parents[3] / "packages" / "echo" / "pkg" / "echo.wasm"
SEED = 7
EVERYTHING = tuple(f"{name}:distro:sys" for name in ("kernel", "vfs", "state", "net", "timer"))


@pytest.fixture
def lab(replayable: Engine, tmp_path: Path) -> SimLab:
    return SimLab(replayable, tmp_path, 1)


def write_package(folder: Path, *entries: dict[str, object]) -> Path:
    """A package whose processes all run the echo."""
    folder.mkdir()
    shutil.copy(ECHO, folder / "echo.wasm")
    (folder / "manifest.json").write_text(json.dumps([{"process_wasm_path": "/echo.wasm", **each} for each in entries]))
    return folder


def install(node: SimNode, simulation: Simulation, package: Package) -> None:
    node.core.install(package, None, simulation.now)
    node.go_on()
    simulation.rest(0.0)


def may_message(kernel: Kernel, holder: str, target: str) -> bool:
    return kernel.grants.may_message(ProcessId.parse(holder), Address(OUR, ProcessId.parse(target)))


def test_g21_a_package_that_is_installed_again_has_granted_what_its_manifest_says(
    replayable: Engine, tmp_path: Path
) -> None:
    entries: tuple[dict[str, object], ...] = (
        {"process_name": "a", "grant_capabilities": ["b:app:local"]},
        {"process_name": "b"},
    )
    folder = write_package(tmp_path / "app", *entries)
    simulation = Simulation(SEED, replayable)
    node = simulation.add(OUR, (folder,))
    simulation.settle()
    for _ in range(2):
        assert may_message(node.core.kernel, "b:app:local", "a:app:local")
        assert not may_message(node.core.kernel, "a:app:local", "b:app:local")
        install(node, simulation, read_package(folder, OUR))
    assert may_message(node.core.kernel, "b:app:local", "a:app:local")


def test_a_node_has_its_name_when_the_registrars_disk_has_the_record(replayable: Engine) -> None:
    simulation = Simulation(SEED, replayable)
    disk = simulation.nodes[REGISTRAR].disk
    disk.capacity = 0
    node = simulation.add("a.nec")
    simulation.run_until(lambda: "net: registration: record not kept, next try in 5 s" in node.log, 10.0)
    assert not node.joined
    disk.capacity = 1 << 20
    simulation.settle()
    simulation.crash(REGISTRAR)
    kept = decode_untrusted(disk.open_store(REGISTRAR), REGISTRAR).names
    assert [record.name for record in kept.of(simulation.genesis.public_key)] == ["a.nec"]


def test_what_a_peer_leaves_behind_by_the_thousand_is_passed_on_a_part_at_a_time_in_order(replayable: Engine) -> None:
    simulation = Simulation(SEED, replayable)
    node = simulation.add(OUR)
    simulation.settle()
    core, events = node.core, node.core.network.events
    events.extend(Log(f"peer {number}") for number in range(3 * EVENTS_AT_ONCE + 1))
    core.settle(simulation.now)
    assert len(events) == 2 * EVENTS_AT_ONCE + 1
    assert core.next_deadline() == simulation.now
    node.go_on()
    simulation.rest(0.0)
    assert not events
    assert [line for line in node.log if "peer " in line] == [
        f"net: peer {number}" for number in range(3 * EVENTS_AT_ONCE + 1)
    ]


def test_what_happens_within_one_turn_comes_to_rest_at_its_end_in_order(replayable: Engine) -> None:
    simulation = Simulation(SEED, replayable)
    node = simulation.add(OUR)
    simulation.settle()
    for token in ("first", "second"):
        node.core.inject(Address.parse("our@no:body:sys"), Request(False, 5, b""), None, token, simulation.now)
    actions = node.core.settle(simulation.now)
    assert [each.token for each in actions if isinstance(each, Answered)] == ["first", "second"]
    assert node.core.settle(simulation.now) is actions, "the queue that the driver empties"


def test_g21_a_package_that_names_itself_like_the_system_starts_nothing(replayable: Engine, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "distro:sys", {"process_name": "vfs"})
    simulation = Simulation(SEED, replayable)
    node = simulation.add(OUR, (folder,))
    simulation.settle()
    assert node.core.kernel.processes == {}
    assert [line for line in node.log if "a system process's" in line]


# --- what survives a reboot, and what does not ----------------------------------------------------------------------


def booted(kept: KeptState, simulation: Simulation) -> NodeCore:
    """A core that has found this in its store, and has booted without a package."""

    def no_guest(address: Address) -> GuestConfig:
        raise AssertionError(address)

    directory = RegistrarDirectory(simulation.genesis)
    chance = simulation.chance("reboot")
    network = Network(Identity(OUR, bytes(32)), directory, NetworkConfig(), chance.randbytes, 0.0)
    roots = ("vfs", simulation.genesis.public_key, Location("node", (STORE_FILE,)), "code")
    core = NodeCore(CoreConfig(OUR, *roots, lambda: 1, no_guest, kept=kept), network)
    core.boot(Boot(), 0.0)
    return core


def test_g21_whoever_gets_the_name_of_one_that_ran_before_has_no_right_to_what_it_held(replayable: Engine) -> None:
    """That is, if it does not run again."""
    ran, script = ProcessId.parse("a:probes:sys"), ProcessId.parse("17:probes:sys")
    timer = Capability(Address(OUR, ProcessId.parse("timer:distro:sys")), MESSAGING)
    grants = KeptGrants(dict.fromkeys((ran, script), ((timer,), ())), Revoked(1, 0, (), ()), {})
    remnant = Remnant(ran, "0" * 64, "", ON_EXIT_NONE, True, None, (), True, None, None, 0)
    packages = {ran.package_id: KeptPackage("digest", "/folder", None, True)}
    core = booted(KeptState(grants, processes=(remnant,), packages=packages), Simulation(SEED, replayable))
    assert core.kernel.grants.of(ran) == (timer,)
    assert core.kernel.grants.of(script) == ()
    assert core.not_running == {ran: "probes:sys is not among the packages of this boot"}


# --- scripts, which may get the user's rights -----------------------------------------------------------------------


def run(node: SimNode, simulation: Simulation, line: str) -> tuple[str, str | None]:
    """Body and metadata of what a script's line is answered."""
    token = node.begin_script(line, 5)
    simulation.run_until(lambda: node.answer(token) is not None, simulation.now + 10)
    answer = node.answer(token)
    assert isinstance(answer, Arrival), answer
    return answer.message.body.decode(), answer.message.metadata


def put_script(node: SimNode, package: str) -> None:
    """Lay a script that asks for everything into a drive, as a process may that sees its drives as a folder."""
    for file, data in (("scripts.json", b'{"tool.wasm": {"root": true}}'), ("tool.wasm", ECHO.read_bytes())):
        node.disk.put(Location(f"{OUR}/vfs", (package, "pkg", file)), data)


def test_g21_no_script_that_a_process_has_written_gets_the_users_rights(replayable: Engine) -> None:
    simulation = Simulation(SEED, replayable)
    node = simulation.add(OUR)
    simulation.settle()
    put_script(node, "evil:local")
    sentence = f"evil:local has no scripts, or is not installed on {OUR}."
    assert run(node, simulation, "tool:evil:local") == (sentence, FAILED)
    assert node.core.kernel.processes == {}


def test_g21_the_scripts_of_an_installed_package_and_their_code_lie_in_its_folder_alone(
    replayable: Engine, tmp_path: Path
) -> None:
    folder = write_package(tmp_path / "evil", {"process_name": "main"})
    simulation = Simulation(SEED, replayable)
    node = simulation.add(OUR, (folder,))
    simulation.settle()
    put_script(node, "evil:local")
    sentence = f"evil:local has no scripts, or is not installed on {OUR}."
    assert run(node, simulation, "tool:evil:local") == (sentence, FAILED)
    place = str(node.core.packages[PackageId("evil", "local")].folder)
    node.disk.put(Location(place, ("scripts.json",)), b'{"tool.wasm": {"root": true}}')
    sentence = "tool:evil:local cannot be started from /tool.wasm: there is no such file."
    assert run(node, simulation, "tool:evil:local") == (sentence, FAILED)


# --- system processes, reached by real guests -----------------------------------------------------------------------

KERNEL = "our@kernel:distro:sys"
VFS = "our@vfs:distro:sys"


def answers(probe: SimProbe, target: str, *requests: object) -> list[str | None]:
    """What a probe is answered to these, asked one after the other."""
    before = len(probe.seen("response"))
    bodies = [request if isinstance(request, str) else json.dumps(request) for request in requests]
    probe.ask(*(wait_for(target, body, expects=5) for body in bodies), respond())
    return [each.body for each in probe.seen("response")[before:]]


def on_drive(path: str, action: object) -> dict[str, object]:
    return {"path": f"/probes:sys/{path}", "action": action}


def test_a_guest_reads_what_it_has_written_to_its_drive_and_the_nodes_user_too(lab: SimLab) -> None:
    probe = lab.probe("a", capabilities=EVERYTHING)
    assert answers(probe, VFS, on_drive("d", "CreateDrive")) == ['"Ok"']
    probe.ask(wait_for(VFS, json.dumps(on_drive("d/f", "Write")), expects=5, blob=blob("hello")), respond())
    assert answers(probe, VFS, on_drive("d/f", {"Seek": {"Start": 1}}), on_drive("d/f", "ReadToString")) == [
        '{"SeekFrom":{"new_offset":1}}',
        '{"ReadToString":"ello"}',
    ]
    assert f'{probe.node.name}@vfs:distro:sys {{"drive":"/probes:sys/d","kind":"write"}}' in probe.held()
    body = json.dumps({"path": "/any:body/d", "action": "CreateDrive"}).encode()
    answer = lab.our.ask(VFS, body, 5)
    assert isinstance(answer, Arrival)
    assert answer.message.body == b'"Ok"'


def test_g23_a_folder_deeper_than_any_stack_does_not_end_the_node(replayable: Engine, tmp_path: Path) -> None:
    lab = SimLab(replayable, tmp_path, 1)
    probe = lab.probe("a", capabilities=EVERYTHING)
    answers(probe, VFS, on_drive("d", "CreateDrive"))
    (refused,) = answers(probe, VFS, on_drive("d" + "/a" * 1500, "CreateDirAll"))
    assert refused is not None
    assert "ParseError" in refused
    assert answers(probe, VFS, on_drive("d", "RemoveDirAll")) == ['"Ok"']


def test_g23_what_waits_in_the_timer_ends_with_its_process(lab: SimLab) -> None:
    probe = lab.probe("a")
    other = lab.probe("b")
    probe.begin(send("our@timer:distro:sys", '{"SetTimer":50000}', expects=60))
    lab.rest()
    assert answers(other, "our@timer:distro:sys", '"Debug"') == ['{"Debug":{"running":1}}']
    lab.kill(probe)
    assert answers(other, "our@timer:distro:sys", '"Debug"') == ['{"Debug":{"running":0}}']


def test_g22_a_guest_that_starts_again_begins_at_the_beginning_of_its_files(lab: SimLab) -> None:
    probe = lab.probe("a", capabilities=EVERYTHING, on_exit="Restart")
    answers(probe, VFS, on_drive("d", "CreateDrive"))
    probe.ask(wait_for(VFS, json.dumps(on_drive("d/f", "Write")), expects=5, blob=blob("hello")), respond())
    assert answers(probe, VFS, on_drive("d/f", "ReadToString")) == ['{"ReadToString":"hello"}']
    probe.tell(TRAP)
    assert answers(probe, VFS, on_drive("d/f", "ReadToString")) == ['{"ReadToString":"hello"}']
    assert probe.node.core.kernel.lifecycle.restarts(probe.id) == 1


def test_g18_a_guest_without_its_capability_reaches_no_system_process_but_the_timer(lab: SimLab) -> None:
    probe = lab.probe("a")
    for name in ("kernel", "vfs", "state", "net"):
        probe.ask(wait_for(f"our@{name}:distro:sys", '"Debug"', expects=5), respond())
    assert [each.failure for each in probe.seen("error")] == ["timeout"] * 4
    assert answers(probe, "our@timer:distro:sys", {"SetTimer": 10}) == [""]


def initialize(probe: SimProbe, name: str, **more: object) -> str | None:
    """Have a probe initialize another, with the code that the user hands it."""
    fields = {"id": f"{name}:probes:sys", "on_exit": "None", "initial_capabilities": [], "public": True} | more
    body = json.dumps({"InitializeProcess": fields})
    code = PROBE.read_bytes()
    before = len(probe.seen("response"))
    probe.ask(wait_for(KERNEL, body, expects=5, inherit=True), respond(), blob=code)
    (answer,) = probe.seen("response")[before:]
    return answer.body


def test_g4_a_guest_makes_another_which_gets_what_came_before_it_ran_in_order(lab: SimLab) -> None:
    parent = lab.probe("a", capabilities=EVERYTHING)
    assert initialize(parent, "child") == '"InitializedProcess"'
    child = parent.child("child")
    parent.ask(send(child, "first"), send(child, "second"), respond())
    assert child.bodies() == []
    assert answers(parent, KERNEL, {"RunProcess": "child:probes:sys"}) == ['"StartedProcess"']
    assert child.bodies() == ["first", "second"]
    assert answers(parent, KERNEL, {"KillProcess": "child:probes:sys"}) == ['{"KilledProcess":"child:probes:sys"}']
    assert not child.running


def test_g21_a_guest_mints_nothing_by_the_kernel(lab: SimLab) -> None:
    parent = lab.probe("a", network=False, capabilities=("kernel:distro:sys",))
    root = {"issuer": VFS, "params": '{"root":true}'}
    network = {"issuer": KERNEL, "params": '"network"'}
    kernel = {"issuer": KERNEL, "params": '"messaging"'}
    initialize(parent, "child", initial_capabilities=[root, network, kernel])
    assert parent.child("child").held() == [f'{lab.our.name}@kernel:distro:sys "messaging"']
    granted = {"GrantCapabilities": {"target": "a:probes:sys", "capabilities": [root, network]}}
    assert answers(parent, KERNEL, granted) == ['"Ok"']
    assert not [each for each in parent.held() if "root" in each or "network" in each]
    assert initialize(parent, "x", id="vfs:distro:sys") == '"InitializeProcessError"'
    assert initialize(parent, "x", id="main:app_store:sys") == '"InitializeProcessError"'


def test_a_guest_that_may_has_the_node_shut_down(lab: SimLab) -> None:
    probe = lab.probe("a", capabilities=EVERYTHING)
    assert answers(probe, KERNEL, '"Shutdown"') == ['"Ok"']
    assert lab.simulation.down == {lab.our.name: lab.our}


def test_g21_a_guest_reaches_its_own_state_by_message_and_no_others(lab: SimLab) -> None:
    probe = lab.probe("a", capabilities=EVERYTHING)
    set_state = wait_for("our@state:distro:sys", '{"SetState":"a:probes:sys"}', expects=5, blob=blob("mine"))
    probe.ask(set_state, respond())
    assert probe.kept_state() == b"mine"
    assert answers(probe, "our@state:distro:sys", {"GetState": "b:probes:sys"}) == [
        '{"Err":{"BadRequest":{"error":"a process uses its own state alone"}}}'
    ]


def test_a_guest_says_hello_to_another_node_which_shows_it_and_tells_it_nothing(
    replayable: Engine, tmp_path: Path
) -> None:
    lab = SimLab(replayable, tmp_path, 2)
    probe = lab.probe("a", capabilities=EVERYTHING)
    there = f"{lab.other.name}@net:distro:sys"
    assert answers(probe, there, "hello you\n", "GetPeers") == ["ack", "ack"]
    assert f"net: {OUR}: hello you\\n" in lab.other.log
    (peer,) = answers(probe, "our@net:distro:sys", {"GetPeer": lab.other.name})
    assert peer is not None
    assert peer.startswith('{"Peer":{"name":"two.nec","state":"up","router":null')


def test_g20_a_capability_that_comes_before_its_receiver_has_been_started_is_not_lost(
    replayable: Engine, tmp_path: Path
) -> None:
    lab = SimLab(replayable, tmp_path, 1)
    folder = write_package(tmp_path / "late", {"process_name": "b", "request_networking": True, "public": True})
    shutil.copy(PROBE, folder / "echo.wasm")
    lab.simulation.add("late.nec", (folder,))
    lab.rest()
    probe = lab.probe("a")
    given = capability(probe, '"right"')
    lab.simulation.inject(Refusal(Where(REGISTRAR)))
    receiver = SimProbe(lab, lab.simulation.restart("late.nec"), "b:late:local")
    probe.tell(send(receiver, "for you", capabilities=[given]))
    assert not receiver.running
    lab.rest()
    (seen,) = receiver.seen("request")
    assert (seen.body, seen.capabilities) == ("for you", [given])


def test_g18_no_other_system_process_is_there_for_other_nodes(replayable: Engine, tmp_path: Path) -> None:
    lab = SimLab(replayable, tmp_path, 2)
    probe = lab.probe("a", capabilities=EVERYTHING)
    for name in ("kernel", "vfs", "state", "timer"):
        probe.ask(wait_for(f"{lab.other.name}@{name}:distro:sys", '"Shutdown"', expects=5), respond())
    assert [each.failure for each in probe.seen("error")] == ["timeout"] * 4
    assert not lab.simulation.down
