"""`nectar testnet on NODE COMMAND …` and `nectar testnet collect`: for testnets over several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from testnet.cli.hosts.forwarding import hosts_of, kept_in
from testnet.hosts.kept import KeptHosts
from testnet.hosts.network import reach

COLLECTED = "collected"
"""The folder in that of a testnet for what hosts have sent."""
_TAKE_NODE = frozenset(
    [
        "api",
        "df",
        "errors",
        "inbox",
        "info",
        "install",
        "kill",
        "list",
        "logs",
        "message",
        "open",
        "peers",
        "ps",
        "publish",
        "rollback",
        "send",
        "start",
        "state",
        "top",
        "trace",
        "uninstall",
        "upgrade",
    ]
)
"""Commands with an option for the node, which `on` gives them; `send` calls it --from."""


def on(
    node: Annotated[
        str, typer.Argument(metavar="NODE|HOST", help="The node whose machine is meant, or a host's name.")
    ],
    words: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="A command of `nectar`, such as: ps")],
    directory: options.Directory = DEFAULT_FOLDER,
) -> int:
    """Carry out a command of `nectar` where a node runs.

    It has this terminal's input and output. Commands about one node are about NODE, unless they say otherwise.
    """
    kept = _kept(directory)
    [host] = hosts_of(kept, [node])
    command, *rest = words
    option = "--from" if command == "send" else "--node"
    is_said = any(word == option or word.startswith(f"{option}=") for word in rest)
    if command in _TAKE_NODE and host != node and not is_said:
        words = [command, option, node, *rest]
    with reach(kept, [host]) as hosts:
        return hosts.attach(host, words)


def collect(
    target: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Where to; default: collected, in the testnet's folder."),
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Copy logs, traces, journals and recordings from all machines.

    A machine that has not sent all of its files is named, and the exit code is then 1; what has come is kept.
    """
    kept = _kept(directory)
    place = directory / COLLECTED if target is None else target
    lost: dict[str, NodeError] = {}
    with reach(kept, lost=lost) as hosts:
        counts, lacking = hosts.collect(place)
    lacking = [*map(str, lost.values()), *lacking]
    if as_json:
        output.print_json({"folder": str(place), "files": counts, "lacking": lacking})
        return 1 if lacking else 0
    for host, count in counts.items():
        output.say(f"{'1 file' if count == 1 else f'{count} files'} of {host} are in {place / host}.")
    for sentence in lacking:
        output.complain(sentence)
    return 1 if lacking else 0


def _kept(directory: Path) -> KeptHosts:
    kept = kept_in(directory)
    if kept is None:
        LocalNetwork.find(directory)
        raise BadInput(
            f"The nodes of the testnet in {directory} are on this machine: this is for `nectar testnet up --hosts`."
        )
    return kept
