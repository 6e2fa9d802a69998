"""Starts and stops nodes as operating system processes.

A node is started in a session of its own, so that a Ctrl-C at the terminal reaches the command and not the node; its
output goes to the log in its folder. Which process a node is, and whether it runs, is read from the lock in its folder
each time: there is no list of processes that could be out of date after a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nectar_node.base import own_files
from nectar_node.base.errors import BadFolder, BadInput, CannotStart, NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import GENESIS_FILE, REGISTRAR_NAME
from nectar_node.launcher import fork_server
from nectar_node.launcher.boot_options import BootOptions, as_before, encode_told
from nectar_node.launcher.forked import StartedProcess, forking
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.launcher.log_reader import last_line
from nectar_node.launcher.passwords import with_password

READY_TIMEOUT = 60.0
"""Seconds in which a node must be ready, however busy the machine is."""

STOP_GRACE = 5.0
"""Seconds between asking a node to stop and killing it."""

_KILL_GRACE = 5.0
_NODE = "nectar_node.launcher.child"
_LOOKS = 20
_LOOK_PAUSE = 0.01
"""Seconds between two looks at who holds a lock."""
_MAX_REPORT_BYTES = 1 << 16


@dataclass(slots=True)
class StartedNode:
    """A node that this process started, and that is ready."""

    name: str
    process: StartedProcess
    """The process that has started the node, and ends with it (`supervisor`)."""
    pid: int
    """The node's process id."""
    endpoint: tuple[str, int]
    """The address on which it listens."""
    warning: str | None
    """Why other nodes cannot find it yet, as one sentence; None: they can."""

    def value(self) -> dict[str, object]:
        """Return the node's name, process id and endpoint as JSON."""
        return {"name": self.name, "pid": self.pid, "endpoint": list(self.endpoint), "warning": self.warning}


class ReadyReport(NamedTuple):
    """What a node reports when it is ready; the fields are those of `StartedNode`."""

    endpoint: tuple[str, int]
    warning: str | None


@dataclass(slots=True)
class StartingProcess:
    """A process that is not ready yet."""

    name: str
    folder: NodeFolder
    process: StartedProcess
    ready: int
    """The descriptor from which its report is read; `await_ready` or `abandon`'s caller closes it."""
    received: bytearray = field(default_factory=bytearray)


def start(
    network: LocalNetwork,
    nodes: Sequence[tuple[str, BootOptions]],
    timeout: float = READY_TIMEOUT,
    *,
    copies: bool = True,
) -> list[StartedNode]:
    """Start `nodes`, all at the same time except the registrar, which goes first; return when all are ready.

    With `copies`, they may be copies of a process that has loaded a node's modules (`forked`): where things lie in
    their memory is then as random as ever, but the same in all of them, which is enough for a lab.

    Raises CannotStart, also for AlreadyRunning's sentence, if one of them is not ready within `timeout` seconds; those
    started by this call are then stopped again.
    """
    booting = [(name, _completed(network, name, options)) for name, options in nodes]  # all prompts come first
    try:
        network.create()
    except OSError as error:
        raise _cannot_start(nodes[0][0], error) from error
    deadline = time.monotonic() + timeout
    started: list[StartedNode] = []
    starting: list[StartingProcess] = []
    try:
        for name, options in sorted(booting, key=lambda node: node[0] != REGISTRAR_NAME):
            starting.append(_spawn(network, name, options, len(booting) if copies else 0))
            tell(starting[-1], encode_told(options))  # until then it boots nothing, and ends if this process does
            if name == REGISTRAR_NAME or not (network.folder / GENESIS_FILE).exists():
                _collect(starting, started, deadline)
        _collect(starting, started, deadline)
    except BaseException:
        abandon([*(node.process for node in started), *(node.process for node in starting)])
        raise
    finally:
        for node in starting:
            os.close(node.ready)
    return started


def _completed(network: LocalNetwork, name: str, options: BootOptions) -> BootOptions:
    """Return the options with the password of the node's key, and for a registrar those of its last start."""
    place = network.place(name)
    options = as_before(network.folder, place, options) if name == REGISTRAR_NAME else options
    return with_password(place, options)


def _spawn(network: LocalNetwork, name: str, options: BootOptions, together: int) -> StartingProcess:
    """Start the process of one of so many nodes, as `spawn` does."""
    folder = network.place(name)
    if (owner := folder.owner()) is not None:
        raise CannotStart(f"{name} is running already, as process {owner}.")
    try:
        own_files.make_folder(folder.path)
    except OSError as error:
        raise _cannot_start(name, error) from error
    command = [*options.prefix, *fork_server.command(_NODE, [])]
    module = None if not together or (options.prefix and _network(options.prefix) is None) else _NODE
    return spawn(name, folder, command, (name, str(network.folder)), options.lifeline, module, together)


def spawn(
    name: str,
    folder: NodeFolder,
    command: Sequence[str],
    words: Sequence[str],
    lifeline: int | None = None,
    module: str | None = None,
    together: int = 1,
) -> StartingProcess:
    """Start a process that reports on the descriptor that `--ready-descriptor` names, and logs to `folder`.

    `words` go behind all options of the command, and are never taken for options, whatever a folder is called. `tell`
    writes the process's standard input. The process ends with `lifeline`, a descriptor of ours
    (`nectar_node.base.lifeline`), if it is given one. Raises CannotStart if there is no such program, or no log can be
    written.

    `module` is the one whose `main` the command runs and nothing else: it may then run in a copy of a process that
    has loaded it (`forked`), which there is when so many are started `together`.
    """
    ready, reporting = os.pipe()
    passed = {"--ready-descriptor": reporting, "--lifeline": lifeline}
    given = {option: descriptor for option, descriptor in passed.items() if descriptor is not None}
    options = (word for option, descriptor in given.items() for word in (option, str(descriptor)))
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process: StartedProcess | None = None
    try:
        with open(own_files.open_file(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "wb") as log:
            if module is not None and (server := forking(together)) is not None:
                network = _network(command)
                process = server.start(module, given, words, log.fileno(), environment, network)
            if process is None:
                process = subprocess.Popen(
                    [*command, *options, "--", *words],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=tuple(given.values()),
                    start_new_session=True,
                    env=environment,
                )
    except BaseException as error:
        os.close(ready)
        if isinstance(error, OSError):
            raise _cannot_start(name, error) from error
        raise
    finally:
        os.close(reporting)
    return StartingProcess(name, folder, process, ready)


def _network(command: Sequence[str]) -> Path | None:
    """Return the namespace in which the command runs something by `ip netns exec`; None: it does nothing of the kind.

    A node looks at nothing else that `ip` does for it, which is to show that network's devices in /sys.
    """
    match command:
        case [program, "netns", "exec", name, *_] if Path(program).name == "ip" and "/" not in name:
            return Path("/run/netns", name)
        case _:
            return None


def start_beside(
    name: str, folder: NodeFolder, command: Sequence[str], words: Sequence[str], lifeline: int | None
) -> None:
    """Start a process that is not a node, as `spawn` does, and return when it is ready. Raises CannotStart."""
    starting = spawn(name, folder, command, words, lifeline)
    try:
        tell(starting, b"")
        await_ready(starting, time.monotonic() + READY_TIMEOUT)
    except BaseException:
        abandon([starting.process])
        raise
    finally:
        os.close(starting.ready)


def _cannot_start(name: str, error: OSError) -> CannotStart:
    where = "" if error.filename is None else f"{error.filename}: "
    return CannotStart(f"{name} cannot be started: {where}{error.strerror}.")


def tell(starting: StartingProcess, told: bytes) -> None:
    """Write all of the process's standard input, and close it."""
    pipe = starting.process.stdin
    assert pipe is not None
    with contextlib.suppress(BrokenPipeError), pipe:  # one that has ended already says why elsewhere
        pipe.write(told)


def _collect(starting: list[StartingProcess], started: list[StartedNode], deadline: float) -> None:
    while starting:
        node = starting[0]
        ready = await_ready(node, deadline)
        started.append(StartedNode(node.name, node.process, node.folder.owner() or node.process.pid, *ready))
        os.close(starting.pop(0).ready)


def await_ready(node: StartingProcess, deadline: float) -> ReadyReport:
    """Return a node's report; raises CannotStart, with its reason, also when `deadline`, of time.monotonic(),
    passes.
    """
    while b"\n" not in node.received:
        if not select.select([node.ready], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise CannotStart(f"{node.name} was not ready in time: its log is {node.folder.log}.")
        data = os.read(node.ready, _MAX_REPORT_BYTES)
        node.received += data
        if not data or len(node.received) > _MAX_REPORT_BYTES:
            raise CannotStart(_epitaph(node))
    report = decode_report_untrusted(bytes(node.received))
    if isinstance(report, str):
        raise CannotStart(report)
    return report


def decode_report_untrusted(line: bytes) -> ReadyReport | str:
    """Return what a node reported when it was ready, or raise CannotStart with its reason for not being ready.

    Raises CannotStart on anything else, too.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CannotStart("The node's report is not JSON: are node and launcher of the same version?") from error
    match value:
        case {"endpoint": [str(host), int(port)], "warning": str() | None as warning}:
            return ReadyReport((host, port), warning)
        case {"error": str(sentence)}:
            return sentence
        case _:
            raise CannotStart("The node's report has an unknown shape: are node and launcher of the same version?")


def _epitaph(node: StartingProcess) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        node.process.wait(1)
    reason = last_line(node.folder.log) or f"exit code {node.process.returncode}"
    return f"{node.name} ended before it was ready ({reason.removesuffix('.')}): its log is {node.folder.log}."


def abandon(processes: Iterable[StartedProcess]) -> None:
    """End processes that this process has just started and that are of no use any more."""
    processes = list(processes)
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def stop(folders: Iterable[NodeFolder], grace: float = STOP_GRACE) -> dict[str, str]:
    """Stop the nodes that run in `folders`, and remove the sockets that crashed ones left there.

    Each gets SIGTERM first, and is killed after `grace` seconds. Returns how each that ran has ended: "stopped" or
    "killed". Raises CannotStop if one is still there after that, or is out of reach, and NotOurs; the others have then
    ended.
    """
    folders = list(folders)
    ends: dict[str, str] = {}
    strangers: dict[NodeFolder, NodeError] = {}
    with contextlib.ExitStack() as stack:
        running: dict[str, int] = {}
        supervisors: dict[str, int] = {}
        for folder in folders:
            try:
                if (handle := _handle(folder, stack)) is not None:
                    running[folder.path.name] = handle
                    supervisors.update(_supervisor(folder, stack))
            except (CannotStop, BadFolder) as error:
                strangers[folder] = error
        for handle in running.values():
            _signal(handle, signal.SIGTERM)
            _signal(handle, signal.SIGCONT)  # one that is paused would not notice
        for name in _await_ends(running, grace):
            ends[name] = "stopped"
        stubborn = {name: handle for name, handle in running.items() if name not in ends}
        for handle in stubborn.values():
            _signal(handle, signal.SIGKILL)
        for name in _await_ends(stubborn, _KILL_GRACE):
            ends[name] = "killed"
        _await_ends(supervisors, _KILL_GRACE)
    for folder in folders:
        if folder not in strangers:
            remove_leftovers(folder)
    if left := sorted(running.keys() - ends.keys()):
        raise CannotStop(f"{', '.join(left)} did not end even when killed: is a disk or a debugger holding on to it?")
    if strangers:
        raise next(iter(strangers.values()))
    return ends


class CannotStop(NodeError):
    """A node outlived SIGKILL, which happens to processes that hang in the operating system, or is out of reach."""


def kill(folder: NodeFolder) -> bool:
    """End the node that runs in `folder` as a crash would (SIGKILL), and return whether one ran. Its socket stays
    behind.

    Raises CannotStop if it is out of reach.
    """
    with contextlib.ExitStack() as stack:
        handle = _handle(folder, stack)
        if handle is None:
            return False
        supervisors = _supervisor(folder, stack)
        _signal(handle, signal.SIGKILL)
        _await_ends({folder.path.name: handle}, _KILL_GRACE)
        _await_ends(supervisors, _KILL_GRACE)
    return True


def send_signal(folder: NodeFolder, number: signal.Signals) -> bool:
    """Send a signal to the node that runs in `folder`, and return whether one ran.

    Raises CannotStop if it is out of reach.
    """
    with contextlib.ExitStack() as stack:
        handle = _handle(folder, stack)
        if handle is not None:
            _signal(handle, number)
    return handle is not None


def remove_leftovers(folder: NodeFolder) -> None:
    """Remove the control socket in `folder` if its node has crashed."""
    if folder.owner() is None:
        own_files.remove(folder.control)


def _handle(folder: NodeFolder, stack: contextlib.ExitStack) -> int | None:
    """Return a descriptor of the process that runs in `folder`, or None.

    Process ids are used again; a descriptor stands for one process for ever. It is the node's if the lock is still held
    under the same id after the descriptor was opened, and if that process has the lock open: in a folder that is shared
    with a container the id may be that of another process here. Raises CannotStop in that case.
    """
    for _ in range(_LOOKS):
        if (owner := folder.owner()) is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(owner)
            if folder.owner() == owner and has_open(owner, folder.lock):
                stack.callback(os.close, handle)
                return handle
            os.close(handle)
        time.sleep(_LOOK_PAUSE)  # the new holder of the lock is about to write its id into it
    raise CannotStop(
        f"{folder.path.name} is out of reach: process {owner}, which its lock names, is another one here. "
        "Stop it where it was started, in its container perhaps."
    )


def _supervisor(folder: NodeFolder, stack: contextlib.ExitStack) -> dict[str, int]:
    """Return a descriptor of the process that has started the node in `folder` and ends when it does, by the folder's
    name.

    Empty if there is no such process. The two are recognised by the same command line, since one is a copy of the
    other.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        owner = Path(f"/proc/{folder.owner()}")
        parent = int(owner.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        handle = os.pidfd_open(parent)
        stack.callback(os.close, handle)
        if owner.joinpath("cmdline").read_bytes() == Path(f"/proc/{parent}/cmdline").read_bytes():
            return {folder.path.name: handle}
    return {}


def has_open(pid: int, file: Path) -> bool:
    """Whether the process has a descriptor of that file; False if we may not look."""
    with contextlib.suppress(OSError):
        wanted = file.stat()
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # it has just closed that one
                if os.path.samestat(descriptor.stat(), wanted):
                    return True
    return False


def _signal(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def _await_ends(running: dict[str, int], grace: float) -> list[str]:
    """Return the names of the processes that have ended within `grace` seconds."""
    deadline = time.monotonic() + grace
    left = {handle: name for name, handle in running.items()}
    ended: list[str] = []
    while left:
        ready, _, _ = select.select(list(left), [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            break
        ended += [left.pop(handle) for handle in ready]
    return ended


def parse_names(text: str) -> list[str]:
    """Return the node names in a comma-separated list, without repetitions; raises BadInput if there is none."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise BadInput("Name at least one node, such as --nodes send.nec,recv.nec.")
    return names
