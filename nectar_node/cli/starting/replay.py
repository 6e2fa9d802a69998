"""`nectar replay`: tell a node's core once more what it was told, and compare what it does."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nectar_node.base.errors import BadInput
from nectar_node.base.program import load_module
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.launcher.passwords import for_boot
from net.base.errors import KeyFileError
from net.names import keyfile

_UNTIL = "Stop before step `#412`, `12.5` seconds after the boot, or at a log line or a message with such words."
_BREAK = "Stop there, show what is there, and take commands that look into it."
_EXPORT = "Write what happened there, without content and secrets, as lines of JSON, and replay nothing."
_ASK = "Such a command, in place of a prompt; can be given several times."


def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that `nectar boot --record` was given.")],
    node: Annotated[str, typer.Option("--node", metavar="N", help="Which node; default: the only one.")] = "",
    boot: Annotated[int, typer.Option("--boot", metavar="N", min=0, help="Which boot of it; default: the last.")] = 0,
    until: Annotated[str, typer.Option("--until", metavar="EVENT", help=_UNTIL)] = "",
    stop_at: Annotated[str, typer.Option("--break", metavar="EVENT", help=_BREAK)] = "",
    ask: Annotated[list[str] | None, typer.Option("--ask", metavar="COMMAND", help=_ASK)] = None,
    export: Annotated[Path | None, typer.Option("--export", metavar="FILE", help=_EXPORT)] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file with the password of the node's key.")
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Repeat what a node recorded; show the first difference."""
    # Loading this takes as long as everything else together.
    replaying = load_module("nectar_node.driver.recordings.replaying")
    found = replaying.find(folder, node, boot)
    key = key_of(directory, found.header.node, password_file)
    if export is not None:
        return _export(found, key, export)
    stops = load_module("nectar_node.recording.stops")
    events = [stops.ReplayEvent.parse(each) if each else None for each in (stop_at, until)]
    began = time.perf_counter()
    stopping = stops.StoppingReplay(partial(replaying.replay_of, found, key))
    stop = stopping.go(events[0] or events[1])
    if stop_at and stop is not None:
        prompt = load_module("nectar_node.cli.starting.replay_prompt")
        asked = prompt.ReplayPrompt(stopping, as_json=as_json)
        asked.show(stop)
        asked.ask(prompt.typed_lines() if ask is None else iter(ask))
        return 0 if stopping.difference is None else 1
    if until and stop is not None and not as_json:
        output.say(f"Before step #{stop.step}, {stop.seconds:.6f} s after the boot: {stop.why}.")
    missed = stop is None and stopping.difference is None and bool(stop_at or until)
    if missed:
        output.complain(f"There is nothing of the kind in the recording: {stop_at or until}")
    player, difference = stopping.player, stopping.difference
    took, seconds = time.perf_counter() - began, player.now - player.first
    if as_json:
        told = None if difference is None else {"step": difference.entry, "at": difference.now}
        row = {"node": found.header.node, "boot": found.header.boot, "steps": player.steps, "seconds": seconds}
        words = {} if difference is None else {"recorded": difference.recorded, "replayed": difference.replayed}
        row["missing_segments"] = found.gap
        print(json.dumps(row | {"took": took, "difference": told and told | words}))
    elif difference is None:
        cut = " The recording ends within a step, as one does whose node was killed." if player.cut_off else ""
        if found.gap is not None:
            cut = (
                f" Segments {found.gap[0]} to {found.gap[1]} were removed to make room: what is left behind them is "
                "for --export; a larger --keep holds more."
            )
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
    return 0 if difference is None and not missed else 1


def _export(found: Any, key: bytes, file: Path) -> int:
    exporting = load_module("nectar_node.recording.export")
    count = -1
    try:
        with file.open("x") as opened:
            for row in exporting.exported(found.header, found.entries(key), found.gap):
                opened.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}.") from error
    output.say(f"{file} has {count} steps of {found.header.node}, without content: it cannot be replayed.")
    return 0


def key_of(directory: Path, node: str, password_file: Path | None = None) -> bytes:
    """Return the key of a node's recordings; raises NodeError."""
    place = LocalNetwork(directory).place(node)
    try:
        identity = keyfile.unlock_key_file(place.key, for_boot(place, password_file)).identity
    except KeyFileError as error:
        raise BadInput(f"The key of {node}, with which its recording is sealed, cannot be used: {error}.") from error
    return identity.derive(bytes(load_module("nectar_node.recording.segments").PURPOSE))
