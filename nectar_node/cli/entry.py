"""The start of the `nectar` command: Ctrl-C ends it without a word even while it is still loading.

Typer takes longer to load than a file of 50 MiB to be sent. So what people and scripts usually type of `send` is read
here, and `--version`; all else, and whatever is wrong with it, is Typer's.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

OPTIONS = {"--from": "source", "--to": "targets", "--dir": "directory"}
"""Options of `nectar send` that have a value, and the parameters of its function."""
FLAGS = {"--json": "as_json"}
_COMPLETING = "_NECTAR_COMPLETE"
"""The environment variable of a shell that wants a word to be completed."""


def main() -> int:
    """Load what the command needs and run it; return the exit code."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else the process that started this one wants it otherwise
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nectar_node.base.program import load, load_module

    found = None if _COMPLETING in os.environ else plain_send(sys.argv[1:])
    run: Callable[[], int]
    if sys.argv[1:] == ["--version"] and _COMPLETING not in os.environ:
        run = _say_version
    elif found is None:
        run = load("nectar_node.cli.main")
    else:
        run = partial(_send, load_module("nectar_node.cli.send").send, found)
    signal.signal(signal.SIGINT, before)
    return run()


def say_version() -> None:
    """Print the version."""
    from importlib.metadata import version

    from nectar_node.console import output

    output.say(f"nectar {version('nectar-node')}")


def _say_version() -> int:
    from nectar_node.console import outcome, streams

    streams.make_usable()
    return outcome.carry_out(say_version)


def plain_send(words: Sequence[str]) -> dict[str, object] | None:
    """Return the arguments of `nectar send` if the words are that, with files and a network's folder that are there;
    None: Typer reads them.
    """
    if not words or words[0] != "send":
        return None
    found: dict[str, object] = {}
    lists: dict[str, list[str]] = {"files": [], "targets": []}
    rest = iter(words[1:])
    for word in rest:
        name = OPTIONS.get(word) or FLAGS.get(word) or ("" if word.startswith("-") else "files")
        value = True if word in FLAGS else next(rest, "") if word in OPTIONS else word
        if not name or name in found or not value or str(value).startswith("-"):
            return None
        if name in lists:
            lists[name].append(str(value))
        else:
            found[name] = value
    if not (lists["files"] and lists["targets"] and "source" in found):
        return None
    from nectar_node.launcher.local_network import usual_folder

    files, directory = list(map(Path, lists["files"])), Path(str(found.get("directory") or usual_folder()))
    if not (all(os.access(each, os.R_OK) for each in [*files, directory]) and directory.is_dir()):
        return None
    return {**found, "targets": lists["targets"], "files": files, "directory": directory}


def _send(send: Callable[..., int], arguments: dict[str, object]) -> int:
    from nectar_node.console import outcome, streams

    streams.make_usable()
    return outcome.carry_out(partial(send, **arguments))
