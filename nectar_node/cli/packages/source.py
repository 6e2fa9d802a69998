"""What a user names to be installed: a folder, a zip, a package that comes with the node, or a release of a node's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import find_shipped
from nectar_node.cli.packages.fetching import FetchRefused, WantedRelease, fetch_release, parse_release
from nectar_node.console import output
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.packages import unpacking
from nectar_node.packages.unpacking import Prepared
from nectar_node.sharing.wire.messages import OFFLINE

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder or zip with manifest.json, the name of a package that comes with the node, or a release from "
        "another node: name:publisher.nec or name:publisher.nec@version.",
    ),
]
From = Annotated[
    list[str] | None,
    typer.Option("--from", metavar="NAME", help="Another node that may have the release; repeatable."),
]


class FoundPackage(NamedTuple):
    """A package folder that can be installed."""

    prepared: Prepared
    origin: str | None
    """Where it came from, if not from the folder itself."""
    name: str
    """What the user has called it."""


def find(source: str, place: LocalNetwork, node: str, client: ControlClient, sources: tuple[str, ...]) -> FoundPackage:
    """Return the folder of what is to be installed on a node, to which `client` is connected; a release is fetched from
    other nodes, `sources` among them. Raises NodeError, and FetchRefused.
    """
    path = Path(source)
    if not path.exists() and ":" in source:
        folder = _release(parse_release(source), place, node, client, sources)
        return FoundPackage(Prepared(Path(folder), None), None, source)
    if sources:
        raise BadInput("--from says which nodes may have a release: name one, such as chess:ann.nec.")
    path = path if path.exists() else find_shipped(source) or path
    if unpacking.is_single_file(path):
        raise BadInput(f"{path} is a single .wasm file: `nectar start` runs it; a package has a manifest.json.")
    prepared = unpacking.prepare(path, place.node(node).path, apart=True)
    return FoundPackage(prepared, None if path.is_dir() else str(path.resolve()), str(path))


def _release(
    wanted: WantedRelease, place: LocalNetwork, node: str, client: ControlClient, sources: tuple[str, ...]
) -> str:
    """Return the folder with the files of a release."""
    version = "" if wanted.version is None else wanted.version.text
    here = client.ask("find_release", address=str(wanted.package), version=version)
    if here["folder"] is not None and here["certain"]:
        return str(here["folder"])
    try:
        told, _ = fetch_release(place, node, wanted, sources)
    except FetchRefused as refused:
        if refused.kind != OFFLINE or here["folder"] is None:
            raise
        output.complain(f"{refused} So it is {here['version']}, the newest that {node} has.")
        return str(here["folder"])
    return str(told.folder)
