"""`nectar publish`: a release of a package, signed by the node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.packages.exporting import write_zip

PUBLISH_TIMEOUT = 300.0
"""Seconds that a node may take to read and copy a package of the largest size."""


def publish(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="A folder with manifest.json.")
    ],
    node: options.Node,
    zip: Annotated[
        Path | None,
        typer.Option("--zip", metavar="FILE", dir_okay=False, help="Also write the release as a zip with its proof."),
    ] = None,
    as_publisher: Annotated[
        bool,
        typer.Option("--as-publisher", help="First make the node its publisher, in all files of DIR, and build it."),
    ] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Publish a new version of a package, signed by the node.

    Its publisher is the node, and its metadata.json has a version above all that are published.
    The node keeps the files and signs with its key that this is the newest version. Other nodes can then install it as
    name:publisher, from this node or from any that has it.
    """
    if zip is not None and zip.exists():
        raise BadInput(f"{zip} exists already: choose another name, or remove it.")
    with LocalNetwork.find(directory).connect(node) as client:
        if as_publisher:
            _make_publisher(folder.resolve(), node, as_json=as_json)
        answer = client.request("publish", patience=PUBLISH_TIMEOUT, package=str(folder.resolve()))
        if zip is not None:
            proof = client.request("proof", address=answer["package"])
            write_zip(zip, Path(str(proof["folder"])), str(answer["package"]), str(proof["version"]), proof["proof"])
    if as_json:
        output.print_json(answer)
        return 0
    files = answer["files"]
    output.say(
        f"Published {answer['package']} {answer['version']}, release {answer['number']}: {files} "
        f"{'file' if files == 1 else 'files'}, {output.size(answer['bytes'])}."
    )
    for capability, why in answer["asks"]:
        if not why:
            output.complain(
                f"It does not say why it asks for {output.one_line(str(capability))}: write that in the `reasons` "
                "of its metadata.json."
            )
    if zip is not None:
        output.say(f"Wrote {zip}.")
    return 0


def _make_publisher(folder: Path, node: str, *, as_json: bool) -> None:
    """Give a package the publisher `node`, and build it if `nectar build` has built it before."""
    from nectar_node.authoring import build as building  # with all compilers
    from nectar_node.authoring import publisher
    from nectar_node.toolchains import once

    files = publisher.change_publisher(folder, building.read_manifest(folder), node)
    if files and not as_json:
        output.say(f"It is {building.read_manifest(folder).id} now, in {', '.join(files)}.")
    if (folder / building.RECORD).is_file():
        with once.told(output.complain):
            building.build(folder, lambda file: None if as_json else output.say(f"Compiling {file} …"))
