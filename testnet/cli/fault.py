"""`nectar testnet fault`: faults of the links and nodes of a running testnet."""

from __future__ import annotations

from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from testnet.cli.hosts import forwarding
from testnet.cli.hosts.forwarding import kept_in
from testnet.faults import FAULTS
from testnet.faults.catalogue import about, parameter_names
from testnet.real.links.client import LinksProcess, Row
from testnet.real.orders import absolute, add_fault, parse_parameters, parse_where, remove_faults

app = typer.Typer(help="Break the links between the nodes, and mend them.", no_args_is_help=True)


@app.command()
def add(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="Such as partition or latency; an unknown one lists all.")
    ],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]…", help="Its parameters, such as seconds=0.2."),
    ] = None,
    between: Annotated[str, typer.Option(metavar="A,B", help="On the links between two nodes, both ways.")] = "",
    source: Annotated[str, typer.Option("--from", metavar="A", help="Only on the way from this node.")] = "",
    target: Annotated[str, typer.Option("--to", metavar="B", help="Only on the way to this node.")] = "",
    node: Annotated[str, typer.Option(metavar="A", help="On all links of a node, or with the node itself.")] = "",
    seconds: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", help="It ends by itself after that time.")
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Add a fault, which holds until it is removed or its time is over."""
    given = parse_parameters(parameters or []) | parse_where(between, source, target, node)
    network = LocalNetwork(directory)
    if (kept := kept_in(directory)) is not None:
        row = forwarding.add_fault(kept, kind, given, seconds)
    else:
        row = add_fault(LocalNetwork.find(directory), absolute(kind), given, seconds)
    if as_json:
        output.print_json(row)
    else:
        end = network.command("testnet fault remove", str(row["number"]))
        how_long = f"for {seconds:g} s" if seconds is not None else f"until `{end}`"
        output.say(f"Fault {row['number']} holds {how_long}: {row['words']}.")
    return 0


@app.command("list")
def list_(directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Show the faults that hold now."""
    kept = kept_in(directory)
    rows = (
        forwarding.faults(kept)
        if kept is not None
        else LinksProcess(LocalNetwork.find(directory)).ask("faults")["faults"]
    )
    if as_json:
        output.print_json({"faults": rows})
    elif rows:
        output.print_table(("FAULT", "WHAT", "ENDS"), [(str(row["number"]), row["words"], _ends(row)) for row in rows])
    else:
        output.complain("No fault holds.")
    return 0


def _ends(row: Row) -> str:
    return "-" if row["left"] is None else f"in {output.duration(row['left'])}"


@app.command()
def remove(
    which: Annotated[str, typer.Argument(metavar="N|all", help="The fault's number, or all of them.")],
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Remove a fault, or all of them."""
    if which != "all" and not (which.isascii() and which.isdigit()):
        raise BadInput(f"{which!r} is not a fault: give its number, or all.")
    number = None if which == "all" else int(which)
    if (kept := kept_in(directory)) is not None:
        removed = forwarding.remove_faults(kept, number)
    else:
        removed = remove_faults(LocalNetwork.find(directory), number)
    if as_json:
        output.print_json({"removed": removed})
    for row in removed if not as_json else ():
        output.say(f"Fault {row['number']} is removed: {row['words']}.")
    if not removed and not as_json:
        output.complain("No fault held.")
    return 0


@app.command()
def kinds(as_json: options.AsJson = False) -> int:
    """List all faults and their parameters."""
    known = {kind: (about(found), list(parameter_names(found))) for kind, found in FAULTS.items()}
    if as_json:
        output.print_json({kind: {"about": what, "parameters": names} for kind, (what, names) in known.items()})
        return 0
    rows = [(kind, what, ", ".join(names)) for kind, (what, names) in known.items()]
    output.print_table(("KIND", "WHAT HAPPENS", "PARAMETERS"), rows)
    return 0
