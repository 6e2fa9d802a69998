"""`nectar logs`: what a node wrote, and what it goes on to write."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated

import typer

from nectar_node.base import own_files
from nectar_node.base.log import older
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.launcher.log_reader import everything, tail

FOLLOW_INTERVAL = 0.1
"""Seconds between two looks at a log that is being followed."""

_ENTRY = re.compile(r"(?P<time>\d\d:\d\d:\d\d) (?P<source>.+?): (?P<text>.*)")
"""A line as `nectar_node.base.log` writes it."""


def logs(
    node: options.Node,
    directory: options.Directory = DEFAULT_FOLDER,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines until Ctrl-C.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="Only the last N lines.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as a line of JSON.")] = False,
) -> int:
    """Print the log of a node."""
    log = LocalNetwork.find(directory).node(node).log
    for file in (log, older(log)):
        own_files.check(file)  # a link could show any other file of this user
    follower = everything(log) if lines is None else tail(log, lines)
    if not log.exists() and not follow:
        output.complain(f"{node} has no log yet: a node in the foreground writes to its terminal instead.")
        return 0
    show = _print_json if as_json else output.say
    for line in follower.lines():
        show(line)
    while follow:
        time.sleep(FOLLOW_INTERVAL)
        for line in follower.lines():
            show(line)
    for line in follower.rest():
        show(line)
    return 0


def _print_json(line: str) -> None:
    """Print an entry as JSON, split into its parts; a line that is not an entry, such as one of a traceback, is text
    alone.
    """
    found = _ENTRY.fullmatch(line)
    entry = {"time": None, "source": None, "text": line} if found is None else found.groupdict()
    print(json.dumps(entry, ensure_ascii=False), flush=True)
