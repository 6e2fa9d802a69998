"""`nectar logs`: what a node wrote, and what it goes on to write."""

from __future__ import annotations

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


def logs(
    node: options.Node,
    directory: options.Directory = DEFAULT_FOLDER,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="Only the last N lines.")] = None,
) -> int:
    """Print the log of a node."""
    log = LocalNetwork.find(directory).node(node).log
    for file in (log, older(log)):
        own_files.check(file)  # a link could show any other file of this user
    follower = everything(log) if lines is None else tail(log, lines)
    if not log.exists() and not follow:
        output.complain(f"{node} has no log yet: a node in the foreground writes to its terminal instead.")
        return 0
    for line in follower.lines():
        output.say(line)
    while follow:
        time.sleep(FOLLOW_INTERVAL)
        for line in follower.lines():
            output.say(line)
    for line in follower.rest():
        output.say(line)
    return 0
