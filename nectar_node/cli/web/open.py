"""`nectar open`: a browser that is signed in."""

from __future__ import annotations

import sys
import webbrowser
from typing import Annotated
from urllib.parse import quote

import typer

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork


def open(
    node: options.Node,
    package: Annotated[
        str, typer.Argument(metavar="[PACKAGE]", help="Whose pages to open, such as chess:sys or chess:chess:sys.")
    ] = "",
    only_print: Annotated[bool, typer.Option("--print", help="Only print the link, and start no browser.")] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Open a node's pages in the browser, signed in.

    The link is printed. It signs in whoever opens it, once, within a minute.
    """
    with LocalNetwork.find(directory).connect(node) as client:
        path = _path(client, package)
        answer = client.ask("open")
    url = f"{answer['url']}&to={quote(path, safe='')}"
    if as_json:
        output.print_json({"node": node, "url": url, "seconds": answer["seconds"]})
        return 0
    print(url)
    if not only_print and sys.stdout.isatty():
        webbrowser.open(url)
    return 0


def _path(client: ControlClient, package: str) -> str:
    """Return the path of the pages of a process, or of a package's only process."""
    if not package:
        return "/"
    try:
        if package.count(":") == 2:
            return f"/{ProcessId.parse(package)}/"
        wanted = PackageId.parse(package)
    except BadAddress as error:
        raise BadInput(f"{error}, such as chess:sys, or the id of one of its processes.") from error
    rows = client.request("ps")["processes"]
    found = [str(row["address"]).partition("@")[2] for row in rows if str(row["address"]).endswith(f":{wanted}")]
    if len(found) != 1:
        there = ", ".join(found) if found else "none"
        raise BadInput(f"Which process of {wanted}? There runs {there}: name one of its processes.")
    return f"/{found[0]}/"
