"""`nectar testnet attack`: hostile peers against a node of a running testnet, for some seconds."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from kernel.contract.address import ProcessId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadInput, NotRunning
from nectar_node.console import output, progress
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from testnet.cli.plan_options import Seed
from testnet.faults.hostile_peer import BehaviourName, HostilePeer
from testnet.model.seeds import chosen
from testnet.model.unknown import unknown

if TYPE_CHECKING:
    from testnet.hostile.peer import AttackCounts

ALL = "all"
MAX_SECONDS = 24 * 3600.0
MAX_ATTACKERS = 64
_BEHAVIOURS: tuple[str, ...] = get_args(BehaviourName)
FAILED = 1
"""The exit code if the node has ended, or if nothing has attacked it."""


def attack(
    node: Annotated[str, typer.Option(metavar="NODE", help="The node that is attacked, such as a.nec.")],
    behaviour: Annotated[
        str,
        typer.Option(metavar="B,…", help=f"What the hostile peers do, one each: {', '.join(_BEHAVIOURS)}; or all."),
    ] = ALL,
    seconds: Annotated[float, typer.Option("--for", metavar="SECONDS", help="They leave then.")] = 20.0,
    seed: Seed = None,
    process: Annotated[
        str, typer.Option(metavar="PROCESS", help="A public process there, which requests go to.")
    ] = "hello:hello:sys",
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Attack a node with hostile peers, and show how it fares.

    They are correct in every byte and choose the worst that the protocol allows. They take names from the registrar and
    speak the protocol as docs/wire.md says. `nectar testnet fault add hostile_peer` starts one in the background. Exit
    code: 0, or 1 if the node has ended meanwhile or no hostile peer has got a name.
    """
    # These load the whole net and trio, a quarter of the time of every other command of this group.
    from testnet.hostile.behaviours import AttackOrder
    from testnet.hostile.sockets import attack_for, is_registrar

    names = behaviours(behaviour)
    network = LocalNetwork.find(directory)
    place = network.node(node)
    if (owner := place.owner()) is None:
        raise NotRunning(f"{node} is not running: start it with `{network.command('testnet restart', node)}`.")
    if not (math.isfinite(seconds) and 0 < seconds <= MAX_SECONDS):
        raise BadInput(f"--for {seconds:g} is not a time to attack: give more than 0 and at most {MAX_SECONDS:.0f}.")
    drawn = chosen(seed)
    orders = [AttackOrder(each, node, _process(process), registrar=is_registrar(node)) for each in names]
    with progress.display(output.console(sys.stderr), f"attack on {node} with seed {drawn}"):
        counts = attack_for(directory, orders, drawn, seconds)
    lives = place.owner() == owner
    _tell(node, drawn, dict(zip(names, counts, strict=True)), lives=lives, as_json=as_json)
    if not any(each.names for each in counts):
        output.complain(f"Nothing has attacked {node}: the registrar has given no name to any hostile peer.")
        return FAILED
    return 0 if lives else FAILED


def behaviours(words: str) -> list[BehaviourName]:
    """Return the behaviours that `words` names, separated by commas; raises BadInput."""
    found: list[BehaviourName] = []
    for word in _BEHAVIOURS if words == ALL else [each.strip() for each in words.split(",")]:
        known: list[BehaviourName] = [each for each in get_args(BehaviourName) if each == word]
        if not known:
            raise BadInput(unknown("behaviour", word, _BEHAVIOURS, "all"))
        found += known
    if len(found) > MAX_ATTACKERS:
        raise BadInput(f"{len(found)} hostile peers are too many at once: {MAX_ATTACKERS} are the most.")
    return found


def _process(text: str) -> ProcessId:
    try:
        return ProcessId.parse(text)
    except BadAddress as error:
        raise BadInput(f"--process: {error}, such as hello:hello:sys.") from error


def _tell(node: str, seed: int, counts: dict[BehaviourName, AttackCounts], *, lives: bool, as_json: bool) -> None:
    if as_json:
        rows = [{"behaviour": each, **found.value()} for each, found in counts.items()]
        output.print_json({"node": node, "seed": seed, "running": lives, "peers": rows})
        return
    for each, found in counts.items():
        output.say(f"{HostilePeer(node, each).words()}: {found.words()}.")
    output.say(f"{node} runs on." if lives else f"{node} has ended meanwhile.")
