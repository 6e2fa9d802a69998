"""The program on each host of a testnet over several machines: `python -m testnet.hosts.agent FOLDER`.

It reads a question a line from its standard input, and answers each with a line: {"ok": …} or {"error": …, "usage": …}.
An empty line says that somebody is still there.
Without --detach it is the lifeline of the nodes that it starts: they end with its input, with its own process however
that ends, and when nothing has come for `SILENCE_SECONDS`, since a cable that is pulled ends no connection.

hello {}                                  -> {release, python}
prepare {prefix, names, here, secret, seed, port} -> {port}: the links run, and listen there for those of other hosts
elsewhere {nodes: {name: [host, port]}}   -> {}: where the links of the other hosts listen
start {start, join, invite_only, packages, grant, http}
                                          -> {started: [row of `StartedNode`, with http, …], running: [names that ran]}
news {}                                   -> {lines: [[name, line], …], ended: {name: code}}: since the last time
stop {}                                   -> {ended: {name: how}}: nodes and links of this host
ask {command, arguments}                  -> what the links answer (`testnet.real.links.control`)
look {node}                               -> {links: pid|null}, and of a node {pid: pid|null, paused, listens}
doors {}                                  -> {folder}: short paths to the nodes' folders, for as long as this runs
received {node, file}                     -> {size, digest} of a file in the node's inbox; {}: there is none
drop {node, file}                         -> {}: removed from there
partial {node}                            -> {files}: what is not whole yet there
run {words}                               -> {code, out, err, dir}: of `nectar WORDS`, in the folder of this host
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import select
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from msgspec import Struct

from nectar_node.base import own_files
from nectar_node.base.consent import Consent
from nectar_node.base.decoding import HexBytes, Port, decode_untrusted
from nectar_node.base.errors import BadFolder, BadInput, NodeError, NotRunning
from nectar_node.base.folder import NodeFolder, is_paused
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import BootOptions, kept_options
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.joining import join_network, read_join_text
from nectar_node.launcher.local_network import LocalNetwork, check_name
from nectar_node.launcher.log_reader import Follower
from testnet.hosts.collecting import files_to_collect
from testnet.hosts.files import write_files
from testnet.hosts.packages import MAX_PACKAGES_BYTES, keep_untrusted, kept_packages
from testnet.hosts.release import running_release
from testnet.real.booting import with_http, with_packages
from testnet.real.inboxes import PARTIAL, inbox, look_at_received, partial_files
from testnet.real.lifeline import hold_lifeline
from testnet.real.links import claim
from testnet.real.links.client import LinksProcess
from testnet.real.links.elsewhere import LabMachine, write_machine
from testnet.real.nodes.addresses import Allocation, LoopbackNetwork, decode_allocation_untrusted

SILENCE_SECONDS = 30.0
"""Seconds without a byte after which the nodes end; whoever holds them sends an empty line every five."""
MAX_LINE_BYTES = 1 << 20
"""The longest question."""
MAX_NEWS_LINES = 2000
"""The most lines of logs in one answer; more come with the next one."""
MAX_PRINTED = 4 << 20
"""What is passed on of what a command prints, in characters."""

Row = dict[str, Any]


class HostQuestion(Struct, frozen=True):
    """One question: the command, and what the commands read."""

    command: str = ""
    prefix: str = ""
    names: list[str] = []
    here: list[str] = []
    secret: HexBytes = HexBytes()
    seed: int = 0
    port: Port = 0
    nodes: dict[str, tuple[str, int]] = {}
    node: str = ""
    file: str = ""
    start: list[str] = []
    packages: str = ""
    grant: list[str] = []
    http: bool = False
    join: str = ""
    invite_only: bool | None = None
    words: list[str] = []
    arguments: dict[str, Any] = {}
    ask: str = ""


@dataclass(slots=True)
class Agent:
    """The commands."""

    network: LocalNetwork
    detach: bool
    held: contextlib.ExitStack
    """What ends with this process."""
    _started: dict[str, launch.StartedNode] = field(default_factory=dict)
    _followers: dict[str, Follower] = field(default_factory=dict)

    def answer_untrusted(self, line: bytes) -> Row:
        """Answer one question."""
        try:
            try:
                asked = decode_untrusted(line, HostQuestion)
            except ValueError as error:
                raise BadInput(f"The question is not valid: {error}.") from error
            command = _COMMANDS.get(asked.command)
            if command is None:
                raise BadInput(f"There is no command {asked.command[:64]!r} here: is another release there?")
            return {"ok": command(self, asked)}
        except NodeError as error:
            return {"error": str(error), "usage": isinstance(error, BadInput)}
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return {"error": f"The operating system refused: {where}{error.strerror or error}.", "usage": False}

    def hello(self, _: HostQuestion) -> Row:
        """Say which release this is."""
        return {"release": running_release(), "python": sys.executable}

    def prepare(self, asked: HostQuestion) -> Row:
        """Have the links run, with the places of all nodes."""
        for name in (*asked.names, *asked.here):
            check_name(name)
        folder = self.network.folder
        self.network.create()
        links = LinksProcess(self.network)
        told = _allocation_untrusted(asked.prefix, asked.names)
        known = claim.read(folder)
        if known is not None and known.network != told.network:
            raise BadFolder(f"{folder} belongs to another testnet: choose another `folder` for this host.")
        if links.pid is not None and (known != told or links.ask("gateway")["port"] is None):
            raise BadInput("The links there run with other nodes: stop them first, with `nectar testnet down`.")
        if links.pid is None:
            own_files.make_folder(claim.links_folder(folder).path)
            claim.remember(folder, told)
            write_machine(folder, LabMachine(tuple(asked.here), asked.secret, asked.seed, asked.port))
            if not self.detach:
                self.held.callback(self._end_links)
            links.start()
        return dict(links.ask("gateway"))

    def elsewhere(self, asked: HostQuestion) -> Row:
        """Tell the links where those of other hosts are."""
        return dict(LinksProcess(self.network).ask("elsewhere", nodes=asked.nodes))

    def start(self, asked: HostQuestion) -> Row:
        """Start nodes behind the links."""
        joining = read_join_text(asked.join) if asked.join else None
        if joining is not None:
            join_network(self.network, joining)
        token = None if joining is None else joining.invitation
        running = [name for name in asked.start if self.network.place(name).owner() is not None]
        down = [name for name in asked.start if name not in running]
        if not down:
            return {"started": [], "running": running}
        lifeline = None
        if not self.detach:
            lifeline = self.held.enter_context(hold_lifeline(self.network.folder, nodes=down))
            self.held.callback(self._stop_nodes, down)
        links = LinksProcess(self.network)
        folders = kept_packages(self.network.folder, asked.packages) if asked.packages else ()
        booting: list[tuple[str, BootOptions]] = []
        for name in down:
            place = self.network.place(name)
            options = replace(links.connect(name).options(kept_options(place)), lifeline=lifeline)
            if name == REGISTRAR_NAME:
                options = replace(options, invite_only=asked.invite_only)
            elif token is not None:
                options = replace(options, invitation=HexBytes(token))
            if asked.http:
                options = with_http(name, options)
            if folders:
                options = with_packages(self.network, name, options, folders, Consent(tuple(asked.grant)))
            booting.append((name, options))
            log = place.log
            self._followers[name] = Follower(log, log.stat().st_size if log.exists() else 0)
        started = launch.start(self.network, booting)
        self._started |= {node.name: node for node in started}
        return {"started": [{**node.value(), "http": self._http(node.name)} for node in started], "running": running}

    def _http(self, name: str) -> object:
        """Return where browsers on this host reach a node that has just booted; None: nowhere."""
        if kept_options(self.network.place(name)).http is None:
            return None
        with self.network.connect(name) as client:
            return client.ask("status").get("http")

    def news(self, _: HostQuestion) -> Row:
        """Tell what the nodes have logged, and which have ended, since the last time."""
        lines: list[tuple[str, str]] = []
        for name, follower in self._followers.items():
            lines += ((name, line[:4096]) for line in follower.lines())
        ended = {name: code for name, node in self._started.items() if (code := node.process.poll()) is not None}
        for name in ended:
            del self._started[name]
        return {"lines": lines[-MAX_NEWS_LINES:], "ended": ended}

    def stop(self, _: HostQuestion) -> Row:
        """End nodes and links of this host."""
        ended = launch.stop(self.network.place(name) for name in self.network.names())
        LinksProcess(self.network).stop()
        return {"ended": ended}

    def ask(self, asked: HostQuestion) -> Row:
        """Pass a command to the links."""
        return dict(LinksProcess(self.network).ask(asked.ask, **asked.arguments))

    def look(self, asked: HostQuestion) -> Row:
        """Say whether the links run, and how a node is."""
        links = LinksProcess(self.network).pid
        if not asked.node:
            return {"links": links}
        place = self._place(asked.node)
        pid = place.owner()
        paused = pid is not None and is_paused(pid)
        return {"links": links, "pid": pid, "paused": paused, "listens": pid is not None and _listens(place)}

    def doors(self, _: HostQuestion) -> Row:
        """Make a short path to each node's folder: that of a Unix socket holds 107 bytes."""
        folder = Path(self.held.enter_context(tempfile.TemporaryDirectory(prefix="nectar-doors-")))
        for name in self.network.names():
            (folder / name).symlink_to(self.network.place(name).path)
        return {"folder": str(folder)}

    def received(self, asked: HostQuestion) -> Row:
        """Say what a node has received under a name."""
        found = look_at_received(self.network, self._place(asked.node).path.name, asked.file)
        return {} if found is None else {"size": found.size, "digest": found.digest}

    def drop(self, asked: HostQuestion) -> Row:
        """Remove it."""
        folder = inbox(self.network, self._place(asked.node).path.name)
        path = folder / asked.file
        if path.parent not in (folder, folder / PARTIAL):
            raise BadInput(f"{asked.file[:64]!r} is not a file in an inbox.")
        path.unlink(missing_ok=True)
        return {}

    def partial(self, asked: HostQuestion) -> Row:
        """List what a node has received in part."""
        name = self._place(asked.node).path.name
        return {"files": sorted(file for _, file in partial_files(self.network, [name]))}

    def _place(self, name: str) -> NodeFolder:
        check_name(name)
        return self.network.place(name)

    def run(self, asked: HostQuestion) -> Row:
        """Carry out a command of `nectar` in the folder of this host."""
        from nectar_node.cli.main import main  # which takes longer to load than all else here

        if not self.network.exists():
            raise NotRunning("No node of the testnet has run there: start it with `nectar testnet up`.")
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*asked.words, "--dir", str(self.network.folder)])
        return {
            "dir": shlex.quote(str(self.network.folder)),
            "code": code,
            "out": out.getvalue()[:MAX_PRINTED],
            "err": err.getvalue()[:MAX_PRINTED],
        }

    def _stop_nodes(self, names: list[str]) -> None:
        with contextlib.suppress(NodeError):  # the reaper goes on
            launch.stop(self.network.place(name) for name in names)

    def _end_links(self) -> None:
        links = LinksProcess(self.network)
        if not links.left():
            links.stop()


_COMMANDS: dict[str, Callable[[Agent, HostQuestion], Row]] = {
    "hello": Agent.hello,
    "prepare": Agent.prepare,
    "elsewhere": Agent.elsewhere,
    "start": Agent.start,
    "news": Agent.news,
    "stop": Agent.stop,
    "ask": Agent.ask,
    "run": Agent.run,
    "look": Agent.look,
    "doors": Agent.doors,
    "received": Agent.received,
    "drop": Agent.drop,
    "partial": Agent.partial,
}


def _listens(place: NodeFolder) -> bool:
    """Whether somebody listens on a node's control socket; one that is too busy to say so does."""
    try:
        ControlClient.connect(place.path.name, place).close()
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def _allocation_untrusted(prefix: str, names: list[str]) -> Allocation:
    try:
        return decode_allocation_untrusted({"network": LoopbackNetwork(prefix).prefix, "nodes": names})
    except ValueError as error:
        raise BadInput(f"The places of the nodes are not valid: {error}.") from error


def questions(descriptor: int, silence: float) -> Iterator[bytes]:
    """Yield lines until the input ends, nothing comes for so many seconds, or a line is too long."""
    pending = bytearray()
    while True:
        while (end := pending.find(b"\n")) >= 0:
            line = bytes(pending[:end])
            del pending[: end + 1]
            if line:
                yield line
        if len(pending) > MAX_LINE_BYTES or not select.select([descriptor], [], [], silence)[0]:
            return
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        pending += data


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m testnet.hosts.agent", description="Answer for one host.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the testnet on this host")
    parser.add_argument("--detach", action="store_true", help="let nodes outlive this program")
    parser.add_argument("--collect", action="store_true", help="write logs, journals and recordings as one stream")
    parser.add_argument("--keep-packages", action="store_true", help="read packages as one stream")
    arguments = parser.parse_args()
    folder = arguments.folder.expanduser().absolute()
    if arguments.collect:
        write_files(folder, files_to_collect(folder), sys.stdout.buffer)
        return 0
    if arguments.keep_packages:
        try:
            keep_untrusted(folder, sys.stdin.buffer.read(2 * MAX_PACKAGES_BYTES))
        except (NodeError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _interrupted)
    answers = os.dup(1)
    os.dup2(2, 1)  # nothing else may answer
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError), contextlib.ExitStack() as held:
        agent = Agent(LocalNetwork(folder), arguments.detach, held)
        for line in questions(0, SILENCE_SECONDS):
            answer = json.dumps(agent.answer_untrusted(line)).encode() + b"\n"
            view = memoryview(answer)
            while view:
                view = view[os.write(answers, view) :]
    return 0


if __name__ == "__main__":
    sys.exit(main())
