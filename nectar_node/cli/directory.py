"""`nectar directory`: the signed file from which the nodes of a network without a registrar know each other."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput
from nectar_node.cli.keys import errors_told, unlock
from nectar_node.console import output
from nectar_node.launcher import options, passwords
from nectar_node.launcher.arguments import parse_endpoint
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name
from net.base.limits import MAX_ENDPOINTS
from net.names.directory import NEVER, Endpoint, NameRecord, SignedRecord, encode_static_directory, sign_record
from net.names.identity import Identity

_DAY = 24 * 3600
_MAX_DAYS = 100 * 365

app = typer.Typer(help="Make the directory of a network that has no registrar.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `sign` a command of its own, though it is the only one."""


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; an older one is replaced.")],
    authority: Annotated[
        str, typer.Option(metavar="NAME", help="The authority, whose key signs for all; it need not be a node.")
    ],
    node: Annotated[
        list[str],
        typer.Option(metavar="NAME=HOST:PORT", help="A node and where it listens; repeatable, best endpoint first."),
    ],
    days: Annotated[
        int, typer.Option(metavar="N", min=0, max=_MAX_DAYS, help="The file expires after N days; 0: never.")
    ] = 0,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"A file with the password of all these keys; else {passwords.VARIABLE} names it, or a prompt asks.",
        ),
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Write the signed directory of the nodes of a network. It has each node's key and endpoints.

    All nodes and an authority sign it; their keys must lie in D.
    """
    if file.is_dir():
        raise BadInput(f"{file} is a folder: name the file in it that is to be written.")
    network, endpoints = LocalNetwork(directory), parse_nodes(node)
    now = int(time.time())
    expires_at = now + days * _DAY if days else NEVER
    with errors_told():
        signer = _identity(network, authority, password_file)
        records = [
            _record(_identity(network, name, password_file), places, now, expires_at)
            for name, places in endpoints.items()
        ]
    _replace(file, encode_static_directory(records, signer))
    key = signer.public_key.hex()
    output.tell(
        {"file": str(file), "nodes": [*endpoints], "authority": key, "expires_at": expires_at if days else None},
        f"{file} names {', '.join(endpoints)}. Boot each with "
        f"`{network.command('boot', 'NAME', '--directory', str(file), '--authority', key)}`.",
        as_json=as_json,
    )
    return 0


def parse_nodes(words: Sequence[str]) -> dict[str, list[Endpoint]]:
    """Return the endpoints of each node in NAME=HOST:PORT …; raises BadInput."""
    found: dict[str, list[Endpoint]] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not equals:
            raise BadInput(f"{word!r} does not name a node and its endpoint: expected NAME=HOST:PORT.")
        check_name(name)
        found.setdefault(name, []).append(Endpoint(*parse_endpoint(place)))
        if len(found[name]) > MAX_ENDPOINTS:
            raise BadInput(f"{name} has more than {MAX_ENDPOINTS} endpoints.")
    return found


def _identity(network: LocalNetwork, name: str, password_file: Path | None) -> Identity:
    keys, _ = unlock(network.node(name), password_file)
    return keys.identity


def _record(identity: Identity, endpoints: Sequence[Endpoint], now: int, expires_at: int) -> SignedRecord:
    # The sequence number is the time: a file that is signed later is newer.
    record = NameRecord(identity.name, identity.public_key, tuple(endpoints), (), now, now, expires_at)
    return sign_record(record, identity)


def _replace(path: Path, data: bytes) -> None:
    staging = path.with_name(f".{path.name}.new")
    try:
        with staging.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    except OSError as error:
        with suppress(OSError):
            staging.unlink()
        raise BadInput(f"Cannot write {path}: {error.strerror}.") from error
