"""What a node must remember when it is killed: states, children, grants, packages, and files that have arrived.

Each kind of thing has a class that does something with it, says what must be true afterwards, and compares that with
what is found after the next boot.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from kernel.contract.capability import NETWORK
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.transfer_answers import PROCESS, TransferFailed, decode_outcome_untrusted
from testnet.real.local import LocalTestnet
from tests.conformance.lab import OUR, PACKAGE, PROBE, THEIR, SocketProbe
from tests.conformance.steps import (
    GET_STATE,
    OUR_CAPABILITIES,
    RETURN,
    SAVE_RECEIVED,
    capability,
    respond,
    set_state,
    spawn,
    wait_for,
)
from tests.waiting import until

PROBES = "abcd"
FILE_BYTES = 3 << 20
T = TypeVar("T")


class Violation(AssertionError):
    """Something that was acknowledged is not there, or is there by half."""


@dataclass(slots=True)
class Fact(Generic[T]):
    """One thing about the node."""

    possible: set[T]
    """What it may be on the disk: one, unless something was begun since that is not acknowledged as durable."""
    now: T
    """What it is as long as the node runs."""
    unsure: bool = False
    """Whether something that was begun has not ended well, and may have happened."""

    @classmethod
    def of(cls, value: T) -> Fact[T]:
        """It is this for sure."""
        return cls({value}, value)

    def begin(self, value: T) -> None:
        """It may be this from now on."""
        self.possible.add(value)
        self.unsure = True

    def done(self, value: T) -> None:
        """It is, but not for sure on the disk."""
        self.now, self.unsure = value, False

    def kept(self) -> None:
        """Everything that is done is on the disk."""
        if not self.unsure:
            self.possible = {self.now}

    def found(self, what: str, value: T) -> None:
        """Compare with what is there after a boot; raises Violation."""
        if value not in self.possible:
            raise Violation(f"{what} is {value}, and not one of {self.possible}")
        self.possible, self.now, self.unsure = {value}, value, False


@dataclass(slots=True)
class Node:
    """The node that is killed, and what everything that is done with it needs."""

    nodes: LocalTestnet
    chance: random.Random
    folder: Path
    number: int = 0
    acknowledged: Counter[str] = field(default_factory=Counter)
    """How often each kind of thing was."""

    def next(self) -> int:
        """Return a number that was not used yet."""
        self.number += 1
        return self.number

    def probe(self, name: str | None = None, node: str = OUR) -> SocketProbe:
        """Return a probe, any one if no name is given."""
        return SocketProbe(self.nodes, node, name or self.chance.choice(PROBES))

    def request(self, command: str, **arguments: object) -> None:
        """Have the node do something that is durable when it is answered."""
        with self.nodes.connect(OUR) as client:
            client.request(command, patience=60, **arguments)

    def processes(self) -> set[str]:
        """Return the ids of what runs."""
        return {str(row["address"]).partition("@")[2] for row in self.nodes.processes(OUR)}


class Thing(Protocol):
    """One kind of thing that a node remembers."""

    def act(self) -> bool:
        """Do something with it; return whether the answer said that this, and all before it, is durable."""

    def kept(self) -> None:
        """Learn that everything that was done is durable."""

    def check(self, running: set[str]) -> None:
        """Compare with the node after its boot, where these processes run; raises Violation."""


class States:
    """set-state: its answer says that this one state is durable."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._facts: dict[str, Fact[str | None]] = {name: Fact.of(None) for name in PROBES}

    def act(self) -> bool:
        """Save a state."""
        node, number = self._node, str(self._node.next())
        name = node.chance.choice(PROBES)
        fact = self._facts[name]
        fact.begin(number)
        text = f"{number} " + "x" * node.chance.choice((0, 100, 20_000))
        if node.probe(name).ask(set_state(text), respond("saved")).body == "saved":
            fact.done(number)
            fact.kept()
            node.acknowledged["set-state"] += 1
        return False

    def kept(self) -> None:
        """Nothing to learn: each has an answer of its own."""

    def check(self, running: set[str]) -> None:
        """Read all of them."""
        for name, fact in self._facts.items():
            probe = self._node.probe(name)
            probe.ask(GET_STATE, respond())
            body = probe.seen("state")[-1].body
            fact.found(f"the state of {name}", None if body is None else body.partition(" ")[0])


@dataclass(slots=True)
class _Grant:
    """A capability that a child has issued."""

    issuer: str
    params: str
    holder: SocketProbe
    local: bool
    held: Fact[bool] = field(default_factory=lambda: Fact.of(False))

    @property
    def capability(self) -> dict[str, str]:
        """As guests name it."""
        return capability(f"{OUR}@{self.issuer}:{PACKAGE}", self.params)


class Children:
    """spawn, exit, kill, grant and revoke: children that issue capabilities to processes here and on another node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._runs: dict[str, Fact[bool]] = {}
        self._grants: list[_Grant] = []
        self._revoked: list[_Grant] = []
        """Tickets on the other node that were revoked for sure."""
        self._order = cycle(("spawn", "grant", "spawn", "ticket", "kill", "spawn", "exit", "grant", "kill"))

    def act(self) -> bool:
        """Do the next one of these."""
        what = next(self._order)
        alive = [name for name, fact in self._runs.items() if fact.now]
        if what == "spawn" or not alive:
            return self._spawn()
        issuers = {grant.issuer for grant in self._grants}
        fitting = [name for name in alive if (name in issuers) is (what == "kill")]
        name = self._node.chance.choice(fitting or alive)
        return {"exit": self._exit, "grant": self._grant, "ticket": self._ticket, "kill": self._kill}[what](name)

    def _spawn(self) -> bool:
        name = f"child{self._node.next()}"
        fact = self._runs[name] = Fact.of(False)
        fact.begin(True)
        network = [capability(f"{OUR}@kernel:distro:sys", NETWORK)]
        if self._node.probe().ask(spawn(name, public=True, capabilities=network), respond("spawned")).body == "spawned":
            fact.done(True)
            self._node.acknowledged["spawn"] += 1
        return False

    def _exit(self, name: str) -> bool:
        fact = self._runs[name]
        fact.begin(False)
        self._node.probe(name).ask(respond("I go"), RETURN)
        if f"{name}:{PACKAGE}" not in self._node.processes():
            fact.done(False)
            self._node.acknowledged["exit"] += 1
        # What it issued is nobody's affair any more: only a kill revokes.
        self._grants = [grant for grant in self._grants if grant.issuer != name]
        return False

    def _grant(self, name: str) -> bool:
        return self._give(name, local=True)

    def _ticket(self, name: str) -> bool:
        return self._give(name, local=False)

    def _give(self, name: str, *, local: bool) -> bool:
        node = self._node
        holder = node.probe(node=OUR if local else THEIR)
        grant = _Grant(name, json.dumps({"n": node.next()}), holder, local)
        self._grants.append(grant)
        grant.held.begin(True)
        take = wait_for(holder, "", SAVE_RECEIVED, respond("saved"), capabilities=[grant.capability], expects=10)
        if node.probe(name).ask(take, respond("granted")).body == "granted":
            grant.held.done(True)
            node.acknowledged["grant" if local else "ticket"] += 1
        return False

    def _kill(self, name: str) -> bool:
        grants = [grant for grant in self._grants if grant.issuer == name]
        for fact in (self._runs[name], *(grant.held for grant in grants)):
            fact.begin(False)
        self._node.request("kill", address=f"{name}:{PACKAGE}", tree=False)
        for fact in (self._runs[name], *(grant.held for grant in grants)):
            fact.done(False)
        self._node.acknowledged["kill"] += 1
        self._node.acknowledged["revoke"] += len(grants)
        return True

    def kept(self) -> None:
        """Learn it for children and grants."""
        for fact in (*self._runs.values(), *(grant.held for grant in self._grants)):
            fact.kept()

    def check(self, running: set[str]) -> None:
        """Look at who runs, who holds what, and which tickets of the other node are still accepted."""
        for name, fact in self._runs.items():
            fact.found(f"whether {name} runs", f"{name}:{PACKAGE}" in running)
        self._check_local()
        self._check_tickets()
        self._grants = [grant for grant in self._grants if self._runs[grant.issuer].now]

    def _check_local(self) -> None:
        local = [grant for grant in self._grants if grant.local]
        for holder in {str(grant.holder): grant.holder for grant in local}.values():
            holder.ask(OUR_CAPABILITIES, respond())
            held = {each["params"] for each in holder.seen("capabilities")[-1].capabilities}
            for grant in local:
                if str(grant.holder) == str(holder):
                    has = json.dumps(json.loads(grant.params), separators=(",", ":")) in held
                    grant.held.found(f"whether {holder} holds {grant.params} of {grant.issuer}", has)
                    if has and not self._runs[grant.issuer].now:
                        raise Violation(f"{holder} holds {grant.params} of {grant.issuer}, which was killed")

    def _check_tickets(self) -> None:
        """Have the other node show one ticket of a process that runs, and one that was revoked."""
        tickets = [grant for grant in self._grants if not grant.local]
        self._revoked += [grant for grant in tickets if not self._runs[grant.issuer].now]
        valid = [grant for grant in tickets if self._runs[grant.issuer].now and grant.held.possible == {True}]
        for some, expected in ((valid, True), (self._revoked, False)):
            if some:
                ticket = self._node.chance.choice(some)
                if self._is_accepted(ticket) is not expected:
                    raise Violation(f"{ticket.params} of {ticket.issuer} is{' not' * expected} accepted")

    def _is_accepted(self, ticket: _Grant) -> bool:
        """Whether a process here is given what comes with a message of the ticket's holder."""
        to = self._node.probe()
        # The other node tries again at a pace of its own to reach this one; so this one goes first.
        to.ask(wait_for(ticket.holder, "", respond(), expects=30), respond())

        def reached() -> bool:
            shown = f"shown {self._node.next()}"
            show = wait_for(to, "", respond(shown), capabilities=[ticket.capability], expects=30)
            ticket.holder.ask(show, respond())
            return any(seen.body == shown for seen in ticket.holder.seen("response"))

        until(reached)  # the other node may have to find out first that this one runs again
        far = [seen for seen in to.seen("request") if str(seen.source).startswith(f"{THEIR}@")]
        return bool(far[-1].capabilities)


class Packages:
    """install and upgrade: a package is not there, or one version of it is, whole."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._version: dict[str, Fact[int | None]] = {f"{name}:kills": Fact.of(None) for name in ("one", "two")}
        self._removes = cycle((False, False, True))

    def act(self) -> bool:
        """Start another version, or end all of the package."""
        id = self._node.chance.choice(list(self._version))
        fact = self._version[id]
        if fact.now is not None and next(self._removes):
            fact.begin(None)
            self._node.request("uninstall", address=id)
            fact.done(None)
            self._node.acknowledged["removal"] += 1
            return True
        number, what = self._node.next(), "install" if fact.now is None else "upgrade"
        fact.begin(number)
        self._node.request("install", package=str(self._folder(id, number)))
        fact.done(number)
        self._node.acknowledged[what] += 1
        return True

    def _folder(self, id: str, number: int) -> Path:
        name, _, publisher = id.partition(":")
        folder = self._node.folder / name
        folder.mkdir(exist_ok=True)
        shutil.copy(PROBE, folder / PROBE.name)
        (folder / "metadata.json").write_text(json.dumps({"package": name, "publisher": publisher}))
        entry = {"process_wasm_path": "/probe.wasm", "public": True}
        manifest = [{"process_name": process, **entry} for process in ("always", f"version{number}", f"also{number}")]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    def kept(self) -> None:
        """Learn it for all packages."""
        for fact in self._version.values():
            fact.kept()

    def check(self, running: set[str]) -> None:
        """See that all processes of one version run, and no others, and that one of them answers."""
        for id, fact in self._version.items():
            found = {process.partition(":")[0] for process in running if process.endswith(f":{id}")}
            numbers = {int(name.removeprefix("version")) for name in found if name.startswith("version")}
            version = min(numbers, default=None)
            if found != ({"always", f"version{version}", f"also{version}"} if found else set()):
                raise Violation(f"of {id} run {sorted(found)}")
            fact.found(f"the version of {id}", version)
            if version is not None:
                address = f"{OUR}@always:{id}"
                answer = self._node.nodes.message(OUR, address, json.dumps([respond("here")]), 60)
                if answer.get("body") != "here":
                    raise Violation(f"{address} runs, and does not answer: {answer}")


class Files:
    """transfer: a file that the other node was told has arrived is here, every byte of it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._arrived: dict[Path, bytes] = {}
        self._sending: tuple[ControlClient, bytes] | None = None

    def act(self) -> bool:
        """Begin to send a file, if none is being sent; it goes on while the node is killed and boots."""
        if self._sending is None:
            node = self._node
            content, file = node.chance.randbytes(FILE_BYTES), node.folder / f"file{node.next()}"
            file.write_bytes(content)
            client = node.nodes.connect(THEIR)
            path = str(client.request("share", file=str(file))["path"])
            order = {"id": f"{node.next():016}", "path": path, "name": file.name, "to": OUR}
            body = json.dumps({"Send": order})
            client.send("message", target=PROCESS, body=body, timeout=600, blob=None, mime=None)
            self._sending = client, content
        self._take_outcome()
        return False

    def _take_outcome(self) -> None:
        if self._sending is not None and self._sending[0].has_answer(0.0):
            client, content = self._sending
            self._sending = None
            with client:
                try:
                    done = decode_outcome_untrusted(client.receive())
                except TransferFailed:
                    return  # nobody said that it has arrived
                self._arrived[self._node.nodes.place(OUR).drives / done.path.lstrip("/")] = content
                self._node.acknowledged["transfer"] += 1

    def kept(self) -> None:
        """Nothing to learn: each transfer has an answer of its own."""

    def check(self, running: set[str]) -> None:
        """Compare all that have arrived."""
        self._take_outcome()
        for path, content in self._arrived.items():
            if not path.is_file() or path.read_bytes() != content:
                raise Violation(f"{path} has arrived, and is not what was sent")

    def close(self) -> None:
        """Give up what is under way."""
        if self._sending is not None:
            self._sending[0].close()
