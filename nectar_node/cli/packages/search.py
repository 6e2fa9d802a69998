"""`nectar search`: the packages that nodes offer."""

from __future__ import annotations

from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer, ControlClient
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.sharing.wire.limits import MAX_WORD_BYTES, PAGE_RELEASES
from nectar_node.sharing.wire.messages import (
    BadAnswer,
    FoundRelease,
    SearchWanted,
    SourceError,
    read_page_untrusted,
    request_body,
)

EXIT_OFFLINE = 3
ANSWER_SECONDS = 15
"""Seconds for a node to answer; one that cannot be reached is noticed sooner."""
MAX_FOUND = 4096
"""Packages of one node that are shown: whoever has more of them to offer is asked for a longer word."""
MAX_NODES = 64
"""Nodes that are asked if none is named."""
_HEADINGS = ("PACKAGE", "VERSION", "ON", "DESCRIPTION")


class _NotAsked(Exception):
    """A node has given no list; carries half a sentence after its name."""


def search(
    word: Annotated[
        str, typer.Argument(metavar="WORD", help='What their names or descriptions contain; "" for all packages.')
    ],
    node: options.Node,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            metavar="NAME",
            help="The node whose packages are searched; can be given again. Otherwise all "
            "that the node has a connection with, and itself.",
        ),
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Find packages that nodes offer, by a word.

    It is looked for in their names and descriptions.

    Exit code: 0 if all nodes have answered, 3 if one that was named with --on has not.
    """
    if len(word.encode()) > MAX_WORD_BYTES:
        raise BadInput(f"The word to search for has more than {MAX_WORD_BYTES} bytes.")
    found: dict[str, list[FoundRelease]] = {}
    silent: dict[str, str] = {}
    with LocalNetwork.find(directory).connect(node) as client:
        for name in on or _known_to(client, node):
            try:
                found[name] = _search(client, node, name, word)
            except _NotAsked as error:
                silent[name] = str(error)
    rows = [(each, name) for name, releases in found.items() for each in releases]
    rows.sort(key=lambda row: (str(row[0].package), row[1]))
    if as_json:
        listed = [
            {"package": str(each.package), "version": each.version, "on": name, "description": each.about}
            for each, name in rows
        ]
        output.print_json({"found": listed, "silent": silent})
    else:
        texts = [(str(each.package), each.version, name, each.about) for each, name in rows]
        output.print_table(_HEADINGS, texts, (), ("DESCRIPTION",))
        for name, why in silent.items():
            output.complain(f"{name} {why}.")
        if not rows:
            output.complain(f"No package with {output.printable(word)!r} in its name or description was found.")
    return EXIT_OFFLINE if on and silent else 0


def _known_to(client: ControlClient, node: str) -> list[str]:
    """Return the node itself and those that it has a connection with."""
    peers = [row for row in client.ask("peers").get("peers", ()) if isinstance(row, dict)]
    names = [row["name"] for row in peers if row.get("state") == "up" and isinstance(row.get("name"), str)]
    return [node, *names[:MAX_NODES]]


def _search(client: ControlClient, our: str, name: str, word: str) -> list[FoundRelease]:
    """Return all that one node offers; raises _NotAsked."""
    found: list[FoundRelease] = []
    after = ""
    target = f"{'our' if name == our else name}@packages:distro:sys"
    while len(found) < MAX_FOUND:
        body = request_body(SearchWanted(word, after)).decode()
        client.send("message", target=target, body=body, timeout=ANSWER_SECONDS, blob=None, mime=None)
        page = _page(client.receive(), after)
        if not page:
            break
        found += page
        after = str(page[-1].package)
        if len(page) < PAGE_RELEASES:  # a node that gives them one by one is not followed
            break
    return found


def _page(answer: Answer, after: str) -> list[FoundRelease]:
    if answer.get("outcome") != "response":
        raise _NotAsked(f"does not answer ({answer.get('reason')})")
    try:
        page = read_page_untrusted(str(answer.get("body")).encode(), after)
    except BadAnswer as error:
        raise _NotAsked(str(error)) from error
    if isinstance(page, SourceError):
        raise _NotAsked(page.text)
    return page
