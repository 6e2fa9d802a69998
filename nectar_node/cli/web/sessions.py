"""`nectar sessions`: the browsers that have signed in."""

from __future__ import annotations

from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

app = typer.Typer(help="Show and end the sessions of browsers that have signed in.", no_args_is_help=True)
_HEADINGS = ("SESSION", "FROM", "AGE", "ENDS IN")


@app.command("list")
def list_all(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the browsers that are signed in. All sessions end with the node."""
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("sessions")
    if as_json:
        output.print_json({"node": node, **answer})
        return 0
    rows = [
        (str(row["id"]), str(row["source"]), output.duration(row["age"]), output.duration(row["left"]))
        for row in answer["sessions"]
    ]
    output.print_table(_HEADINGS, rows, _HEADINGS)
    return 0


@app.command()
def token(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Print a token for programs that act in your name.

    With it, programs on this machine send messages to processes and start packages by HTTP. They send it as
    `Authorization: Bearer TOKEN` to /rpc:distro:sys/message. It is good for a week, until it is revoked, or until the
    node goes down.
    """
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("session_token")
    if as_json:
        output.print_json({"node": node, **answer})
    else:
        print(answer["token"])
    return 0


@app.command()
def revoke(
    node: options.Node,
    session: Annotated[str, typer.Argument(metavar="[SESSION]", help="Its id, as `list` shows it.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="All of them, and all links that have not been used.")] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """End a session: that browser has to sign in again."""
    if bool(session) == all_:
        raise BadInput("Say which session to end, or --all.")
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("revoke_session", name=session)
    if as_json:
        output.print_json({"node": node, **answer})
    else:
        ended = answer["ended"]
        output.say("1 session has ended." if ended == 1 else f"{ended} sessions have ended.")
    return 0
