"""Where a node listens for others, and what its network's genesis file says of it."""

from __future__ import annotations

from nectar_node.base import log
from nectar_node.base.errors import CannotJoin, CannotListen, CannotStart
from nectar_node.contract.config import GENESIS_FILE, GenesisFile, NewerNetwork, NodeConfig
from net.base.errors import ListenFailed
from net.base.origins import is_this_machine
from net.io.tcp import TcpListener, TcpTransport
from net.names.directory import Directory
from net.names.identity import Identity


async def listen(config: NodeConfig, transport: TcpTransport, directory: Directory, identity: Identity) -> TcpListener:
    """Return a listener on the requested port; a restarted registrar takes the port in its genesis file if the host
    is the same, and writes that file. Raises NodeError.
    """
    port = config.port
    if config.static is not None:
        port = port or _port_in_directory(directory, config.name)
    elif config.is_registrar and (config.network_folder / GENESIS_FILE).exists():
        try:
            port = port or _port_before(config, GenesisFile.load(config.network_folder))
        except NewerNetwork:
            raise  # it is not overwritten
        except CannotJoin as error:
            log.write_line("net", f"{error} It is rewritten now.")
    try:
        listener = await transport.listen(config.host, port)
    except ListenFailed as error:
        raise CannotListen(
            f"{config.name} {error}. Choose a --host of this machine, and another --port or none for a free one."
        ) from error
    transport.dial_from(listener.source)
    if config.is_registrar:
        where = config.advertise or (config.host, listener.port)
        genesis = GenesisFile(config.name, identity.public_key, *where, by_invitation=config.by_invitation)
        try:
            genesis.save(config.network_folder)
        except OSError as error:
            raise CannotStart(f"{config.network_folder / GENESIS_FILE} cannot be written: {error.strerror}.") from error
    return listener


def _port_before(config: NodeConfig, genesis: GenesisFile) -> int:
    return genesis.port if genesis.host == config.host and config.advertise is None else 0


def _port_in_directory(directory: Directory, name: str) -> int:
    record = directory.find(name)
    return record.endpoints[0].port if record is not None and record.endpoints else 0


def open_to_all(config: NodeConfig) -> str | None:
    """Return what strangers can reach, as a warning to a registrar's owner in one sentence; None: nothing."""
    host, _ = config.advertise or (config.host, 0)
    if not config.is_registrar or config.by_invitation or is_this_machine(host):
        return None
    text = (
        f"Anyone who reaches {host} can take names in this network: start {config.name} with --invite-only, "
        "and let people in with `nectar testnet invite`."
    )
    log.write_line("net", text)
    return text
