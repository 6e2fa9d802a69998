"""The options of `nectar boot`, as typer reads them from its words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher import passwords
from nectar_node.launcher.local_network import DIRECTORY_VARIABLE
from nectar_node.storage.ledger import NO_QUOTA

INVITATION_VARIABLE = "NECTAR_INVITATION"
"""The environment variable with an invitation."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The node's name, such as send.nec.")]
Folder = Annotated[
    Path,
    typer.Option("--dir", metavar="D", file_okay=False, envvar=DIRECTORY_VARIABLE, help="The folder of the testnet."),
]
Join = Annotated[
    str,
    typer.Option(
        "--join",
        metavar="TEXT|D",
        help="The network to join: a text made by `nectar testnet invite`, @FILE to read it from FILE, or its folder.",
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Return when the node is ready; its output goes to the log in its folder.")
]
Host = Annotated[
    str,
    typer.Option(metavar="HOST", help="The address to listen on; this node dials others from there, if possible."),
]
Port = Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="The port to listen on; 0: any free one.")]
Advertise = Annotated[
    str,
    typer.Option(metavar="HOST:PORT", help="The address at which others reach this node, if not where it listens."),
]
Routers = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="This node cannot be dialed: it is reached through these nodes, separated by commas, best first.",
    ),
]
Reservations = Annotated[
    int, typer.Option(metavar="N", min=0, max=65535, help="How many other nodes this one may be a router for.")
]
Package = Annotated[
    list[Path] | None,
    typer.Option(metavar="FOLDER", help="A package to run instead of those that come with the node; repeatable."),
]
NoPackages = Annotated[bool, typer.Option("--no-packages", help="Run no packages at all.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=f"A file with the password of the node's key; else {passwords.VARIABLE} names it, or a prompt asks.",
    ),
]
Directory = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Use this file of `nectar directory sign` instead of a registrar."),
]
Authority = Annotated[str, typer.Option(metavar="HEX", help="The public key of the authority that signed that file.")]
Memory = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Memory for waiting messages, such as 512MiB; default: a quarter of the machine's, at most 2 GiB.",
    ),
]
Invitation = Annotated[
    str,
    typer.Option(
        metavar="TOKEN",
        envvar=INVITATION_VARIABLE,
        help="For a new name: an invitation made by `nectar testnet invite`, or @FILE to read it from FILE.",
        show_envvar=False,
    ),
]
InviteOnly = Annotated[
    bool | None,
    typer.Option(
        "--invite-only/--open",
        help=f"{REGISTRAR_NAME} only: give new names by invitation only, or to all; default: as before.",
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Do not restart the node when its own code has failed.")]
Trace = Annotated[
    bool, typer.Option("--trace", help="Write what happens to every message to the file `trace` in its folder.")
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="DIR",
        help="Record there, sealed with its key, all that the node is told, for `nectar replay`; off: --no-record.",
    ),
]
NoRecord = Annotated[bool, typer.Option("--no-record", help="Record nothing, whatever the last boot did.")]
Keep = Annotated[
    str, typer.Option(metavar="SIZE", help="With --record: how much of the recording is kept; default: 1GiB.")
]
Metrics = Annotated[
    str,
    typer.Option(
        metavar="[HOST:]PORT",
        help="Serve metrics to Prometheus there, on loopback unless HOST is another; 0: any free port.",
    ),
]
Otlp = Annotated[
    str, typer.Option(metavar="URL", help="Send traces to this OpenTelemetry collector, such as http://127.0.0.1:4318.")
]
OtlpSample = Annotated[
    str, typer.Option(metavar="SHARE", help="With --otlp: which share of all lineages is sent; default: 0.01.")
]
Quota = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[PACKAGE=]SIZE",
        help="The disk quota of each package, such as 4GiB, or of one: app:some.nec=10GiB; repeatable.",
    ),
]
MaxFiles = Annotated[
    int,
    typer.Option(metavar="N", min=0, max=NO_QUOTA, help="The number of files and folders that each package may have."),
]
DiskFloor = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="The disk space that packages leave free; default: 512MiB, or a twentieth of a small disk.",
    ),
]
Cipher = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Use AESGCM (with nodes that do, too) or ChaChaPoly; default: what is faster on this machine.",
    ),
]
ReleasesQuota = Annotated[
    str,
    typer.Option(metavar="SIZE", help="The disk space for packages from other nodes; default: 16GiB."),
]
Http = Annotated[
    str,
    typer.Option(
        metavar="[HOST:]PORT",
        help="Let browsers reach its processes there, on loopback unless HOST is another; 0: any free port.",
    ),
]
Tls = Annotated[
    str, typer.Option(metavar="CERT,KEY", help="With --http: the files of a certificate and of its key, PEM.")
]
HttpName = Annotated[
    str,
    typer.Option(
        metavar="DOMAIN", help="With --http: the domain at which a proxy with TLS passes browsers on to the node."
    ),
]
RpcOpen = Annotated[
    bool, typer.Option("--rpc-open/--no-rpc-open", help="Let programs here send messages by HTTP without a token.")
]
HttpClientPrivate = Annotated[
    str,
    typer.Option(metavar="PACKAGES", help="These packages, separated by commas, reach private networks by HTTP, too."),
]
Rescue = Annotated[
    bool, typer.Option("--rescue", help="Start with what is left of a damaged store, and say what is lost.")
]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Start although a copy of the node has taken its place; the copy ends.")
]
AsJson = Annotated[bool, typer.Option("--json", help="With --detach: print the result as JSON.")]

FIELDS = {
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
    "cipher": "cipher",
    "trace": "trace",
    "record": "record",
    "no_record": "record",
    "keep": "keep",
    "metrics": "metrics",
    "otlp": "otlp",
    "otlp_sample": "otlp_sample",
    "quota": "quotas",
    "max_files": "quotas",
    "disk_floor": "quotas",
    "releases_quota": "releases_quota",
    "invitation": "invitation",
    "invite_only": "invite_only",
    "once": "once",
}
"""The fields of `BootOptions` that the options of the command set; others than these are for one boot."""
