"""What guests of each interface get from system processes, on a simulated node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kernel.contract.address import Address
from kernel.contract.events import Inject
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Request
from kernel.wasm.canonical.wit import INTERFACES
from nectar_node.base.system_processes import TERMINAL
from nectar_node.contract.generations import ERRORS, Form
from nectar_node.system.processes import MAX_TOLD
from testnet.sim.node import NodeSpec
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.kernel.wasm.puppet import Script, dumped
from tests.nectar_node.cli.real_node import PACKAGES
from tests.nectar_node.puppet_guest import EARLY, LATE, NODE, PuppetGuest

ECHO = PACKAGES / "echo" / "pkg" / "echo.wasm"
OWN, THEIRS = "guest:x.nec/d", "other:x.nec/d"
ASKS: list[object] = ["vfs:distro:sys", "net:distro:sys", "kernel:distro:sys", "eth:distro:sys"]
Start = Callable[..., PuppetGuest]


@pytest.fixture
def start(tmp_path: Path, nectar_programs: Programs) -> Start:
    def started(module: str, *more: object) -> PuppetGuest:
        return PuppetGuest(tmp_path, nectar_programs, module, [*ASKS, *more])

    return started


def test_every_interface_has_a_form_for_every_error() -> None:
    for process, generations in ERRORS.items():
        assert generations.keys() == {each.generation for each in INTERFACES.values()}, process
        kinds = {frozenset(errors.forms) for errors in generations.values()}
        assert len(kinds) == 1, process
        for errors in generations.values():
            for form in errors.forms.values():
                forms = (form,) if isinstance(form, Form) else tuple(form.values())
                assert all(json.dumps(each.write({})) for each in forms)


@pytest.mark.parametrize("module", EARLY + LATE)
def test_a_guest_of_each_interface_finds_files_by_paths_without_a_slash(start: Start, module: str) -> None:
    guest, late = start(module), module in LATE

    def vfs(path: str, action: object, blob: bytes | None = None) -> object:
        return guest.ask("vfs", {"path": path, "action": action}, blob)

    assert vfs(OWN, "CreateDrive") == "Ok"
    assert vfs(f"{OWN}/ui", "CreateDir") == "Ok"
    assert vfs(f"{OWN}/ui/index.html", "Write", b"hello") == "Ok"
    entry = {"path": f"{OWN}/ui/index.html", "file_type": "File"}
    assert vfs(f"/{OWN}/ui", "ReadDir") == {"ReadDir": [entry]} == vfs(f"{OWN}/ui", "ReadDir")
    assert vfs(f"{OWN}/ui", {"Rename": {"new_path": f"{OWN}/web"}}) == "Ok"
    seek, sought = ({"Start": 2}, {"new_offset": 2}) if late else ({"seek_from": {"Start": 2}}, 2)
    assert vfs(f"{OWN}/web/index.html", {"Seek": seek}) == {"SeekFrom": sought}
    assert vfs(f"{OWN}/web/index.html", {"ReadExact": {"length": 2} if late else 2}) == "Read"
    assert vfs(f"{OWN}/web/index.html", {"SetLen": 3}) == "Ok"
    metadata = vfs(f"{OWN}/web/index.html", "Metadata")
    assert isinstance(metadata, dict)
    assert metadata["Metadata"].items() >= {"file_type": "File", "len": 3}.items()
    refused = {"NoCap": {"action": "read", "path": THEIRS}}
    assert vfs(THEIRS, "ReadDir") == {"Err": "NoReadCap" if late else refused}
    missing = "No such file or directory (os error 2)"
    assert vfs(f"{OWN}/no", "Read") == {"Err": {"IOError": missing} if late else {"NotFound": {"path": f"{OWN}/no"}}}


@pytest.mark.parametrize("module", [EARLY[0], LATE[0]])
def test_an_app_store_of_each_interface_makes_another_packages_drive_and_passes_on_its_capabilities(
    start: Start, module: str
) -> None:
    guest = start(module, {"process": "vfs:distro:sys", "params": {"root": True}})
    assert guest.ask("vfs", {"path": THEIRS, "action": "CreateDrive"}) == "Ok"
    held = {each.params for each in guest.node.core.kernel.grants.of(Address.parse(f"{NODE}@{guest.id}").process)}
    assert held > {f'{{"drive":"/{THEIRS}","kind":"{kind}"}}' for kind in ("read", "write")}


@pytest.mark.parametrize("path", ["guest.wasm", "guest:x.nec/pkg/guest.wasm", "/guest:x.nec/pkg/guest.wasm"])
def test_g25_a_guest_spawns_from_a_path_without_its_slash_and_the_child_runs_again(start: Start, path: str) -> None:
    guest = start(LATE[0])
    script = Script(guest.interface)
    script.call("spawn", "child", path, (0, None), (), (), False, slot=0)
    answer = guest.node.ask(f"our@{guest.id}", script.dump().body(), 60)
    spawned = dumped(answer.message.body, script.function("spawn"), 0)  # type: ignore[union-attr]
    assert spawned == (0, ("child", "guest", "x.nec"))
    guest.lab.wait(lambda: guest.node.core.kept, 60.0)
    guest.restart()
    assert {str(each) for each in guest.node.core.kernel.processes} == {guest.id, "child:guest:x.nec"}


@pytest.mark.parametrize("module", EARLY + LATE)
def test_a_guest_of_each_interface_is_told_at_once_that_there_is_no_chain(start: Start, module: str) -> None:
    guest = start(module)
    before = guest.lab.now
    assert guest.ask("eth", {"Request": {"chain_id": 10, "method": "eth_chainId", "params": []}}) == {
        "Err": "NoRpcForChain"
    }
    assert guest.ask("eth", "GetProviders") == "PermissionDenied"
    assert guest.ask("weather", {"Today": None}) == {"Err": "this node has no weather:distro:sys"}
    assert guest.lab.now - before < 1.0
    process = Address.parse(f"{NODE}@{guest.id}").process
    held = {str(each.issuer.process) for each in guest.node.core.kernel.grants.of(process)}
    assert held == {"vfs:distro:sys", "net:distro:sys", "kernel:distro:sys"}
    assert len([line for line in guest.node.log if "which this node does not have" in line]) == 2


def test_g23_a_guest_that_calls_thousands_of_unknown_names_leaves_nothing_behind_and_others_are_served(
    start: Start,
) -> None:
    guest = start(LATE[0])
    for batch in range(10):
        script = Script(guest.interface)
        names = [f"n{batch}-{number}" for number in range(1000)]
        requests = [((NODE, (name, "distro", "sys")), (False, None, b"{}", None, ()), None, None) for name in names]
        script.call("send-requests", requests)
        assert isinstance(guest.node.ask(f"our@{guest.id}", script.dump().body(), 60), Arrival)
    assert guest.ask("eth", {"UnsubscribeLogs": 1}) == {"Err": "NoRpcForChain"}
    kernel = guest.node.core.kernel
    assert (len(kernel.outstanding), guest.node.core.dead_letters.count) == (0, 0)
    assert len([line for line in guest.node.log if "which this node does not have" in line]) == MAX_TOLD


def test_g19_other_nodes_reach_a_stand_in_as_any_process_if_it_may_use_the_network_and_nobody_else_under_its_name(
    tmp_path: Path, nectar_programs: Programs
) -> None:
    lab = Simulation(1, nectar_programs)
    for name in ("open.nec", "closed.nec", "bare.nec", "asks.nec"):
        lab.boot_node(NodeSpec(name))
        lab.wait(lambda name=name: lab.ready(name), 60.0)  # type: ignore[misc]
    for name, networking in (("open.nec", True), ("closed.nec", False)):
        source = tmp_path / name / "distro:sys"
        source.mkdir(parents=True)
        shutil.copy(ECHO, source / "echo.wasm")
        entry = {"process_name": "eth", "process_wasm_path": "echo.wasm", "request_networking": networking}
        (source / "manifest.json").write_text(json.dumps([entry]))
        node = lab.nodes[name]
        node.install(source, stands_in=True)
        lab.wait(lambda node=node: len(node.core.kernel.processes) == 1, 60.0)  # type: ignore[misc]
    lab.wait(lambda: lab.nodes["open.nec"].core.kept, 60.0)
    lab.restart("open.nec")
    lab.wait(lambda: lab.ready("open.nec"), 60.0)
    outcomes = [
        lab.nodes["asks.nec"].ask(f"{node}@eth:distro:sys", b"hi", 10)
        for node in ("open.nec", "closed.nec", "bare.nec")
    ]
    assert isinstance(outcomes[0], Arrival)
    assert (outcomes[0].message.body, str(outcomes[0].source)) == (b"hi", "open.nec@eth:distro:sys")
    assert all(isinstance(each, Failure) for each in outcomes[1:])


@pytest.mark.parametrize("module", [EARLY[1], LATE[1]])
def test_an_indexer_of_names_goes_on(start: Start, module: str) -> None:
    guest = start(module)
    update = ["a.os", "0x00", ["127.0.0.1"], {"ws": 9000}, []]
    for action in ("KnsUpdate", "KnsBatchUpdate", "HnsBatchUpdate"):
        body = msgspec.msgpack.encode({action: [update] * 1000})
        answer, _ = guest.send(("net", "distro", "sys"), body)
        assert "Err" in msgspec.msgpack.decode(answer)
    peers, _ = guest.send(("net", "distro", "sys"), msgspec.msgpack.encode("GetPeers"))
    ((name, key, routing),) = msgspec.msgpack.decode(peers)["Peers"]
    assert (name, key[:2], routing) == ("registrar.nec", "0x", {"Direct": ["registrar.nec", {"tcp": 9000}]})


@pytest.mark.parametrize("module", [EARLY[0], EARLY[2], LATE[1]])
def test_the_kernel_shows_processes_to_who_waits_for_it_and_in_the_log_otherwise(start: Start, module: str) -> None:
    guest = start(module)
    shown = guest.ask("kernel", {"Debug": "ProcessMap"})["Debug"]["ProcessMap"][guest.id]
    assert (shown["on_exit"], shown["public"], shown["wit_version"]) == ("None", False, None)
    for question in (
        "ProcessMap",
        {"Process": guest.id},
        {"HasCap": {"on": guest.id, "cap": shown["capabilities"][0]}},
    ):
        before = len(guest.node.log)
        request = Request(False, None, json.dumps({"Debug": question}).encode())
        kernel = Address.parse(f"{NODE}@kernel:distro:sys")
        guest.node.core.machine.handle(Inject(TERMINAL, kernel, request, None, None), guest.lab.now)
        guest.node.go_on()
        (line,) = guest.node.log[before:]
        assert "has the kernel show" in line
