"""What makes a booting node a member of its network: its key, and the directory from which it knows the others."""

from __future__ import annotations

import os
import time
from pathlib import Path

from nectar_node.base import log, own_files
from nectar_node.base.errors import BadInput
from nectar_node.contract.config import NodeConfig, StaticFile
from nectar_node.peers.former_records import RECORDS_FILE, read_cache, read_names
from nectar_node.peers.name_rows import KeptNames, rows_of
from nectar_node.storage.operations import Row
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


def has_password(path: Path) -> bool:
    """Whether a password protects the key file, which is there."""
    return keyfile.read_key_file(path).protection is not None


def is_password(path: Path, password: bytes) -> bool:
    """Whether that is the password of the key file, as it is now. It takes a second of a core and 256 MiB."""
    try:
        if not has_password(path):
            return False
        keyfile.unlock_key_file(path, password)
    except KeyFileError as error:
        if not isinstance(error, WrongPassword):
            log.write_line("net", f"a password cannot be checked: {error}")
        return False
    return True


def forget_former_key(path: Path) -> None:
    """Remove the former key from the key file, now that the registrar has granted the new one."""
    try:
        keyfile.write_key_file(path, keyfile.read_key_file(path).without_previous())
    except KeyFileError as error:
        log.write_line("net", f"the former key stays in its file: {error}")
    else:
        log.write_line("net", "the registrar has granted the new key; the former one is forgotten")


def registrar_key(config: NodeConfig, keys: Keys) -> bytes:
    """Return the public key of the registrar of the node's network; none of a network without one."""
    if config.static is not None:
        return b""
    return keys.identity.public_key if config.genesis is None else config.genesis.public_key


def open_directory(config: NodeConfig, keys: Keys, kept: KeptNames) -> Directory:
    """Return the registrar's table, a cache of it, or a signed file. Raises BadInput."""
    identity, genesis = keys.identity, config.genesis
    if config.static is not None:
        return _static_directory(config.name, config.static, identity.public_key)
    records = kept.of(registrar_key(config, keys))
    if genesis is None:
        return Registrar(identity, records, by_invitation=config.by_invitation, own_hosts=(config.host,))
    return RegistrarDirectory(genesis.genesis(), records)


def former_names(config: NodeConfig, keys: Keys) -> list[Row]:
    """Return the name records that an older version of the node has kept in a file, as rows; raises BadFolder."""
    path, registrar = config.folder.records / RECORDS_FILE, registrar_key(config, keys)
    if config.static is not None or not path.exists():
        return []
    if config.genesis is None:
        return rows_of(read_names(path, keys.identity), registrar)
    own = [keys.identity] if keys.previous is None else [keys.identity, keys.previous]
    return rows_of(read_cache(path, own, registrar), registrar)


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
