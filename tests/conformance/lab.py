"""Where the promises are shown: nodes that run probes, in virtual time or as processes of this machine.

The same test body runs in each lab. `SimLab` is whole node cores in virtual time, one or two of them, real guests and,
between two, real Noise sessions; its times are exact. `SocketLab` is two real nodes over TCP on loopback.
"""

from __future__ import annotations

import json
import math
import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival
from kernel.contract.message import LazyLoadBlob, Reason, Request
from kernel.contract.process import Process
from kernel.wasm.engine import Engine
from nectar_node.base.consent import EVERYTHING
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.storage.operations import ReadState
from net.base.ciphers import Cipher
from testnet.real.local import LocalTestnet
from testnet.sim.node import store_file
from testnet.sim.simulation import LinkBehaviour, NodeSpec, SimNode, Simulation
from tests.conformance.steps import Step, script

OUR = "one.nec"
THEIR = "two.nec"
THIRD = "three.nec"
PACKAGE = "probes:sys"
PROBE = Path(__file__).resolve().parents[1] / "guests" / "probe.wasm"
SEED = 20261124
PATIENCE = 60
"""Seconds in which an answer is there, unless the test says otherwise."""
SOCKET_NAMES = "abcd"


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that a probe saw, as it tells it; see probe.zig."""

    kind: str
    source: str | None = None
    body: str | None = None
    size: int = 0
    context: str | None = None
    metadata: str | None = None
    mime: str | None = None
    blob: str | None = None
    blob_size: int = 0
    inherit: bool = False
    expects: int | None = None
    failure: str | None = None
    capabilities: list[dict[str, str]] = field(default_factory=list)
    at: float | None = None
    """The virtual time, where there is one."""


_FIELDS = frozenset(each.name for each in fields(Seen))


def _seen(value: dict[str, Any], at: float | None = None) -> Seen:
    assert value.keys() <= _FIELDS, value
    return Seen(**value, at=at)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the node's user was answered."""

    kind: str
    """response, offline or timeout."""
    body: str = ""
    at: float | None = None


def _lay_down(folder: Path) -> None:
    """What the package of probes is made of, without its manifest."""
    shutil.copy(PROBE, folder / PROBE.name)
    name, _, publisher = PACKAGE.partition(":")
    (folder / "metadata.json").write_text(json.dumps({"package": name, "publisher": publisher}))


class Probe(Protocol):
    """One probe in one lab."""

    address: str
    """What others send to."""

    def ask(self, *steps: Step, timeout: int = PATIENCE) -> Outcome:
        """Have it run these, in the name of the node's user, who waits for an answer."""

    def seen(self, kind: str | None = None) -> list[Seen]:
        """What it has seen so far, of one kind or all, in order."""


class Lab(Protocol):
    """Nodes that run probes."""

    def probe(self, name: str, *, far: bool = False) -> Probe:
        """A public probe that may use the network; `far`: on the other node, if the lab has one."""


# --- virtual time ---------------------------------------------------------------------------------------------------


class SimLab:
    """One to three nodes in virtual time."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        nodes: int,
        behaviour: LinkBehaviour | None = None,
        cipher: Cipher = Cipher.AES_GCM,
        versions: tuple[int | None, ...] = (None,) * 3,
    ) -> None:
        """`cipher` is what all its nodes list; `versions`: the newest version of the frames that each speaks."""
        self.simulation = Simulation(SEED, engine, behaviour)
        # What guests hold no garbage collector sees: tens of megabytes each, with an interpreter in them.
        self.close = weakref.finalize(self, self.simulation.close)
        """End the nodes; happens by itself when nothing refers to the lab any more."""
        self.folder = folder / PACKAGE.partition(":")[0]
        self.folder.mkdir()
        _lay_down(self.folder)
        # Each stays on its machine: a node that moves to another one may be dialed twice, and logs why.
        named = zip((OUR, THEIR, THIRD)[:nodes], versions, strict=False)
        specs = [NodeSpec(name, cipher=cipher.value, frames_version=version) for name, version in named]
        self.nodes = [self.simulation.boot_node(spec) for spec in specs]
        self.simulation.settle()
        self.rest()

    @property
    def now(self) -> float:
        """Virtual seconds; whole ones between steps of a test, so that sums of them are exact."""
        return self.simulation.now

    @property
    def our(self) -> SimNode:
        """The node where a test begins."""
        return self.nodes[0]

    @property
    def other(self) -> SimNode:
        """The node where `far` probes run; with one node, that one."""
        return self.nodes[-1]

    def probe(
        self,
        name: str,
        *,
        far: bool = False,
        on: int | None = None,
        public: bool = True,
        network: bool = True,
        on_exit: str = "None",
        capabilities: tuple[object, ...] = (),
        grants: tuple[str, ...] = (),
        path: str = "/probe.wasm",
        settles: bool = True,
    ) -> SimProbe:
        """Start a probe as a package's manifest would, on the node of number `on` if that is given. `settles`: wait
        until all that it does at first is done."""
        entry = {
            "process_name": name,
            "process_wasm_path": path,
            "on_exit": on_exit,
            "request_networking": network,
            "request_capabilities": list(capabilities),
            "grant_capabilities": list(grants),
            "public": public,
        }
        node = self.nodes[on] if on is not None else self.other if far else self.our
        (self.folder / "manifest.json").write_text(json.dumps([entry]))
        node.install(self.folder, whole=False)
        if settles:
            self.rest()
        return SimProbe(self, node, name)

    def upgrade(self, *names: str) -> None:
        """Start another version of the package, which has these probes, in place of all that runs of it."""
        entries = [{"process_name": name, "process_wasm_path": "/probe.wasm", "public": True} for name in names]
        (self.folder / "manifest.json").write_text(json.dumps(entries))
        self.our.install(self.folder)
        self.rest()

    def file(self, name: str, data: bytes) -> None:
        """Add a file to the package; there from the next `probe` on."""
        (self.folder / name).write_bytes(data)

    def until(self, time: float) -> None:
        """Let everything happen that happens before `time`."""
        reached: list[bool] = []
        self.simulation.schedule(time, lambda: reached.append(True))
        self.simulation.run_until(lambda: bool(reached), math.inf)

    def rest(self, seconds: int = 3) -> None:
        """Let what was begun come to rest: to a whole second, at least 2 from now (messages take milliseconds)."""
        self.until(math.floor(self.now) + seconds)

    def wait(self, done: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Let things happen until `done`."""
        self.simulation.run_until(done, self.now + seconds)

    def crank(self, polls: int, node: SimNode | None = None) -> None:
        """Let the guests of a node run for so many polls, where one of them would never come to rest."""
        node = node or self.our
        node.core.run(self.now, polls)
        node._carry_out()

    def take_down(self, name: str) -> SimNode:
        """A node goes off the net without a word: nobody listens there any more."""
        node = self.simulation.nodes.pop(name)
        self.cut(node)
        return node

    def cut(self, node: SimNode | None = None) -> None:
        """Break all connections of a node."""
        self.simulation.fabric.cut(node or self.other)

    def replace_by_impostor(self, name: str) -> None:
        """Another node answers where that one was, under its name, with another key."""
        self.take_down(name)
        self.simulation.boot_node(NodeSpec(name, key="another", registers=False))

    def reboot(self, *, power: bool = False) -> None:
        """Crash the node where a test begins, or with `power` its machine, and boot it again."""
        if power:
            self.simulation.cut_power(self.our.host)
            self.nodes[0] = self.simulation.start(self.our.host)
        else:
            self.nodes[0] = self.simulation.restart(self.our.host)
        self.rest()

    def kill(self, probe: SimProbe) -> None:
        """End it as the node's user does."""
        probe.node.core.kill(probe.id, self.now)
        probe.node.go_on()
        self.rest()

    def dead(self, node: SimNode | None = None) -> list[Reason]:
        """Why messages reached nobody on a node, in order."""
        return [letter.reason for letter in (node or self.our).core.dead_letters.latest]


class SimProbe:
    """A probe on a node in virtual time."""

    def __init__(self, lab: SimLab, node: SimNode, name: str) -> None:
        self.lab = lab
        self._node = node
        self.id = ProcessId.parse(f"{name}:{PACKAGE}" if ":" not in name else name)
        self.address = str(Address(node.name, self.id))

    def __str__(self) -> str:
        return self.address

    @property
    def node(self) -> SimNode:
        """Its node, since the latest boot."""
        return self.lab.simulation.nodes.get(self._node.host, self._node)

    def child(self, name: str) -> SimProbe:
        """A process that this one has spawned."""
        return SimProbe(self.lab, self.node, name)

    def ask(self, *steps: Step, timeout: int = PATIENCE, blob: bytes | None = None) -> Outcome:
        """As `Probe.ask`; the user's own blob goes with it."""
        answer = self.node.ask(self.address, script(*steps), timeout, blob)
        now = self.lab.now
        self.lab.rest()
        if isinstance(answer, Arrival):
            return Outcome("response", answer.message.body.decode(), now)
        return Outcome(answer.error.kind.name.lower(), answer.error.reason.value, now)

    def begin(self, *steps: Step, blob: LazyLoadBlob | None = None) -> float:
        """Have it run these, where nobody waits for an answer, without letting time pass; the time."""
        self.inject(script(*steps), blob)
        self.node.go_on()
        return self.lab.now

    def tell(self, *steps: Step, blob: LazyLoadBlob | None = None) -> float:
        """The same, and let it come to rest; the time at which it began."""
        began = self.begin(*steps, blob=blob)
        self.lab.rest()
        return began

    def say(self, text: str) -> None:
        """Send it a plain message of the user, which nobody waits for, and let it come to rest."""
        self.inject(text.encode())
        self.node.go_on()
        self.lab.rest()

    def inject(self, body: bytes, blob: LazyLoadBlob | None = None) -> None:
        """Put a request of the user into its inbox; it has not run yet."""
        request = Request(False, None, body)
        self.node.core.inject(Address.parse(self.address), request, blob, None, self.lab.now)

    def seen(self, kind: str | None = None) -> list[Seen]:
        """As `Probe.seen`; from what it printed, so that asking changes nothing."""
        prefix = f" {self.node.name} log {self.id}: saw "
        rows = [line.partition(prefix) for line in self.lab.simulation.journal if prefix in line]
        found = [_seen(json.loads(text), float(time)) for time, _, text in rows]
        return [each for each in found if kind is None or each.kind == kind]

    def bodies(self, kind: str = "request") -> list[str | None]:
        """Of the messages of one kind that it has seen, scripts left out."""
        return [each.body for each in self.seen(kind) if not (each.body or "").startswith("[")]

    def lines(self) -> list[str]:
        """What the node's log says of it, less what it saw."""
        mine = [line.removeprefix(f"{self.id}: ") for line in self.node.log if line.startswith(f"{self.id}: ")]
        return [line for line in mine if not line.startswith("saw ")]

    @property
    def running(self) -> bool:
        """Whether a process of its id runs."""
        return self.id in self.node.core.kernel.processes

    @property
    def process(self) -> Process:
        """The kernel's bookkeeping of it."""
        return self.node.core.kernel.processes[self.id]

    def held(self) -> list[str]:
        """The capabilities it holds, as `issuer params`."""
        return [f"{each.issuer} {each.params}" for each in self.node.core.kernel.grants.of(self.id)]

    def kept_state(self) -> bytes | None:
        """Its saved state, on the node's disk."""
        state = self.node.disk.perform(ReadState(store_file(self.node.name), str(self.id), 0))
        return state if isinstance(state, bytes) else None


# --- processes of this machine ----------------------------------------------------------------------------------------


class SocketLab:
    """Two real nodes, each with the probes a to d."""

    def __init__(self, nodes: LocalTestnet) -> None:
        self.nodes = nodes

    @staticmethod
    def options(folder: Path) -> BootOptions:
        """How its nodes are booted; writes the package into `folder`."""
        package = folder / PACKAGE.partition(":")[0]
        package.mkdir(parents=True)
        _lay_down(package)
        entry = {"process_wasm_path": "/probe.wasm", "on_exit": "None", "request_networking": True, "public": True}
        manifest = [{"process_name": name, **entry} for name in SOCKET_NAMES]
        (package / "manifest.json").write_text(json.dumps(manifest))
        return BootOptions(packages=(package,), consent=EVERYTHING)

    def forget(self) -> None:
        """Empty the logs of all probes."""
        for node in (OUR, THEIR):
            for name in SOCKET_NAMES:
                self.nodes.message(node, f"our@{name}:{PACKAGE}", '"Forget"')

    def probe(self, name: str, *, far: bool = False) -> SocketProbe:
        """As `Lab.probe`; it runs already."""
        return SocketProbe(self.nodes, THEIR if far else OUR, name)

    def kill(self, probe: SocketProbe) -> None:
        """End it as the node's user does."""
        with self.nodes.connect(probe.node) as client:
            client.request("kill", address=probe.address, tree=False)


class SocketProbe:
    """A probe on a real node."""

    def __init__(self, nodes: LocalTestnet, node: str, name: str) -> None:
        self._nodes = nodes
        self.node = node
        self.address = f"{node}@{name}:{PACKAGE}"

    def __str__(self) -> str:
        return self.address

    def ask(self, *steps: Step, timeout: int = PATIENCE) -> Outcome:
        """As `Probe.ask`."""
        answer = self._nodes.message(self.node, self.address, script(*steps).decode(), timeout)
        return Outcome(str(answer["outcome"]), str(answer.get("body", answer.get("reason"))))

    def child(self, name: str) -> SocketProbe:
        """A process that this one has spawned."""
        return SocketProbe(self._nodes, self.node, name)

    @property
    def running(self) -> bool:
        """Whether a process of its id runs."""
        return any(each["address"] == self.address for each in self._nodes.processes(self.node))

    def seen(self, kind: str | None = None) -> list[Seen]:
        """As `Probe.seen`."""
        answer = self._nodes.message(self.node, self.address, '"Report"')
        found = [_seen(each) for each in json.loads(str(answer["body"]))]
        return [each for each in found if kind is None or each.kind == kind]
