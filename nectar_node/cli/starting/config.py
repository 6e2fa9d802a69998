"""`nectar config`: the settings of a node, kept from boot to boot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.folder import NodeFolder
from nectar_node.console import output
from nectar_node.launcher import options, settings
from nectar_node.launcher.boot_options import BootOptions, keep_options, kept_options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

app = typer.Typer(
    help="Show and change the settings of a node. They are the options of `nectar boot`, kept until they are changed.",
    no_args_is_help=True,
)

_HEADINGS = ("SETTING", "VALUE", "WHAT IT IS")
Setting = Annotated[
    str,
    typer.Argument(metavar="SETTING", help="Its name, such as routers.", autocompletion=lambda: [*settings.SETTINGS]),
]


@app.command("list")
def list_all(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List all settings of a node."""
    kept = kept_options(_place(directory, node))
    shown = {name: each.show(getattr(kept, each.field)) for name, each in settings.SETTINGS.items()}
    if as_json:
        output.print_json({"node": node, "settings": {name: text or None for name, text in shown.items()}})
        return 0
    rows = [(name, text or "-", settings.SETTINGS[name].about) for name, text in shown.items()]
    output.print_table(_HEADINGS, rows, (), ("WHAT IT IS",))
    return 0


@app.command()
def get(
    setting: Setting,
    node: options.Node,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Print one setting of a node."""
    found = settings.find(setting)
    text = found.show(getattr(kept_options(_place(directory, node)), found.field))
    if as_json:
        output.print_json({"node": node, "setting": setting, "value": text or None})
    else:
        output.say(text or "-")
    return 0


@app.command("set")
def set_one(
    setting: Setting,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its value, as `nectar boot` takes it.")],
    node: options.Node,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Change a setting of a node, from its next boot on."""
    place = _place(directory, node)
    return _keep(place, node, setting, settings.changed(node, kept_options(place), setting, value), as_json)


@app.command()
def unset(
    setting: Setting,
    node: options.Node,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Give a setting of a node its usual value, from its next boot on."""
    place = _place(directory, node)
    return _keep(place, node, setting, settings.unset(kept_options(place), setting), as_json)


def _place(directory: Path, node: str) -> NodeFolder:
    return LocalNetwork.find(directory).node(node)


def _keep(place: NodeFolder, node: str, setting: str, changed: BootOptions, as_json: bool) -> int:
    keep_options(place, changed)
    runs = place.owner() is not None
    if as_json:
        found = settings.find(setting)
        value = found.show(getattr(changed, found.field)) or None
        output.print_json({"node": node, "setting": setting, "value": value, "at_next_boot": runs})
    elif runs:
        output.complain(f"{node} runs: it takes effect when it boots again.")
    return 0
