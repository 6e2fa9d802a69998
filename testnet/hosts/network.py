"""A testnet over several machines, as the commands see it: one answer of all hosts, or that of one."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from nectar_node.base.decoding import decode_untrusted
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.launch import READY_TIMEOUT
from testnet.hosts.files import MAX_BYTES, unpack_untrusted
from testnet.hosts.install import command_line, installed_everywhere, last_line, quoted
from testnet.hosts.kept import KeptHosts
from testnet.hosts.packages import name_of, packed
from testnet.hosts.ssh import CommandDone, HostConnection, HostProgram, NoReach, Ssh

ASK_SECONDS = 120.0
"""Seconds in which a host answers: a fault may have a node to boot."""

SEND_SECONDS = 900.0
"""Seconds in which a host takes the packages of the user."""

Row = dict[str, Any]


class NodeExtras(NamedTuple):
    """What nodes are started with, the registrar aside."""

    packages: str = ""
    """The name of packages that the hosts have (`Hosts.send_packages`); empty: none."""
    grant: tuple[str, ...] = ()
    """What these are granted (`nectar_node.base.consent`)."""
    http: bool = False
    """Whether browsers on the host reach each node."""


NO_EXTRAS = NodeExtras()


class Hosts:
    """The hosts, connected, each with its agent (`testnet.hosts.agent`); made by `reach` and `reach_some`."""

    def __init__(self, kept: KeptHosts, ssh: Ssh, connections: dict[str, HostConnection]) -> None:
        self.kept = kept
        self._ssh = ssh
        self._connections = connections
        self._agents: dict[str, HostProgram] = {}

    @property
    def names(self) -> list[str]:
        """Return the names of the hosts that are connected."""
        return list(self._connections)

    def install(self, say: Callable[[str], None]) -> None:
        """Have this release on every host; `say` is told what takes long. Raises NodeError."""
        pythons = installed_everywhere(
            list(self._connections.values()), self._ssh, self.kept.pythons, self.kept.file.wheels, say
        )
        self.kept = structs.replace(self.kept, pythons=pythons)

    def begin(self, *, detach: bool) -> None:
        """Start the agent on each host: with `detach`, nodes outlive it. Raises NodeError."""
        options = ("--detach",) if detach else ()
        for name, connection in self._connections.items():
            python = self.kept.pythons.get(name)
            if python is None:
                raise NodeError(f"Nothing is installed on {name} yet: `nectar testnet up --hosts FILE` does that.")
            line = command_line(python, "testnet.hosts.agent", connection.host.folder, *options)
            self._agents[name] = self._ssh.call(connection.open(line))

    def end(self) -> None:
        """Close the agents' inputs, and wait for them: nodes end with those that do not leave them alone."""
        closing = [self._ssh.start(channel.close()) for channel in self._agents.values()]
        for future in closing:
            future.result()
        self._agents.clear()

    def ask(self, host: str, command: str, seconds: float = ASK_SECONDS, **arguments: object) -> Row:
        """Ask the agent of one host; raises NodeError with its sentence, and NoReach."""
        return self._answer(host, self._send(host, command, seconds, arguments))

    def ask_all(self, command: str, seconds: float = ASK_SECONDS, **arguments: object) -> dict[str, Row]:
        """Ask the agents of all hosts at the same time; raises the first NodeError when all have answered."""
        return self.ask_each(dict.fromkeys(self._agents, arguments), command, seconds)

    def ask_each(
        self, told: dict[str, dict[str, object]], command: str, seconds: float = ASK_SECONDS
    ) -> dict[str, Row]:
        """As `ask_all`, with other arguments for each host."""
        answers, errors = self.try_each(told, command, seconds)
        if errors:
            raise next(iter(errors.values()))
        return answers

    def try_each(
        self, told: dict[str, dict[str, object]], command: str, seconds: float = ASK_SECONDS
    ) -> tuple[dict[str, Row], dict[str, NodeError]]:
        """Return the answers of the hosts, and the errors of those that have none."""
        waiting = {host: self._send(host, command, seconds, arguments) for host, arguments in told.items()}
        answers: dict[str, Row] = {}
        errors: dict[str, NodeError] = {}
        for host, future in waiting.items():
            try:
                answers[host] = self._answer(host, future)
            except NodeError as error:
                errors[host] = error
        return answers, errors

    def _send(self, host: str, command: str, seconds: float, arguments: dict[str, object]) -> Future[bytes]:
        line = json.dumps({"command": command, **arguments}).encode()
        return self._ssh.start(self._agents[host].ask(line, seconds))

    def _answer(self, host: str, future: Future[bytes]) -> Row:
        try:
            answer = decode_untrusted(future.result(), dict)
        except ValueError as error:
            raise NoReach(f"What {host} answers is not valid ({error}): is another release there?") from error
        match answer:
            case {"ok": dict(value)}:
                return value
            case {"error": str(sentence), "usage": bool(usage)}:
                told = f"{host}: {sentence}"
                raise BadInput(told) if usage else NodeError(told)
        raise NoReach(f"What {host} answers is not valid: is another release there?")

    def send_packages(self, folders: Sequence[Path]) -> str:
        """Have packages on every host, and return the name under which `start` finds them; raises NodeError."""
        stream = packed(folders)
        waiting = {}
        for name, connection in self._connections.items():
            python = self.kept.pythons.get(name, connection.host.python)
            line = command_line(python, "testnet.hosts.agent", connection.host.folder, "--keep-packages")
            waiting[name] = self._ssh.start(connection.run(line, stream, SEND_SECONDS))
        for name, future in waiting.items():
            done = future.result()
            if done.code:
                raise NodeError(f"The packages cannot be sent to {name}: {last_line(done)}.")
        return name_of(stream)

    def start(self, nodes: Iterable[str], invite_only: bool | None, extras: NodeExtras = NO_EXTRAS) -> dict[str, Row]:
        """Start nodes behind links, the registrar first, and return the row of each that was started."""
        wanted = set(nodes)
        by_host = {name: [node for node in self.kept.host(name).nodes if node in wanted] for name in self.names}
        ports = self.ask_each({name: self._prepared(name) for name in self.names}, "prepare")
        where = {
            node: [self.kept.host(name).address, port["port"]]
            for name, port in ports.items()
            for node in self.kept.host(name).nodes
        }
        self.ask_all("elsewhere", nodes=where)
        first = self.kept.host_of(REGISTRAR_NAME).name
        started: dict[str, Row] = {}
        seconds = READY_TIMEOUT + 30.0
        own = {"start": [REGISTRAR_NAME], "invite_only": invite_only}
        _note(started, {first: self.ask(first, "start", seconds, **own)})
        rest = {name: [node for node in found if node != REGISTRAR_NAME] for name, found in by_host.items()}
        rest = {name: found for name, found in rest.items() if found}
        if rest:
            text = self._join_text(first, sum(map(len, rest.values())))
            more = {"packages": extras.packages, "grant": list(extras.grant), "http": extras.http}
            told: dict[str, dict[str, object]] = {
                name: {"start": found, "join": text, **more} for name, found in rest.items()
            }
            _note(started, self.ask_each(told, "start", seconds))
        return started

    def _prepared(self, name: str) -> dict[str, object]:
        host = self.kept.host(name)
        return {
            "prefix": self.kept.prefix,
            "names": list(self.kept.names),
            "here": list(host.nodes),
            "secret": self.kept.secret.hex(),
            "seed": [each.name for each in self.kept.file.hosts].index(name),
            "port": host.links_port,
        }

    def _join_text(self, host: str, uses: int) -> str:
        words = ["testnet", "invite", "--uses", str(uses), "--expires", "1h", "--json"]
        done = self.ask(host, "run", words=words)
        if done.get("code") != 0:
            raise NodeError(f"{host}: {str(done.get('err')).strip()}")
        return str(decode_untrusted(str(done["out"]), dict)["join"])

    def run(self, host: str, words: list[str], option: str = "") -> tuple[int, str, str]:
        """Run a command of `nectar` in the folder of a host; return its exit code and what it has printed: where that
        names commands for the folder there, they have the option for the folder here."""
        match self.ask(host, "run", words=words):
            case {"code": int(code), "out": str(out), "err": str(err), "dir": str(folder)}:
                there = f" --dir {folder}"
                return code, out.replace(there, option), err.replace(there, option)
        raise NoReach(f"What {host} answers is not valid: is another release there?")

    def twin(self) -> Hosts:
        """Return the same hosts for agents of its own, which are asked beside these."""
        return Hosts(self.kept, self._ssh, self._connections)

    def shell(self, host: str, command: str, data: bytes = b"") -> CommandDone:
        """Run a shell command on a host with `data` as its input; raises NoReach."""
        return self._ssh.call(self._connections[host].run(command, data))

    def forward(self, host: str, here: Path, there: str) -> None:
        """Let who connects to the Unix socket `here` reach the one at `there` on a host; raises NodeError."""
        self._ssh.call(self._connections[host].forward(here, there))

    def attach(self, host: str, words: list[str]) -> int:
        """Run a command of `nectar` in the folder of a host, at our own terminal's streams; return its exit code."""
        connection = self._connections[host]
        python = self.kept.pythons.get(host, connection.host.python)
        line = command_line(python, "nectar_node", *words)
        return self._ssh.call(connection.attach(f"NECTAR_DIR={quoted(connection.host.folder)} {line}"))

    def collect(self, target: Path) -> tuple[dict[str, int], list[str]]:
        """Copy logs, traces, journals and recordings of each host to a folder of its name below `target`.

        Return how many files of each host are there, and sentences on hosts that have not sent all of theirs; what has
        come until then is kept. Raises NodeError if `target` cannot be written.
        """
        counts: dict[str, int] = {}
        lacking: list[str] = []
        with contextlib.ExitStack() as files:
            waiting = {}
            for name, connection in self._connections.items():
                python = self.kept.pythons.get(name, connection.host.python)
                line = command_line(python, "testnet.hosts.agent", connection.host.folder, "--collect")
                try:
                    (target / name).mkdir(parents=True, exist_ok=True, mode=0o700)
                    archive = files.enter_context(tempfile.TemporaryFile(dir=target))
                except OSError as error:
                    raise NodeError(f"{target / name} cannot be written: {error.strerror}.") from error
                waiting[name] = (archive, self._ssh.start(connection.save(line, archive, MAX_BYTES)))
            for name, (archive, future) in waiting.items():
                try:
                    done, given_up = future.result()
                except OSError as error:
                    raise NodeError(f"{target} cannot be written: {error.strerror}.") from error
                archive.seek(0)
                counts[name], bad = unpack_untrusted(archive, target / name)
                if given_up is not None:
                    lacking.append(str(given_up))
                elif done is not None and done.code:
                    lacking.append(f"{name} cannot send its files: {last_line(done)}.")
                elif bad is not None:
                    lacking.append(f"What {name} has sent is not as it should be: {bad}.")
        return counts, lacking

    # --- faults -----------------------------------------------------------------------------------------------------

    def add_fault(self, kind: str, parameters: dict[str, Any], seconds: float | None) -> Row:
        """Let a fault hold on every host, and return its row; raises NodeError, and then it holds nowhere."""
        number = max((row["number"] for row in self.faults()), default=0) + 1
        arguments = {"kind": kind, "parameters": parameters, "seconds": seconds, "number": number}
        told: dict[str, dict[str, object]] = {name: {"ask": "apply", "arguments": arguments} for name in self._agents}
        answers, errors = self.try_each(told, "ask")
        if errors:
            undo: dict[str, object] = {"ask": "remove", "arguments": {"number": number}}
            self.try_each(dict.fromkeys(answers, undo), "ask")
            raise next(iter(errors.values()))
        return next(iter(answers.values()))

    def faults(self) -> list[Row]:
        """Return the faults that hold, on whichever hosts."""
        answers = self.ask_all("ask", ask="faults")
        rows = {row["number"]: row for answer in answers.values() for row in answer["faults"]}
        return [rows[number] for number in sorted(rows)]

    def remove_faults(self, number: int | None) -> list[Row]:
        """Remove a fault, or all of them, and return their rows; raises NodeError."""
        held = self.faults()
        if number is not None and number not in [row["number"] for row in held]:
            there = ", ".join(str(row["number"]) for row in held) or "none"
            raise BadInput(f"There is no fault number {number}: there are {there}.")
        removed: dict[int, Row] = {}
        arguments: dict[str, object] = {"ask": "remove", "arguments": {"number": number}}
        answers, errors = self.try_each(dict.fromkeys(self._agents, arguments), "ask")
        removed = {row["number"]: row for answer in answers.values() for row in answer["removed"]}
        for error in errors.values():
            if not isinstance(error, BadInput):  # there it had just ended
                raise error
        return [removed[each] for each in sorted(removed)]


def _note(started: dict[str, Row], answers: dict[str, Row]) -> None:
    for host, answer in answers.items():
        for row in answer["started"]:
            started[row["name"]] = {**row, "host": host}


@contextmanager
def reach(
    kept: KeptHosts, names: Iterable[str] | None = None, lost: dict[str, NodeError] | None = None
) -> Iterator[Hosts]:
    """Yield the hosts of those names, connected all at the same time; None: all of them.

    Raises NodeError if one cannot be reached; if there is `lost`, it is noted there instead, and left out.
    """
    with Ssh() as ssh:
        wanted = [host for host in kept.file.hosts if names is None or host.name in set(names)]
        waiting = {host.name: ssh.start(ssh.connect(host, kept.file.known_hosts)) for host in wanted}
        connections = {}
        for name, future in waiting.items():
            try:
                connections[name] = future.result()
            except NodeError as error:
                if lost is None:
                    raise
                lost[name] = error
        yield Hosts(kept, ssh, connections)


@contextmanager
def asked(
    kept: KeptHosts, names: Iterable[str] | None = None, lost: dict[str, NodeError] | None = None
) -> Iterator[Hosts]:
    """As `reach`, with agents that leave nodes alone: for commands that come and go."""
    with reach(kept, names, lost) as hosts:
        hosts.begin(detach=True)
        try:
            yield hosts
        finally:
            hosts.end()
