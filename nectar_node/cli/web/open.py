"""`nectar open`: a browser that is signed in."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import quote

import typer

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import find_shipped
from nectar_node.console import output
from nectar_node.console.browser import open_privately
from nectar_node.launcher import options
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork


def open(
    node: options.Node,
    package: Annotated[
        str, typer.Argument(metavar="[PACKAGE]", help="Whose pages to open: chess, chess:sys or chess:chess:sys.")
    ] = "",
    only_print: Annotated[bool, typer.Option("--print", help="Only print the link, and start no browser.")] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Open a node's pages in the browser, signed in.

    The link is printed. It signs in whoever opens it, once, within a minute.
    """
    network = LocalNetwork.find(directory)
    with network.connect(node) as client:
        answer = client.ask("open")
        path = _path(client, package, node)
        url = f"{answer['url']}&to={quote(path, safe='')}"
        if as_json:
            output.print_json({"node": node, "url": url, "seconds": answer["seconds"]})
            return 0
        print(url, flush=True)
        if not only_print and sys.stdout.isatty():
            link = str(answer["url"]).partition("link=")[2]
            open_privately(url, network.folder, answer["seconds"], lambda: not client.ask("link", name=link)["good"])
    return 0


def _path(client: ControlClient, wanted: str, node: str) -> str:
    """Return the path of the pages of a process, or of the only process of a package that has a page, or that runs."""
    if not wanted:
        return "/"
    parts = wanted.split(":")
    try:
        if len(parts) == 3:
            return f"/{ProcessId.parse(wanted)}/"
        PackageId.parse(wanted if len(parts) > 1 else f"{wanted}:sys")
    except BadAddress as error:
        raise BadInput(
            f"{wanted!r} is no package, and no process: expected a name such as chess, chess:sys or chess:chess:sys."
        ) from error
    rows = [(str(row["address"]).partition("@")[2], row.get("page")) for row in client.request("ps")["processes"]]
    found = [(id, page) for id, page in rows if id.split(":")[1 : 1 + len(parts)] == parts]
    if not found:
        what = parts[0] if find_shipped(parts[0]) else "PATH"
        raise BadInput(f"{wanted} does not run on {node}: start it with `nectar start {what} --node {node}`.")
    best = [id for id, page in found if page] or [id for id, _ in found]
    if len(best) > 1:
        raise BadInput(f"Which process of {wanted}? There run {', '.join(best)}: name one of them.")
    return f"/{best[0]}/"
