"""What a user names to be installed: a folder, a zip, a package that comes with the node, or a release of a node's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import find_shipped
from nectar_node.console import output
from nectar_node.launcher.client import Answer, ControlClient, NodeEvent
from nectar_node.packages import unpacking
from nectar_node.packages.unpacking import Prepared

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder or zip with manifest.json, the name of a package that comes with the node, or a release from "
        "another node: name:publisher.nec or name:publisher.nec@version.",
    ),
]


class Found(NamedTuple):
    """A package folder that can be installed."""

    prepared: Prepared
    origin: str | None
    """Where it came from, if not from the folder itself."""
    name: str
    """What the user has called it."""


def parse_release(text: str) -> tuple[PackageId, str] | None:
    """Return the package and the version in `name:publisher[@version]`; an empty version is the newest. None: it is no
    release.
    """
    id, _, version = text.partition("@")
    try:
        return PackageId.parse(id), version
    except BadAddress:
        return None


def find(source: str, node: Path, client: ControlClient) -> Found:
    """Return the folder of what is to be installed; `node` is the node's own folder. Raises NodeError."""
    path = Path(source)
    release = parse_release(source)
    if not path.exists() and release is not None:
        package, version = release
        client.send("find_release", address=str(package), version=version)
        answer = client.follow(None)
        while isinstance(answer, NodeEvent):
            _show(answer.value)
            answer = client.follow(None)
        assert answer is not None
        return Found(Prepared(Path(str(answer["folder"])), None), None, source)
    path = path if path.exists() else find_shipped(source) or path
    if unpacking.is_single_file(path):
        raise BadInput(f"{path} is a single .wasm file: `nectar start` runs it; a package has a manifest.json.")
    prepared = unpacking.prepare(path, node)
    return Found(prepared, None if path.is_dir() else str(path.resolve()), str(path))


def _show(event: Answer) -> None:
    if isinstance(event.get("text"), str):
        output.complain(output.one_line(event["text"]))
