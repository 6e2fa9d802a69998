"""`nectar start` and `nectar kill`: start processes on a node, and end them."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from kernel.contract.address import SYSTEM, ProcessId
from kernel.contract.errors import BadAddress
from nectar_node.base.consent import Consent
from nectar_node.base.errors import BadInput, NeedsConsent
from nectar_node.base.shipped import find_shipped
from nectar_node.cli.starting import consent
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer, ControlClient, ControlError
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.packages import unpacking
from nectar_node.packages.interfaces import read_interface_files
from nectar_node.packages.manifest import NETWORK_WORD, parse_capability

FAILED = 1
"""The exit code if a process has trapped at once, or cannot be started."""
START_TIMEOUT = 300.0
"""Seconds that a node may take to compile all processes of a package."""


class OnExitChoice(enum.StrEnum):
    """What happens when a single file's process ends (G22)."""

    NONE = "none"
    RESTART = "restart"


Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="For a single file: its process, or process:package:publisher.")
]
Public = Annotated[bool, typer.Option("--public", help="For a single file: every process of the node may message it.")]
UseNetwork = Annotated[bool, typer.Option("--network", help="For a single file: it may use the network.")]
Cap = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CAP",
        help="For a single file: process:package:publisher, to message it, 'ISSUER JSON', or network; repeatable.",
    ),
]
As = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        help="For a single file: take the name of a system process that the node does not have, such as "
        "eth:distro:sys. Every package that asks NAME is answered by yours.",
    ),
]
OnExit = Annotated[OnExitChoice | None, typer.Option("--on-exit", help="For a single file: what happens when it ends.")]


Source = Annotated[
    Path,
    typer.Argument(
        metavar="PATH",
        help="A .wasm component or module, a folder or zip with manifest.json, or the name of a package that comes "
        "with the node.",
    ),
]
Keep = Annotated[
    bool, typer.Option("--keep", help="Run a new version even if it fails at once; else the one before runs again.")
]


def start(
    path: Source,
    node: options.Node,
    grant: consent.Grant = None,
    deny: consent.Deny = None,
    replace: consent.Replace = False,
    allow_sys: consent.AllowSys = False,
    name: Name = None,
    public: Public = False,
    network: UseNetwork = False,
    cap: Cap = None,
    on_exit: OnExit = None,
    stands_in: As = None,
    keep: Keep = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Start processes on a node, which then run again at each boot.

    All of them start or, if one cannot, none. A package takes the place of what runs of it, children included; if a
    process of the new version traps at once, the version before runs again. A single file takes the place of a process
    of the same name.

    A package says in its manifest.json what its processes ask for; --deny withholds some of it. Rights over other
    packages or the node itself it gets only if you agree, or say --grant. The node remembers both. Exit code: 0, or 1
    if nothing has been started, or a process has trapped at once.
    """
    path = path if path.exists() else find_shipped(str(path)) or path
    place = LocalNetwork.find(directory)
    folder = place.node(node).path
    said = Consent(
        (*(grant or ()), *(cap or ())), tuple(deny or ()), replace, allow_sys, _system_name(stands_in, name) or ""
    )
    single = _Single(name, stands_in, public, network, cap, on_exit)
    with place.connect(node) as client:
        prepared = _wrapped(path, single, folder) if unpacking.is_single_file(path) else _package(path, single, folder)
        try:
            answer = _start(client, prepared, path, said, keep=keep, as_json=as_json)
        except BaseException as error:
            unpacking.discard(prepared)
            if not isinstance(error, (BadInput, ControlError, NeedsConsent)):
                raise
            # The copy below the node's folder is unknown to the user.
            sentence = str(error).replace(str(prepared.folder.resolve()), str(path))
            raise type(error)(sentence) from error
    _warn(answer, path)
    if answer.get("ended") and not as_json:
        output.complain(f"Ended with the version before: {', '.join(answer['ended'])}.")
    if as_json:
        output.print_json(answer)
    else:
        _print(answer, place, node)
        _print_api(answer, prepared.folder, place, node)
    return FAILED if any(each.get("trap") for each in _started(answer)) else 0


class _Single(NamedTuple):
    """What is said of a single file, which has no manifest."""

    name: str | None
    stands_in: str | None
    public: bool
    network: bool
    cap: list[str] | None
    on_exit: OnExitChoice | None


def _wrapped(path: Path, said: _Single, folder: Path) -> unpacking.Prepared:
    """Return a package around a single file; raises BadInput."""
    wanted = said.cap or []
    others = capabilities([each for each in wanted if each != NETWORK_WORD])
    name = unpacking.name_for(path, said.stands_in or said.name)
    network = said.network or NETWORK_WORD in wanted
    return unpacking.wrap(path, unpacking.SingleFile(name, said.public, network, others, said.on_exit), folder)


def _package(path: Path, said: _Single, folder: Path) -> unpacking.Prepared:
    """Return a package of which its own manifest says what is said of a single file; raises BadInput."""
    if said.stands_in is not None:
        raise BadInput(f"--as is for a single .wasm file: {path} is a package, whose processes have their names.")
    for field in ("name", "public", "network", "cap", "on_exit"):
        if getattr(said, field):
            option = "--" + field.replace("_", "-")
            raise BadInput(f"{option} is for a single .wasm file: the manifest.json of {path} says it for a package.")
    return unpacking.prepare(path, folder)


def _system_name(stands_in: str | None, name: str | None) -> str | None:
    """Return what --as names; raises BadInput."""
    if stands_in is None:
        return None
    if name is not None:
        raise BadInput("--as is the process's name already: leave --name out.")
    try:
        if ProcessId.parse(stands_in).package_id == SYSTEM:
            return stands_in
    except BadAddress:
        pass
    raise BadInput("--as takes the name of a system process that the node does not have, such as eth:distro:sys.")


def _started(answer: Answer) -> list[Answer]:
    return [each for each in answer.get("processes", ()) if isinstance(each, dict)]


def _start(
    client: ControlClient, prepared: unpacking.Prepared, path: Path, said: Consent, *, keep: bool, as_json: bool
) -> Answer:
    folder = str(prepared.folder.resolve())
    origin = None if path.is_dir() else str(path.resolve())

    def words(said: Consent) -> dict[str, object]:
        spoken = {"grant": said.grant, "deny": said.deny, "replace": said.replaces, "allow_sys": said.allows_sys}
        spoken["stands_in"] = said.stands_in
        return {"package": folder, "origin": origin, "keep": keep, "single": unpacking.is_single_file(path), **spoken}

    question = client.ask("review", START_TIMEOUT, **words(said))
    if said.stands_in and not as_json:
        output.say(
            f"{path} takes the name {said.stands_in}: what packages of this node ask {said.stands_in} comes to it, "
            "after restarts too, and they believe its answers."
        )
    said = consent.settle(question, said, as_json=as_json)
    return started(client, "start", as_json=as_json, **words(said))


def started(client: ControlClient, command: str, *, as_json: bool, **arguments: object) -> Answer:
    """Send a command that starts processes, show what is compiled meanwhile, and return its answer.

    Raises as `ControlClient.request` does.
    """
    client.send(command, tells=not as_json, **arguments)
    with ExitStack() as stack:
        return client.follow_to_answer("the start", START_TIMEOUT, partial(_show, output.console(sys.stderr), stack))


def _show(console: Console, stack: ExitStack, event: Answer) -> None:
    """Show what is compiled: on a terminal until something else is, elsewhere as one line."""
    text = output.one_line(str(event.get("compiling")))
    if console.is_terminal:
        stack.close()
        stack.enter_context(console.status(Text(text)))
    else:
        output.complain(text)


def kill(
    address: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help="process:package:publisher, or package:publisher for all of a package."),
    ],
    node: options.Node,
    tree: Annotated[bool, typer.Option("--tree", help="Also end its children, their children, and so on.")] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """End a process of a node at once. It does not start again, and what it issued is revoked.

    Its children go on running, unless you say --tree. Those of a whole package end with it.
    """
    place = LocalNetwork.find(directory)
    with place.connect(node) as client:
        answer = client.ask("kill", address=address, tree=tree)
    if as_json:
        output.print_json(answer)
        return 0
    ended, children = answer.get("ended"), answer.get("children")
    gone = f"{answer.get('package') or answer.get('address', address)} is gone"
    if tree or "package" in answer:
        output.say(f"{gone}, and its children with it: {ended} {'process' if ended == 1 else 'processes'} ended.")
    else:
        output.say(f"{gone}.")
    if children:
        end = place.command("kill", "--tree", address, "--node", node)
        run = "1 child of it still runs" if children == 1 else f"{children} children of it still run"
        output.complain(f"{run}: `{end}` ends them too.")
    return 0


def capabilities(texts: Sequence[str]) -> tuple[object, ...]:
    """Return capabilities as people write them, in a manifest's shape; raises BadInput."""
    wanted: list[object] = []
    for text in texts:
        issuer, params = parse_capability(text, "our")
        wanted.append({"process": str(issuer.process), "params": json.loads(params)})
    return tuple(wanted)


def _warn(answer: Answer, path: Path) -> None:
    unknown = [repr(str(key)) for key in answer.get("unknown_keys", ())]
    if unknown:
        output.complain(output.one_line(f"The manifest.json of {path} has unknown keys: {', '.join(unknown)}."))


def _print(answer: Answer, network: LocalNetwork, node: str) -> None:
    started = _started(answer)
    rows = [row for each in started for row in _rows(each)]
    output.print_table(("PROCESS", "ASKS FOR", "GRANTED"), rows)
    for each in started:
        if each.get("ended"):
            if each.get("trap"):
                why = output.one_line(str(each["trap"])).rstrip(".")
                output.complain(f"our@{_process(each)} was started and has ended already: {why}.")
                continue
            logs = network.command("logs", "--node", node)
            output.say(f"our@{_process(each)} was started and has ended already: `{logs}` may say why.")
            continue
        others = f"every process of {node}" if each.get("public") else "processes that hold its messaging capability"
        output.say(f"Started our@{_process(each)}: you may message it, and {others}.")
    running = [_process(each) for each in started if not each.get("ended")]
    if running:
        command = network.command("message", f"our@{running[0]}", "BODY", "--node", node)
        output.say(f"For example: {command}")
    if not started:
        output.say(f"{answer.get('package')} is installed; it has no processes to start.")


def _print_api(answer: Answer, folder: Path, network: LocalNetwork, node: str) -> None:
    """Name the command that shows what may be put for BODY, if the package describes that."""
    if any(not each.get("ended") for each in _started(answer)) and read_interface_files(folder):
        output.say(f"What it understands: {network.command('api', str(answer.get('package')), '--node', node)}")


def _rows(started: Answer) -> list[tuple[str, str, str]]:
    asked, granted, absent = (started.get(each) or [] for each in ("asked", "granted", "absent"))
    process = _process(started)
    if not asked:
        return [(process, "nothing", "-")]
    return [
        (process if number == 0 else "", str(each), _whether(str(each), granted, absent))
        for number, each in enumerate(asked)
    ]


def _whether(capability: str, granted: Sequence[object], absent: Sequence[object]) -> str:
    if capability in absent:
        return f"no: this node has no {capability.partition(' ')[0]}"
    return "yes" if capability in granted else "no"


def _process(started: Answer) -> str:
    return str(started.get("address")).rpartition("@")[2]
