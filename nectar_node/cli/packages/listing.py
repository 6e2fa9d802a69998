"""`nectar list` and `nectar info`: what is installed on a node, whose it is, and what it may do."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from nectar_node.cli.packages.offered import On, show_offered
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

UNSIGNED = "unsigned"
"""How lists call a package that names a node as its publisher, without any proof."""
_HEADINGS = ("PACKAGE", "VERSION", "SIGNED", "PROCESSES", "FROM")
_OPTIONAL = ("FROM", "PROCESSES")

PackageName = Annotated[
    str, typer.Argument(metavar="PACKAGE", help="package:publisher, or its name alone if that is enough.")
]


def list_(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the packages of a node.

    SIGNED says whether it is proven who has published each: `signed` by its publisher, `own` of this node, `local` if
    it names no node, `with the node` if it comes with it; `unsigned` if it names a node and nothing proves that. A
    package that was started and not installed has no VERSION.
    """
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("installed")
    if as_json:
        output.print_json(answer)
        return 0
    rows = [
        (
            str(each["package"]),
            str(each["version"] or "-"),
            str(each["standing"]),
            str(each["processes"]) if each["runs"] else "does not run",
            str(each["origin"]),
        )
        for each in answer["packages"]
    ]
    output.print_table(_HEADINGS, rows, _HEADINGS[:3], _OPTIONAL, red=(UNSIGNED,))
    for each in answer["packages"]:
        _tell_of_failed(each)
    return 0


def _tell_of_failed(answer: Answer) -> None:
    """Tell of a new version that has failed in its first seconds, perhaps after its installation was answered."""
    failed = answer.get("failed")
    if isinstance(failed, dict):
        which = failed["version"] or "a new version"
        why = output.one_line(str(failed["trap"])).rstrip(".")
        output.complain(
            f"{answer['package']}: {which} has failed in its first seconds ({failed['process']}: {why}), so the "
            "version before runs again."
        )


def info(
    package: PackageName,
    node: options.Node,
    on: On = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Show who has published a package, and what it may do.

    What it asks for and has been granted, its versions and its releases are shown, too.
    With --on it is about what another node offers, such as chess:ann.nec or chess:ann.nec@1.2.0.
    """
    if on:
        return show_offered(LocalNetwork.find(directory), node, package, tuple(on), as_json=as_json)
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("installed_one", address=package)
    if as_json:
        output.print_json(answer)
        return 0
    _show(answer)
    return 0


def _show(answer: Answer) -> None:
    standing = str(answer["standing"])
    facts = [
        ("package", str(answer["package"])),
        ("version", str(answer["version"] or "-")),
        ("standing", standing),
        ("from", str(answer["origin"] or "-")),
        ("description", str(answer.get("description") or "")),
        ("licence", str(answer.get("licence") or "")),
        ("interfaces", ", ".join(map(str, answer.get("interfaces", ())))),
        ("changes", str(answer.get("changes") or "")),
    ]
    for name, value in facts:
        if value:
            line = f"{name:12}  {output.one_line(value)}"
            print(marked(line, standing) if name == "standing" else line)
    rows = [row for each in answer["processes"] for row in _rights(each)]
    if rows:
        output.say("")
        output.print_table(("PROCESS", "ASKS FOR", "GRANTED"), rows)
    if answer.get("asks") and any(why for _, why in answer["asks"]):
        output.say("")
        output.print_table(("ASKS FOR", "WHY"), [(str(what), str(why or "-")) for what, why in answer["asks"]])
    if answer["versions"]:
        output.say("")
        versions = [
            (str(each["version"] or "-"), "yes" if each["signed"] else "no", _day(each["time"]), str(each["origin"]))
            for each in answer["versions"]
        ]
        output.print_table(("INSTALLED", "SIGNED", "SINCE", "FROM"), versions)
    if answer["releases"]:
        output.say("")
        releases = [
            (
                str(each["version"]),
                str(each["number"]),
                _day(each["time"]),
                output.size(each["bytes"]),
                "here" if each["here"] else "known",
                str(each["document"])[:16],
            )
            for each in answer["releases"]
        ]
        output.print_table(("RELEASE", "NUMBER", "PUBLISHED", "SIZE", "FILES", "DOCUMENT"), releases)
    _tell_of_failed(answer)


def _rights(process: Answer) -> list[tuple[str, str, str]]:
    name = str(process["address"]).rpartition("@")[2]
    granted = process.get("granted") or ()
    asked = process.get("asked") or ()
    rows = [(str(each), "yes" if each in granted else "no") for each in asked] or [("nothing", "-")]
    return [(name if number == 0 else "", *row) for number, row in enumerate(rows)]


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def marked(text: str, standing: str) -> str:
    """Return a line that is made printable, in red on a terminal if what it is about is unsigned."""
    line = output.printable(text)
    return f"\x1b[31m{line}\x1b[0m" if standing == UNSIGNED and sys.stdout.isatty() else line
