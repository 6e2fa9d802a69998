"""`nectar new`: make a package from a template."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nectar_node.authoring import templates
from nectar_node.authoring.publisher import check_node_name
from nectar_node.base.shipped import LOCAL_PUBLISHER
from nectar_node.console import output
from nectar_node.launcher import options


def new(
    name: Annotated[Path, typer.Argument(metavar="NAME", help="The new folder, which is named as the package is.")],
    lang: Annotated[templates.Language, typer.Option("--lang", help="What it is written in.")] = templates.Language.ZIG,
    template: Annotated[
        templates.Template,
        typer.Option(
            "--template",
            help="echo: answers; chat: lines between nodes; files: notes on disk; web: a chat with a page; "
            "replica: data on two nodes.",
        ),
    ] = templates.Template.ECHO,
    publisher: Annotated[
        str,
        typer.Option("--publisher", metavar="NODE", help="The node that will publish it, such as ann.nec."),
    ] = LOCAL_PUBLISHER,
    as_json: options.AsJson = False,
) -> int:
    """Make a package that builds and whose tests pass.

    It has sources, a manifest, tests with faults, settings for editors and a recipe for CI. Without --publisher it is a
    package of nobody's, until `nectar publish --as-publisher` makes it a node's.
    """
    if publisher != LOCAL_PUBLISHER:
        check_node_name(publisher)
    files = templates.create(Path(name).absolute(), lang, template, publisher)
    if as_json:
        output.print_json({"folder": str(name.absolute()), "files": files})
        return 0
    output.say(f"{name} is a package in {lang}: {len(files)} files. Go on with:")
    output.say(f"  cd {name}")
    output.say("  nectar dev      # builds it, and runs it on two nodes; what you save is built and upgraded there")
    output.say("  pytest          # its tests, after a build; `pip install pytest` once")
    return 0
