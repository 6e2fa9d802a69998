"""What makes a booting node a member of its network: its key, and the directory from which it knows the others."""

from __future__ import annotations

import os
import time
from pathlib import Path

from nectar_node.base import log, own_files
from nectar_node.base.errors import BadInput
from nectar_node.contract.config import NodeConfig, StaticFile
from nectar_node.peers.record_store import RECORDS_FILE, Written, store_key
from nectar_node.peers.records_file import read_cache, read_names
from net.base.errors import BadNameRecord, KeyFileError, KeyFileMissing, WrongPassword
from net.base.limits import MAX_STATIC_FILE_BYTES
from net.names import directory, keyfile
from net.names.directory import Directory, RegistrarDirectory, StaticDirectory
from net.names.identity import KEY_BYTES, Identity
from net.names.keyfile import Keys
from net.names.registrar import Registrar


def read_keys(config: NodeConfig) -> Keys:
    """Return the node's key, made at its first boot, and the former one if it has changed since the last. Raises
    BadInput.
    """
    path = config.folder.key
    try:
        try:
            keys = keyfile.unlock_key_file(path, config.password)
        except KeyFileMissing:
            keys = Keys(Identity(config.name, os.urandom(KEY_BYTES)), None)
            keyfile.write_key_file(path, keyfile.seal(keys, config.password, os.urandom))
    except WrongPassword as error:
        raise BadInput(f"{config.name} cannot use its key: {error}; boot it again with the right one.") from error
    except KeyFileError as error:
        raise BadInput(f"{config.name} cannot use its key: {error}.") from error
    if keys.identity.name != config.name:
        raise BadInput(f"The key in {path} belongs to {keys.identity.name}, not to {config.name}.")
    return keys


def forget_former_key(path: Path) -> None:
    """Remove the former key from the key file, now that the registrar has granted the new one."""
    try:
        keyfile.write_key_file(path, keyfile.read_key_file(path).without_previous())
    except KeyFileError as error:
        log.write_line("net", f"the former key stays in its file: {error}")
    else:
        log.write_line("net", "the registrar has granted the new key; the former one is forgotten")


def open_directory(config: NodeConfig, keys: Keys) -> tuple[Directory, Written]:
    """Return the registrar's table, a cache of it, or a signed file; and how far the file of kept records goes.

    Raises BadInput.
    """
    identity, genesis, path = keys.identity, config.genesis, config.folder.records / RECORDS_FILE
    if config.static is not None:
        return _static_directory(config.name, config.static, identity.public_key), Written()
    if genesis is None:
        kept = read_names(path, store_key(identity, identity.public_key))
        own = (config.host,)
        return Registrar(identity, kept.records, by_invitation=config.by_invitation, own_hosts=own), kept.written
    former = store_key(keys.previous, genesis.public_key) if keys.previous is not None else None
    kept = read_cache(path, store_key(identity, genesis.public_key), former)
    return RegistrarDirectory(genesis.genesis(), kept.records), kept.written


def _static_directory(name: str, file: StaticFile, public_key: bytes) -> StaticDirectory:
    """Return the directory of a network without a registrar; raises BadInput if this node is not in it."""
    try:
        own_files.check_named_file(file.path)
        with file.path.open("rb") as opened:
            data = opened.read(MAX_STATIC_FILE_BYTES + 1)
        found = directory.decode_static_directory_untrusted(data, file.authority)
    except OSError as error:
        raise BadInput(f"Cannot read the directory {file.path}: {error.strerror}.") from error
    except BadNameRecord as error:
        raise BadInput(f"{file.path} is not a directory of that authority: {error}.") from error
    found.expire(time.time())
    record = found.find(name)
    if record is None or record.public_key != public_key:
        what = "does not name" if record is None else "has another key of"
        raise BadInput(f"{file.path} {what} {name}, or no longer does: sign a new one with `nectar directory sign`.")
    return found
