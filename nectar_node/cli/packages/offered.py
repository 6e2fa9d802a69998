"""What another node offers: a release that is proven and has not been fetched, with what it asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from nectar_node.cli.packages.fetching import DroppedSource, FetchRefused, FetchTold, fetch_release, parse_release
from nectar_node.console import output
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.releases.document import Release

On = Annotated[
    list[str] | None,
    typer.Option(
        "--on",
        metavar="NAME",
        help="Show what this node offers under that name, beside its publisher, and fetch nothing of it; repeatable.",
    ),
]


def show_offered(network: LocalNetwork, node: str, text: str, on: tuple[str, ...], *, as_json: bool) -> int:
    """Have a node read the document of a release elsewhere, and show it; return the exit code."""
    try:
        told, release = fetch_release(network, node, parse_release(text), on, files=False)
    except FetchRefused as refused:
        if as_json:
            output.print_json({"failed": refused.kind, "reason": str(refused)})
        output.complain(str(refused))
        _name(refused.dropped)
        return refused.exit_code
    if as_json:
        output.print_json(_row(told, release))
    else:
        _show(told, release)
        _name(told.dropped)
    return 0


def _row(told: FetchTold, release: Release) -> dict[str, object]:
    said = release.metadata
    return {
        "package": str(release.package),
        "version": release.version.text,
        "number": release.number,
        "newest": told.newest,
        "document": told.hash,
        "time": release.time,
        "bytes": release.size,
        "files": len(release.files),
        "here": told.folder is not None,
        "description": said.description,
        "licence": said.licence,
        "changes": said.changes,
        "interfaces": [each.name for each in said.interfaces],
        "asks": [list(each) for each in said.asks],
        "dropped": [[each.node, each.why, each.false] for each in told.dropped],
    }


def _show(told: FetchTold, release: Release) -> None:
    said = release.metadata
    behind = "" if release.number == told.newest else f", and {told.newest} is the newest"
    published = datetime.fromtimestamp(min(release.time, 1 << 37), UTC).strftime("%Y-%m-%d")
    facts = [
        ("package", str(release.package)),
        ("version", f"{release.version} (release {release.number}{behind})"),
        ("signed", f"by {release.package.publisher}, {published}"),
        ("size", f"{output.size(release.size)} in {len(release.files)} files"),
        ("description", said.description),
        ("licence", said.licence),
        ("interfaces", ", ".join(each.name for each in said.interfaces)),
        ("changes", said.changes),
        ("here", "yes" if told.folder is not None else "no"),
    ]
    for name, value in facts:
        if value:
            print(output.printable(f"{name:12}  {output.one_line(value)}"))
    output.say("")
    rows = [(each.capability, each.why or "-") for each in said.asks] or [("nothing", "-")]
    output.print_table(("ASKS FOR", "WHY"), rows)


def _name(dropped: tuple[DroppedSource, ...]) -> None:
    """Name the nodes that have served something false."""
    for each in dropped:
        if each.false:
            output.complain(f"{each.node} {each.why}.")
