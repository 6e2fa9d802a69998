"""`nectar replay`: tell a node's core once more what it was told, and compare what it does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.launcher.passwords import for_boot
from nectar_node.recording.errors import BadRecording
from nectar_node.recording.ring import Recorded, nodes_in, recorded
from nectar_node.recording.segments import PURPOSE
from net.names import keyfile
from net.names.keyfile import KeyFileError


def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that `nectar boot --record` was given.")],
    node: Annotated[str, typer.Option("--node", metavar="N", help="Which node; default: the only one.")] = "",
    boot: Annotated[int, typer.Option("--boot", metavar="N", min=0, help="Which boot of it; default: the last.")] = 0,
    until: Annotated[
        float | None, typer.Option("--until", metavar="SECONDS", help="Stop so long after the boot.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file with the password of the node's key.")
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Replay what a node has recorded, and say whether it does the same, or where it first differs."""
    found = _find(folder, node, boot)
    key = _key(directory, found.header.node, password_file)
    # Importing this loads Wasmtime, which costs as much as everything else together.
    from nectar_node.driver.recordings.replaying import replay_of

    began = time.perf_counter()
    player = replay_of(found, key)
    difference = player.run(None if until is None else player.first + until)
    took, seconds = time.perf_counter() - began, player.now - player.first
    if as_json:
        told = None if difference is None else {"step": difference.entry, "at": difference.now - 0.0}
        row = {"node": found.header.node, "boot": found.header.boot, "steps": player.steps, "seconds": seconds}
        words = {} if difference is None else {"recorded": difference.recorded, "replayed": difference.replayed}
        print(json.dumps(row | {"took": took, "difference": told and told | words}))
    elif difference is None:
        cut = " The recording ends within a step, as one does whose node was killed." if player.cut_off else ""
        output.say(
            f"{found.header.node}, boot {found.header.boot}: {player.steps} steps of {seconds:.1f} s replayed in "
            f"{took:.1f} s without a difference.{cut}"
        )
    else:
        output.say(
            f"{found.header.node}, boot {found.header.boot}: the first difference is at step {difference.entry}, "
            f"{difference.now:.3f} s after the boot.\n  recorded: {difference.recorded}\n  replayed: "
            f"{difference.replayed}"
        )
    return 0 if difference is None else 1


def _find(folder: Path, node: str, boot: int) -> Recorded:
    if not node:
        nodes = nodes_in(folder)
        if not nodes:
            raise BadRecording(f"There is no recording in {folder}: `nectar boot NAME --record {folder}` makes one.")
        if len(nodes) > 1:
            raise BadInput(f"{folder} has the recordings of {', '.join(nodes)}: say which with --node.")
        node = nodes[0]
    return recorded(folder, node, boot or None)


def _key(directory: Path, node: str, password_file: Path | None) -> bytes:
    place = LocalNetwork(directory).place(node)
    try:
        return keyfile.unlock_key_file(place.key, for_boot(place, password_file)).identity.derive(PURPOSE)
    except KeyFileError as error:
        raise BadInput(f"The key of {node}, with which its recording is sealed, cannot be used: {error}.") from error
