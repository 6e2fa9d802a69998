"""`nectar testnet invite`: lets others take a name in a network whose registrar demands an invitation."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput, CannotJoin
from nectar_node.console import output
from nectar_node.contract.config import REGISTRAR_NAME, GenesisFile
from nectar_node.driver.membership import read_keys
from nectar_node.launcher import options, passwords
from nectar_node.launcher.arguments import parse_endpoint
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, BootOptions, as_before
from nectar_node.launcher.joining import join_text_of
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name
from nectar_node.launcher.node_config import make_config
from net.base.errors import KeyFileError, KeyFileMissing
from net.base.limits import MAX_INVITATION_USES
from net.base.origins import is_this_machine
from net.names.identity import Identity
from net.names.invitation import ID_BYTES, Invitation, invitation_text, sign_invitation
from net.names.joining import encode_join_text
from net.names.keyfile import unlock_key_file
from testnet.cli.hosts.forwarding import kept_in

START_SECONDS = 3600
"""Seconds that an invitation is valid with which the owner of a testnet starts its nodes."""
MAX_PERIOD_SECONDS = 10 * 365 * 24 * 3600
_PERIOD = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def invite(
    uses: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_INVITATION_USES, help="How many new names it is valid for.")
    ] = 1,
    expires: Annotated[str, typer.Option(metavar="TIME", help="How long it is valid: 30m, 12h, 7d, 2w.")] = "7d",
    name: Annotated[str, typer.Option(metavar="NAME", help="The only name it is valid for; default: any.")] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Holds the password of the registrar's key; else {passwords.VARIABLE} names it, or a prompt asks.",
        ),
    ] = None,
    at: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where others reach the registrar, if not where it listens."),
    ] = "",
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Print a text with which others join from anywhere.

    They use it with `nectar boot NAME --join TEXT`. It tells where the registrar is and what its key is, and holds an
    invitation, which anyone who has the text may use. That is signed with the registrar's key, so the text is made
    where that key is.
    """
    if (kept := kept_in(directory)) is not None:
        where = kept.host_of(REGISTRAR_NAME).name
        raise BadInput(
            f"The registrar is on {where}, behind links that only its hosts reach: others cannot join this testnet."
        )
    address = parse_endpoint(at) if at else None
    if name:
        check_name(name)
        if uses > 1:
            raise BadInput(f"An invitation for {name} alone is valid for one name: leave out --uses or --name.")
    network = LocalNetwork.find(directory)
    seconds = parse_period(expires)
    owner = registrar_of(network, passwords.for_boot(network.place(REGISTRAR_NAME), password_file))
    invitation = make_invitation(uses, seconds, name or None)
    signed = sign_invitation(invitation, owner)
    joining = join_text_of(network, signed, address)
    text = encode_join_text(joining)
    if as_json:
        told = {"uses": uses, "expires_at": invitation.expires_at, "name": invitation.name}
        output.print_json({"join": text, "invitation": invitation_text(signed), **told})
        return 0
    output.say(text)
    if is_this_machine(joining.genesis.host):
        output.complain(
            f"{REGISTRAR_NAME} listens on this machine only: for other machines, start it with "
            f"`{network.boot(REGISTRAR_NAME, '--host', 'ADDRESS')}`, or name with --at where they reach it."
        )
    if not is_by_invitation(network):
        up = network.command("testnet up", "--invite-only")
        output.complain(
            f"Anyone can join this network without an invitation; to demand one, start its registrar with `{up}`."
        )
    return 0


def invited(network: LocalNetwork, booting: dict[str, BootOptions], invite_only: bool | None) -> dict[str, BootOptions]:
    """Return how the owner of the network starts its nodes, by their names: with an invitation, if it demands one.
    `invite_only`: whether it is to do so from now on; None: as before. Raises BadInput."""
    registrar = booting.get(REGISTRAR_NAME)
    if registrar is None:
        demanded = is_by_invitation(network)
        if invite_only not in (None, demanded):
            raise BadInput(f"{REGISTRAR_NAME} runs already: stop it first, with `{network.command('testnet down')}`.")
        registrar = DEFAULT_OPTIONS
    else:
        place = network.place(REGISTRAR_NAME)
        registrar = as_before(network.folder, place, replace(registrar, invite_only=invite_only))
        registrar = passwords.with_password(place, registrar)
        booting = {**booting, REGISTRAR_NAME: registrar}
        demanded = registrar.invite_only is True
    others = [name for name in booting if name != REGISTRAR_NAME]
    if not (demanded and others):
        return booting
    owner = _owner(network, registrar)
    token = sign_invitation(make_invitation(len(others), START_SECONDS, None), owner)
    return booting | {name: replace(booting[name], invitation=token) for name in others}


def _owner(network: LocalNetwork, options: BootOptions) -> Identity:
    """Return the registrar with its key, which is made if there is none, as at its first boot."""
    place = network.place(REGISTRAR_NAME)
    if place.key.exists():
        return registrar_of(network, options.password or passwords.for_boot(place, options.password_file))
    try:
        network.create()
        place.create()
    except OSError as error:
        raise BadInput(f"{place.path} cannot be used: {error.strerror}.") from error
    return read_keys(make_config(network, REGISTRAR_NAME, options)).identity


def is_by_invitation(network: LocalNetwork) -> bool:
    """Whether the network's genesis file says that a new name takes an invitation."""
    try:
        return GenesisFile.load(network.folder).by_invitation
    except CannotJoin:
        return False


def make_invitation(uses: int, seconds: int, name: str | None) -> Invitation:
    """Return a new invitation, valid for so long from now on."""
    return Invitation(os.urandom(ID_BYTES), uses, int(time.time()) + seconds, name)


def registrar_of(network: LocalNetwork, password: bytes | None) -> Identity:
    """Return the registrar of the network, with its key; raises BadInput."""
    path = network.place(REGISTRAR_NAME).key
    try:
        return unlock_key_file(path, password).identity
    except KeyFileMissing as error:
        raise BadInput(
            f"The key of {REGISTRAR_NAME} is not in {network.folder}: invitations are made where the registrar runs."
        ) from error
    except KeyFileError as error:
        raise BadInput(f"The registrar's key cannot be used: {error}.") from error


def parse_period(text: str) -> int:
    """Return the seconds; raises BadInput."""
    match = _PERIOD.fullmatch(text.strip())
    seconds = int(match[1]) * _UNITS[match[2]] if match is not None else 0
    if not 0 < seconds <= MAX_PERIOD_SECONDS:
        raise BadInput(f"{text!r} is not a valid time: expected 30m, 12h, 7d or 2w, at most ten years.")
    return seconds
