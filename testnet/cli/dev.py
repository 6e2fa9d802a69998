"""`nectar dev`: a package on a testnet of its own, which is built and upgraded whenever a file is saved."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nectar_node.authoring import build as building
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.cli.starting.consent import Grant
from nectar_node.cli.top import keys
from nectar_node.console import output
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import kept_options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.launcher.log_reader import Follower
from nectar_node.packages.startable import read_startable
from nectar_node.toolchains import once
from testnet.cli.testnet import ended_with_the_nodes, follow_from_now, linked, terminated_like_interrupt
from testnet.dev.cycle import Cycle, DevStep
from testnet.dev.powers import Wants, ungranted
from testnet.dev.saved import look
from testnet.real.booting import with_http
from testnet.real.lifeline import hold_lifeline
from testnet.real.links.client import LinksProcess
from testnet.real.orders import add_fault, remove_faults

INTERVAL = 0.2
"""Seconds between two looks at files, logs and keys."""
MAX_NODES = 32
"""More are for a simulation."""
END_SECONDS = 5.0
"""Seconds that a command may take to end in order."""
FAULT_SECONDS = 10.0
"""How long a fault of a key holds."""
OTHER_FOLDER = ".nectar-dev"
"""In the package's folder, if there is a testnet in the usual one."""
_NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_QUIT = ("q", "Q", "\x03", "\x04", "")
_KEYS = "t: tests, f: a fault, w: the page, q: end"
_POWER_KEYS = "y: grant it, n: run it without, q: end."
_FAULT_KEYS = "p: partition, s: slow links, l: lossy links, k: kill a node, e: end all faults"


def dev(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The package's folder; default: this one.", show_default=False)
    ] = Path(),
    nodes: Annotated[int, typer.Option("--nodes", metavar="N", min=1, max=MAX_NODES, help="How many nodes.")] = 2,
    grant: Grant = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="D", file_okay=False, help="A new folder for the testnet; default: DIR/.nectar."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
) -> int:
    """Run a package on nodes of its own, always as it was saved last.

    Whenever a file is saved, it is built and upgraded there. What the nodes log is shown. Keys: t runs the tests, f
    sets a fault, w opens the page, q or Ctrl-C ends. All that was started ends with it, and its folder is removed. If a
    version does not compile, or traps at once, the one before runs on.
    """
    folder = folder.resolve()
    building.find_pkg(folder)  # whose error says what to do
    building.read_manifest(folder)
    voice = _Voice(as_json)
    network = LocalNetwork(directory) if directory else _own_network(folder, voice)
    if network.folder.exists():
        raise BadInput(
            f"{network.folder} is there already: `nectar dev` makes a testnet of its own. End what runs there with "
            f"`{network.command('testnet down')}` and remove it, or give another folder with --dir."
        )
    names = [f"{_NAMES[number]}.nec" if number < len(_NAMES) else f"node{number + 1}.nec" for number in range(nodes)]
    with contextlib.suppress(KeyboardInterrupt), terminated_like_interrupt(), _lifeline(network, names) as lifeline:
        logs = {name: follow_from_now(network, name) for name in names}
        with contextlib.suppress(KeyboardInterrupt):  # which must not hurry the end of what ends with the lifeline
            _boot(network, [REGISTRAR_NAME, *names], lifeline, voice)
            with ThreadPoolExecutor(1) as boots:
                _Session(folder, network, names, tuple(grant or ()), logs, lifeline, voice, boots).run()
    voice.say("ended", "Ended.")
    return 0


def _own_network(folder: Path, voice: _Voice) -> LocalNetwork:
    """Return a network that is not there yet; raises BadInput.

    A testnet in the usual folder is somebody's, and is left alone. The other folder has only what `nectar dev` has
    made: if nothing runs there, it is what a machine that has crashed has left.
    """
    usual, other = LocalNetwork(folder / DEFAULT_FOLDER), LocalNetwork(folder / OTHER_FOLDER)
    if not usual.folder.exists():
        return usual
    if any(other.place(name).owner() is not None for name in other.names()):
        raise BadInput(
            f"`nectar dev` runs here already, in {other.folder}, and {usual.folder} is another testnet: end the former "
            "with q or Ctrl-C, or give another folder with --dir."
        )
    shutil.rmtree(other.folder, ignore_errors=True)
    voice.say(
        "folder",
        f"{usual.folder} is another testnet, and is left alone: for commands to these nodes, say --dir "
        f"{os.path.relpath(other.folder)}.",
        folder=str(other.folder),
    )
    return other


@dataclass(frozen=True, slots=True)
class _Voice:
    """Tells people what happens, or programs."""

    as_json: bool

    def say(self, event: str, sentence: str, **fields: object) -> None:
        """Tell of something that was to be."""
        self._tell(output.say, event, sentence, fields)

    def complain(self, event: str, sentence: str, **fields: object) -> None:
        """Tell of something that has gone wrong."""
        self._tell(output.complain, event, sentence, fields)

    def _tell(self, how: Callable[[str], None], event: str, sentence: str, fields: dict[str, object]) -> None:
        if self.as_json:
            print(json.dumps({"event": event, **fields, "sentence": sentence}, ensure_ascii=False), flush=True)
        else:
            how(sentence)


@contextmanager
def _lifeline(network: LocalNetwork, names: Sequence[str]) -> Iterator[int]:
    """Yield the lifeline of a testnet. All of it ends with this, or with this process, and its folder is removed."""
    every = [REGISTRAR_NAME, *names]
    with hold_lifeline(network.folder, [network.folder], every) as lifeline:
        try:
            with ended_with_the_nodes(LinksProcess(network)):
                try:
                    yield lifeline
                finally:
                    launch.stop(network.place(name) for name in every)
        finally:
            shutil.rmtree(network.folder, ignore_errors=True)


def _boot(network: LocalNetwork, names: Sequence[str], lifeline: int, voice: _Voice) -> None:
    began = time.monotonic()
    options = {name: with_http(name, replace(linked(network, name), lifeline=lifeline)) for name in names}
    for node in launch.start(network, list(options.items())):
        if node.warning is not None:
            voice.complain("warning", node.warning, node=node.name)
    seconds = output.duration(time.monotonic() - began)
    voice.say("running", f"{', '.join(names[1:])} run after {seconds}. {_KEYS}.", nodes=list(names[1:]))


@dataclass(slots=True)
class _Child:
    """A command that runs beside this one, in a session of its own: signals of the terminal reach us alone."""

    process: subprocess.Popen[bytes]
    done: Callable[[int, str, str], None]
    """Told of its exit code, its output and its complaints."""
    folder: Path | None = None
    """Where the latter two are; None: people have read them."""
    read: int = 0
    """Characters of its complaints that have been looked at."""

    def fetches(self) -> list[str]:
        """Return the sentences about tools that it has said since this was called last."""
        if self.folder is None:
            return []
        new = _text(self.folder / _STREAMS[1])[self.read :]
        new = new[: new.rfind("\n") + 1]
        self.read += len(new)
        return [line for line in new.splitlines() if line.startswith((once.FETCHING, once.FETCHED))]

    def end(self) -> None:
        """End it with all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._forget()

    def tell(self, code: int) -> None:
        """Pass on what has come of it."""
        told = ["", ""] if self.folder is None else [_text(self.folder / name) for name in _STREAMS]
        self._forget()
        self.done(code, told[0], told[1])

    def _forget(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


_STREAMS = ("output", "complaints")


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


@dataclass(slots=True)
class _Session:
    """What goes on between the first build and the last key."""

    folder: Path
    network: LocalNetwork
    names: Sequence[str]
    grants: tuple[str, ...]
    logs: dict[str, Follower]
    lifeline: int
    voice: _Voice
    boots: ThreadPoolExecutor
    """Where nodes that were killed boot: that takes seconds, in which the screen goes on."""
    booting: list[tuple[str, Future[list[launch.StartedNode]]]] = field(default_factory=list)
    cycle: Cycle = field(default_factory=Cycle)
    children: list[_Child] = field(default_factory=list)
    waiting: int = 0
    """Nodes that have not said yet whether they run the new version."""
    package: str = ""
    began: float = 0.0
    faulting: bool = False
    """Whether the next key chooses a fault."""
    interactive: bool = False
    """Whether somebody can press keys."""
    denials: frozenset[str] = frozenset()
    """Powers that the package is to do without."""
    asked: tuple[str, ...] = ()
    """Powers about which the next key decides."""

    def run(self) -> None:
        """Go on until a key or a signal ends it; whatever happens, no child is left."""
        before = look(self.folder)
        with contextlib.ExitStack() as stack:
            descriptor = stack.enter_context(keys()) if sys.stdin.isatty() else None
            self.interactive = descriptor is not None
            stack.callback(self._end_children)
            while True:
                self._proceed()
                if self._pressed(descriptor):
                    return
                self._reap()
                self._tell_of_boots()
                self._show_logs()
                now = look(self.folder)
                if now != before:
                    before = now
                    self.cycle.saved()

    # --- building and upgrading

    def _proceed(self) -> None:
        match self.cycle.next():
            case DevStep.BUILD:
                self.began = time.monotonic()
                self.voice.say("building", "Building …")
                self._run(["build", str(self.folder), "--json"], self._built)
            case DevStep.START:
                self._start_or_ask()

    def _start_or_ask(self) -> None:
        """Start the package on all nodes; if it asks for powers that nobody has granted it, ask about them first."""
        try:
            wants = ungranted(read_startable(self.folder, self.names[0]), self.names[0], self.grants, self.denials)
        except (NodeError, OSError):  # the manifest has just been changed: `nectar start` says what is wrong with it
            wants = Wants()
        if not wants.powers or not self.interactive:
            self._start(wants)
            return
        self.asked = tuple(wants.powers)
        lines = [output.one_line(f"  to {allows} ({power})") for power, allows in wants.powers.items()]
        sentence = "\n".join([f"{self.package} asks for what it gets only if you say so:", *lines, _POWER_KEYS])
        self.voice.say("asks", sentence, powers=list(self.asked))

    def _start(self, wants: Wants) -> None:
        self.waiting = len(self.names)
        options = [word for each in self.grants for word in ("--grant", each)]
        options += [word for each in wants.denied for word in ("--deny", each)]
        for name in self.names:
            command = ["start", str(self.folder), "--node", name, "--dir", str(self.network.folder), "--json"]
            self._run([*command, *options], partial(self._started, name))

    def _decide(self, key: str) -> None:
        """Do with the powers that were asked for as a key says."""
        if key not in ("y", "n"):
            self.voice.say("keys", _POWER_KEYS)
            return
        if key == "y":
            self.grants = (*self.grants, *self.asked)
        else:
            self.denials |= frozenset(self.asked)
        self.asked = ()
        self._start_or_ask()

    def _built(self, code: int, said: str, wrong: str) -> None:
        if code != 0:
            lines = [each for each in wrong.splitlines() if not each.startswith((once.FETCHING, once.FETCHED))]
            wrong = "\n".join(lines)
            self.voice.complain("not built", f"✗ {wrong.strip() or f'the build ended with {code}'}")
            self.cycle.built(None)
            return
        built: dict[str, Any] = json.loads(said)
        self.package = built["package"]
        compiled = ", ".join(built["compiled"]) or "nothing new"
        seconds = output.duration(time.monotonic() - self.began)
        self.voice.say("built", f"✓ built {compiled} in {seconds}", compiled=built["compiled"])
        self.cycle.built(built["digest"])

    def _started(self, name: str, code: int, said: str, wrong: str) -> None:
        if code != 0:
            why = output.one_line(wrong.strip() or _traps(said) or f"it ended with {code}")
            why = why.partition(" Say --keep")[0]  # here the next save is what helps
            self.voice.complain("not upgraded", f"✗ {name}: {why}", node=name)
        else:
            self.voice.say("upgraded", f"✓ {name} runs {self.package}", node=name)
        self.waiting -= 1
        if self.waiting == 0:
            self.cycle.started()

    # --- keys

    def _pressed(self, descriptor: int | None) -> bool:
        """Wait for a key and do what it says; return whether that is to end."""
        if descriptor is None:
            time.sleep(INTERVAL)
            return False
        if not select.select([descriptor], [], [], INTERVAL)[0]:
            return False
        key = os.read(descriptor, 1).decode("ascii", "replace")
        if self.faulting:
            self.faulting = False
            self._fault(key)
        elif key in _QUIT:
            return True
        elif self.asked:
            self._decide(key)
        elif key == "t":
            self.voice.say("tests", "Running the tests.")
            self._show([sys.executable, "-m", "pytest", str(self.folder)], "the tests", self.folder)
        elif key == "f":
            self.faulting = True
            self.voice.say("keys", f"Which fault? {_FAULT_KEYS}.")
        elif key == "w":
            command = ["open", self.package, "--node", self.names[0], "--dir", str(self.network.folder)]
            self._show([*_nectar(), *command], "the page", None)
        else:
            self.voice.say("keys", f"{_KEYS}.")
        return False

    def _fault(self, key: str) -> None:
        between = {"between": list(self.names[:2])} if len(self.names) > 1 else {}
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            "p": ("partition", between),
            "s": ("latency", {"seconds": 0.5}),
            "l": ("loss", {}),
        }
        try:
            if key == "e":
                ended = len(remove_faults(self.network, None))
                self.voice.say("fault", f"{ended} {'fault has' if ended == 1 else 'faults have'} ended.")
            elif key == "k":
                self._kill(self.network.place(self.names[-1]))
            elif key in kinds:
                row = add_fault(self.network, *kinds[key], FAULT_SECONDS)
                sentence = f"Fault {row['number']} holds for {FAULT_SECONDS:g} s: {row['words']}."
                self.voice.say("fault", sentence)
            else:
                self.voice.say("fault", "No fault.")
        except NodeError as error:
            self.voice.complain("fault", str(error))

    def _kill(self, node: NodeFolder) -> None:
        """Crash a node, and start it again: here, so that it ends with us like the others."""
        name = node.path.name
        if self.booting:
            self.voice.say("fault", f"{name} has been killed, and is not ready again yet.", node=name)
            return
        launch.kill(node)
        self.voice.say("fault", f"{name} is killed, and starts again.", node=name)
        options = replace(kept_options(node), lifeline=self.lifeline)
        self.booting.append((name, self.boots.submit(launch.start, self.network, [(name, options)])))

    def _tell_of_boots(self) -> None:
        for name, boot in [each for each in self.booting if each[1].done()]:
            self.booting.remove((name, boot))
            try:
                boot.result()
            except NodeError as error:
                self.voice.complain("fault", str(error), node=name)
            else:
                self.voice.say("running", f"{name} runs again.", node=name)

    # --- children

    def _run(self, words: Sequence[str], done: Callable[[int, str, str], None]) -> None:
        """Run a command of ours, whose output is for us."""
        folder = Path(tempfile.mkdtemp(prefix="nectar-dev-"))
        with (folder / _STREAMS[0]).open("wb") as said, (folder / _STREAMS[1]).open("wb") as wrong:
            process = subprocess.Popen(
                [*_nectar(), *words], stdin=subprocess.DEVNULL, stdout=said, stderr=wrong, start_new_session=True
            )
        self.children.append(_Child(process, done, folder))

    def _show(self, command: Sequence[str], what: str, where: Path | None) -> None:
        """Run a command whose output is for people."""
        process = subprocess.Popen(command, cwd=where, stdin=subprocess.DEVNULL, start_new_session=True)

        def done(code: int, said: str, wrong: str) -> None:
            if code != 0:
                self.voice.complain("failed", f"✗ {what}: exit code {code}")

        self.children.append(_Child(process, done))

    def _reap(self) -> None:
        for child in list(self.children):
            code = child.process.poll()
            for sentence in child.fetches():
                self.voice.say("fetching", sentence)
            if code is not None:
                self.children.remove(child)
                child.tell(code)

    def _end_children(self) -> None:
        for child in self.children:
            child.end()

    def _show_logs(self) -> None:
        width = max(map(len, self.names))
        for name, follower in self.logs.items():
            for line in follower.lines():
                self.voice.say("log", line if self.voice.as_json else f"{name:{width}} | {line}", node=name)


def _traps(said: str) -> str:
    """Return which processes have trapped, from the answer of `nectar start --json`."""
    with contextlib.suppress(ValueError):
        processes = json.loads(said)["processes"]
        return "; ".join(f"{each['address']}: {each['trap']}" for each in processes if each.get("trap"))
    return ""


def _nectar() -> list[str]:
    return [sys.executable, "-P", "-m", "nectar_node"]
