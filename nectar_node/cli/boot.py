"""`nectar boot`: run one node, in this process or in the background."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace as changed
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base import own_files
from nectar_node.base.consent import NOTHING_SAID, Consent
from nectar_node.base.errors import BadInput
from nectar_node.base.folder import NodeFolder
from nectar_node.cli import consent
from nectar_node.console import output
from nectar_node.contract.config import LOOPBACK, REGISTRAR_NAME
from nectar_node.launcher import launch, passwords, supervisor
from nectar_node.launcher.arguments import (
    check_name,
    check_package,
    parse_directory,
    parse_endpoint,
    parse_http,
    parse_http_name,
    parse_invitation,
    parse_memory,
    parse_package_ids,
    parse_quotas,
    parse_routers,
    parse_tls,
)
from nectar_node.launcher.boot_options import BootOptions, as_before, kept_options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, DIRECTORY_VARIABLE, LocalNetwork
from nectar_node.launcher.node_config import make_config
from nectar_node.launcher.passwords import with_password
from nectar_node.launcher.settings import merged
from nectar_node.storage.ledger import DEFAULT_FILES, NO_QUOTA
from net.base.limits import MAX_RESERVATIONS
from net.peering.own_routers import Place

INVITATION_VARIABLE = "NECTAR_INVITATION"
"""The environment variable with an invitation."""
PLACES_SECONDS = 6.0
"""Seconds in which a node's routers answer, or it knows that they cannot be reached
(`net.base.limits.RECOVERY_SECONDS`).
"""
_GLANCE_SECONDS = 0.05
_NO_PLACE = {
    Place.AWAITED: "has not answered yet",
    Place.REFUSED: "has no place for it",
    Place.UNREACHABLE: "cannot be reached",
}
"""Why a node is not reached through a router, after the router's name."""


_FIELDS = {
    "host": "host",
    "port": "port",
    "advertise": "advertise",
    "routers": "routers",
    "reservations": "reservations",
    "package": "packages",
    "no_packages": "packages",
    "password_file": "password_file",
    "directory": "directory",
    "authority": "directory",
    "memory": "memory_bytes",
    "http": "http",
    "tls": "tls",
    "http_name": "http_name",
    "rpc_open": "rpc_open",
    "http_client_private": "http_client_private",
    "trace": "trace",
    "quota": "quotas",
    "max_files": "quotas",
    "disk_floor": "quotas",
    "invitation": "invitation",
    "invite_only": "invite_only",
    "once": "once",
}
"""The fields of `BootOptions` that the options of the command set; others than these are for one boot."""


def boot(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The node's name, such as send.nec.")],
    join: Annotated[
        Path,
        typer.Option(
            "--join",
            "--dir",
            metavar="D",
            file_okay=False,
            envvar=DIRECTORY_VARIABLE,
            help="The folder of the testnet to join.",
        ),
    ] = DEFAULT_FOLDER,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the node is ready; its output goes to the log in its folder.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(metavar="HOST", help="The address to listen on; this node dials others from there, if possible."),
    ] = LOOPBACK,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="The port to listen on; 0: any free one.")
    ] = 0,
    advertise: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="The address at which others reach this node, if not where it listens."),
    ] = "",
    routers: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="This node cannot be dialed: it is reached through these nodes, separated by commas, best first.",
        ),
    ] = "",
    reservations: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="How many other nodes this one may be a router for.")
    ] = MAX_RESERVATIONS,
    package: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="A package to run instead of those that come with the node; repeatable."),
    ] = None,
    no_packages: Annotated[bool, typer.Option("--no-packages", help="Run no packages at all.")] = False,
    grant: consent.Grant = None,
    deny: consent.Deny = None,
    replace: consent.Replace = False,
    allow_sys: consent.AllowSys = False,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"A file with the password of the node's key; else {passwords.VARIABLE} names it, or a prompt asks.",
        ),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Use this file of `nectar directory sign` instead of a registrar."),
    ] = None,
    authority: Annotated[
        str, typer.Option(metavar="HEX", help="The public key of the authority that signed that file.")
    ] = "",
    memory: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="Memory for waiting messages, such as 512MiB; default: a quarter of the machine's, at most 2 GiB.",
        ),
    ] = "",
    invitation: Annotated[
        str,
        typer.Option(
            metavar="TOKEN",
            envvar=INVITATION_VARIABLE,
            help="For a new name: an invitation made by `nectar testnet invite`, or @FILE to read it from FILE.",
            show_envvar=False,
        ),
    ] = "",
    invite_only: Annotated[
        bool | None,
        typer.Option(
            "--invite-only/--open",
            help=f"{REGISTRAR_NAME} only: give new names by invitation only, or to all; default: as before.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Do not restart the node when its own code has failed.")] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Write what happens to every message to the file `trace` in its folder.")
    ] = False,
    quota: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[PACKAGE=]SIZE",
            help="The disk quota of each package, such as 4GiB, or of one: app:some.nec=10GiB; repeatable.",
        ),
    ] = None,
    max_files: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=NO_QUOTA, help="The number of files and folders that each package may have."
        ),
    ] = DEFAULT_FILES,
    disk_floor: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="The disk space that packages leave free; default: 512MiB, or a twentieth of a small disk.",
        ),
    ] = "",
    http: Annotated[
        str,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Let browsers reach its processes there, on loopback unless HOST is another; 0: any free port.",
        ),
    ] = "",
    tls: Annotated[
        str, typer.Option(metavar="CERT,KEY", help="With --http: the files of a certificate and of its key, PEM.")
    ] = "",
    http_name: Annotated[
        str,
        typer.Option(
            metavar="DOMAIN", help="With --http: the domain at which a proxy with TLS passes browsers on to the node."
        ),
    ] = "",
    rpc_open: Annotated[
        bool, typer.Option("--rpc-open/--no-rpc-open", help="Let programs here send messages by HTTP without a token.")
    ] = False,
    http_client_private: Annotated[
        str,
        typer.Option(
            metavar="PACKAGES", help="These packages, separated by commas, reach private networks by HTTP, too."
        ),
    ] = "",
    rescue: Annotated[
        bool, typer.Option("--rescue", help="Start with what is left of a damaged store, and say what is lost.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Start although a copy of the node has taken its place; the copy ends.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --detach: print the result as JSON.")] = False,
) -> int:
    """Run the node NAME of the network in D until Ctrl-C or SIGTERM.

    Options that are not given are as they were at its last boot: `nectar config list` shows them.
    """
    options = BootOptions(
        host=host,
        port=port,
        advertise=parse_endpoint(advertise) if advertise else None,
        routers=parse_routers(name, routers),
        reservations=reservations,
        packages=() if no_packages else tuple(map(check_package, package)) if package else None,
        password_file=password_file,
        directory=parse_directory(directory, authority),
        memory_bytes=parse_memory(memory) if memory else None,
        trace=trace,
        quotas=parse_quotas(quota or (), max_files, disk_floor),
        invitation=parse_invitation(invitation) if invitation else None,
        invite_only=invite_only,
        once=once,
        http=parse_http(http) if http else None,
        tls=parse_tls(tls) if tls else None,
        http_name=parse_http_name(http_name) if http_name else None,
        rpc_open=rpc_open,
        http_client_private=parse_package_ids(http_client_private),
        rescue=rescue,
        take_over=take_over,
    )
    if as_json and not detach:
        raise BadInput("--json is for --detach: a node in the foreground shows its log.")
    _check(name, options)
    network = LocalNetwork.find(join) if detach else LocalNetwork(join)
    network.secure()
    given = {field for option, field in _FIELDS.items() if _is_given(context, option)}
    options = merged(kept_options(network.place(name)), options, given)
    said = Consent(tuple(grant or ()), tuple(deny or ()), replace, allow_sys)
    options = with_consent(network.place(name), options, said)
    if detach:
        return _boot_detached(network, name, options, as_json=as_json)
    return _boot_here(network, name, options, once=once)


def _check(name: str, options: BootOptions) -> None:
    """Raise BadInput if options exclude each other, or are not for a node of this name."""
    check_name(name)
    if options.invite_only is not None and name != REGISTRAR_NAME:
        raise BadInput(f"Only {REGISTRAR_NAME} gives names away: leave out --invite-only and --open for {name}.")
    if options.routers and options.advertise:
        raise BadInput("A node is either reached at --advertise or through --routers: leave out one of them.")


def _boot_here(network: LocalNetwork, name: str, options: BootOptions, *, once: bool) -> int:
    """Run the node in this process until it ends; return its exit code."""
    place = network.place(name)
    if name == REGISTRAR_NAME:
        options = as_before(network.folder, place, options)
    own_files.make_folder(place.path)
    config = make_config(network, name, with_password(place, options))
    # Importing this loads trio and Wasmtime, which costs as much as everything else together.
    return supervisor.run_once(config) if once else supervisor.run_supervised(config)


def _is_given(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _boot_detached(network: LocalNetwork, name: str, options: BootOptions, *, as_json: bool) -> int:
    started = launch.start(network, [(name, options)])[0]
    if as_json:
        routers = {"routers": await_places(network, name)} if options.routers else {}
        output.print_json({**started.value(), **routers})
        return 0
    if options.routers:
        tell_places(name, started.pid, await_places(network, name))
    else:
        output.say(f"{name} runs as process {started.pid} on {output.endpoint(list(started.endpoint))}.")
    tell_web(network, name)
    if started.warning is not None:
        output.complain(started.warning)
    return 0


def tell_web(network: LocalNetwork, name: str) -> None:
    """Print where browsers reach the node `name`, which has just booted, if they do."""
    if kept_options(network.place(name)).http is not None:
        with network.connect(name) as client:
            output.say(f"Browsers reach {name} at {client.ask('status').get('http')}.")


def with_consent(folder: NodeFolder, options: BootOptions, said: Consent) -> BootOptions:
    """Return the options with what the user of the node in `folder` says of its packages; raises NodeError."""
    if options.packages is None and said != NOTHING_SAID:
        raise BadInput("--grant, --deny, --replace and --allow-sys are for the packages that --package names.")
    return changed(options, consent=consent.for_boot(folder, options.packages or (), said))


def tell_places(name: str, pid: int, places: Mapping[str, str]) -> None:
    """Print through which of its routers the node `name` is reached, and what is wrong with the others."""
    routes = [router for router, place in places.items() if place == Place.HELD]
    reached = f"is reached through {' and '.join(routes)}" if routes else "cannot be reached yet"
    output.say(f"{name} runs as process {pid} and {reached}.")
    for router, place in places.items():
        if place != Place.HELD:
            output.complain(f"{router} {_NO_PLACE[Place(place)]}: {name} asks it again.")


def await_places(network: LocalNetwork, name: str) -> dict[str, str]:
    """Return what the node `name`, which has just booted, has at each of its routers (`net.peering.own_routers.Place`).

    Waits until all have answered or cannot be reached, or PLACES_SECONDS have passed.
    """
    deadline = time.monotonic() + PLACES_SECONDS
    with network.connect(name) as client:
        while True:
            rows = client.ask("status").get("routers")
            found = {str(row["name"]): str(row["place"]) for row in rows} if isinstance(rows, list) else {}
            if Place.AWAITED not in found.values() or time.monotonic() >= deadline:
                return found
            time.sleep(_GLANCE_SECONDS)
