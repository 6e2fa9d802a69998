"""Joins a network without its folder: by a text that `nectar testnet invite` has printed."""

from __future__ import annotations

import contextlib
import socket

from nectar_node.base.errors import BadInput, CannotJoin
from nectar_node.contract.config import GENESIS_FILE, LOOPBACK, GenesisFile
from nectar_node.launcher.arguments import pasted
from nectar_node.launcher.local_network import LocalNetwork
from net.base.errors import BadInvitation
from net.base.origins import is_this_machine
from net.names.joining import PREFIX, JoinText, parse_join_text_untrusted


def read_join_text(text: str) -> JoinText | None:
    """Return what `text` says, or the text in the file that it names after an @; raises BadInput.

    None: it is not such a text, and names a folder.
    """
    if not text.startswith("@") and not text.strip().startswith(PREFIX.partition("-1.")[0]):
        return None
    text = pasted(text, "the text")
    try:
        return parse_join_text_untrusted(text)
    except BadInvitation as error:
        raise BadInput(
            f"That does not tell of a network ({error}): copy it as `nectar testnet invite` has printed it."
        ) from error


def join_network(network: LocalNetwork, joining: JoinText) -> None:
    """Make the folder of the network that a text tells of, or note in it where its registrar is now.

    Raises BadInput if the folder is another network's, and NodeError.
    """
    told = GenesisFile(*_fields(joining), by_invitation=joining.by_invitation)
    known: GenesisFile | None = None
    if (network.folder / GENESIS_FILE).exists():
        known = GenesisFile.load(network.folder)
        if known.public_key != told.public_key:
            raise BadInput(f"{network.folder} belongs to another network: name another folder with --dir.")
    try:
        network.create()
        if known != told:
            told.save(network.folder)
    except OSError as error:
        raise BadInput(f"{network.folder} cannot be used: {error.strerror}.") from error


def _fields(joining: JoinText) -> tuple[str, bytes, str, int]:
    genesis = joining.genesis
    return genesis.name, genesis.public_key, genesis.host, genesis.port


def join_text_of(network: LocalNetwork, token: bytes, address: tuple[str, int] | None) -> JoinText:
    """Return what a text for that network says, with the invitation `token`.

    `address`: where others reach the registrar; None: where it listens. Raises CannotJoin if it has never listened, and
    BadInput.
    """
    file = GenesisFile.load(network.folder)
    genesis = file.genesis() if address is None else GenesisFile(file.registrar, file.public_key, *address).genesis()
    if _is_wildcard(genesis.host):
        raise BadInput(
            f"{file.registrar} listens at all addresses of its machine: say with --at HOST:PORT at which one others "
            "reach it."
        )
    return JoinText(genesis, file.by_invitation, token)


def _is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::", "*")


def host_towards(joining: JoinText) -> str:
    """Return the address of this machine at which the registrar's neighbours reach it: from which it reaches the
    registrar. Nothing is sent. Raises CannotJoin.
    """
    host, port = joining.genesis.host, joining.genesis.port
    if is_this_machine(host):
        return LOOPBACK
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise CannotJoin(f"The registrar's host {host} is not known here: {error.strerror or error}.") from error
    for family, kind, protocol, _, address in found:
        with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    raise CannotJoin(f"This machine has no way to the registrar at {host}:{port}: connect it to that network first.")
