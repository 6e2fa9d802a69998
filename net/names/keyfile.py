"""The node's key file: its format, and reading and writing it.

A file is CBOR: `[magic, name, protection, key, previous]`. `protection` is `[salt, operations, memory]` of Argon2id,
or null: then the secrets lie open, for testnets. `key` is `[public key, box]`, where `box` is the seed in a SecretBox
under the stretched password, or the seed itself. `previous` is the same of the key that the name had before, or null;
it is there from a change of the key until the registrar has granted the new one. Name and public keys can be read
without the password. All is pure but for the functions at the end.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import cbor2
from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor, KeyFileDamaged, KeyFileError, KeyFileExists, KeyFileMissing, WrongPassword
from net.base.limits import MAX_KEY_FILE_BYTES
from net.base.node_names import is_node_name
from net.names.identity import KEY_BYTES, Identity

_MAGIC = "nectar node key 2"
_MAX_OPERATIONS = 16
_MAX_MEMORY_BYTES = 1 << 30
_MAX_ITEMS = 16


@dataclass(frozen=True, slots=True)
class KdfCost:
    """What one guess of the password costs (Argon2id)."""

    operations: int = pwhash.argon2id.OPSLIMIT_MODERATE
    """Passes over the memory."""
    memory: int = pwhash.argon2id.MEMLIMIT_MODERATE
    """Bytes of memory."""


DEFAULT_COST = KdfCost()


class Keys(NamedTuple):
    """The unlocked content of a key file."""

    identity: Identity
    """The node's identity."""
    previous: Identity | None
    """The same name with its former key, while the registrar may not know the new one."""


@dataclass(frozen=True, slots=True)
class SealedKey:
    """One key of a file."""

    public_key: bytes
    box: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Protection:
    """How the secrets of a file are protected."""

    salt: bytes
    cost: KdfCost


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file; its secrets may be locked."""

    name: str
    protection: Protection | None
    """How the secrets are protected; None: they lie open."""
    key: SealedKey
    previous: SealedKey | None

    def encode(self) -> bytes:
        """Return the bytes that `decode_key_file_untrusted` reads."""
        protection = self.protection
        kdf = [protection.salt, protection.cost.operations, protection.cost.memory] if protection else None
        previous = [self.previous.public_key, self.previous.box] if self.previous else None
        return cbor2.dumps([_MAGIC, self.name, kdf, [self.key.public_key, self.key.box], previous])

    def unlock(self, password: bytes | None) -> Keys:
        """Return the secrets. A password that an unprotected file does not need is ignored.

        Raises WrongPassword if it is missing or wrong, KeyFileDamaged if a secret is not that of its public key.
        """
        secret = None if self.protection is None else _stretch(password, self.protection)
        identity = _open(self.name, self.key, secret)
        return Keys(identity, _open(self.name, self.previous, secret) if self.previous is not None else None)

    def without_previous(self) -> "KeyFile":
        """Return the file without the former key, for when the registrar has granted the new one; needs no password."""
        return replace(self, previous=None)


def seal(keys: Keys, password: bytes | None, entropy: Callable[[int], bytes], cost: KdfCost | None = None) -> KeyFile:
    """Return a file with these keys; without a password the secrets lie open, and the file says so.

    The cost is by default libsodium's "moderate" one (256 MiB, under a second).
    """
    protection = secret = None
    if password is not None:
        protection = Protection(entropy(pwhash.argon2id.SALTBYTES), cost or DEFAULT_COST)
        secret = _stretch(password, protection)
    key = _close(keys.identity, secret, entropy)
    previous = _close(keys.previous, secret, entropy) if keys.previous is not None else None
    return KeyFile(keys.identity.name, protection, key, previous)


def decode_key_file_untrusted(data: bytes) -> KeyFile:
    """Return the key file in `data`. Raises KeyFileDamaged if it is not one."""
    try:
        fields = loads_untrusted(data, items=_MAX_ITEMS, depth=3) if len(data) <= MAX_KEY_FILE_BYTES else None
    except BadCbor as error:
        raise KeyFileDamaged("this is not a node key file") from error
    match fields:
        case [str(magic), str(name), protection, key, previous] if magic == _MAGIC and is_node_name(name):
            kdf = None if protection is None else _protection_untrusted(protection)
            former = None if previous is None else _key_untrusted(previous, kdf)
            return KeyFile(name, kdf, _key_untrusted(key, kdf), former)
    raise KeyFileDamaged("this is not a node key file")


def _protection_untrusted(fields: object) -> Protection:
    match fields:
        case [bytes(salt), int(operations), int(memory)] if (
            len(salt) == pwhash.argon2id.SALTBYTES
            and pwhash.argon2id.OPSLIMIT_MIN <= operations <= _MAX_OPERATIONS
            and pwhash.argon2id.MEMLIMIT_MIN <= memory <= _MAX_MEMORY_BYTES
        ):
            return Protection(salt, KdfCost(operations, memory))
    raise KeyFileDamaged("the node key file is damaged")


def _key_untrusted(fields: object, protection: Protection | None) -> SealedKey:
    size = KEY_BYTES + (SecretBox.NONCE_SIZE + SecretBox.MACBYTES if protection is not None else 0)
    match fields:
        case [bytes(public_key), bytes(box)] if len(public_key) == KEY_BYTES and len(box) == size:
            return SealedKey(public_key, box)
    raise KeyFileDamaged("the node key file is damaged")


def _close(identity: Identity, secret: bytes | None, entropy: Callable[[int], bytes]) -> SealedKey:
    box = identity.seed
    if secret is not None:
        box = bytes(SecretBox(secret).encrypt(identity.seed, entropy(SecretBox.NONCE_SIZE)))
    return SealedKey(identity.public_key, box)


def _open(name: str, key: SealedKey, secret: bytes | None) -> Identity:
    try:
        seed = key.box if secret is None else SecretBox(secret).decrypt(key.box)
    except CryptoError as error:
        raise WrongPassword("wrong password for the node key file") from error
    identity = Identity(name, seed)
    if identity.public_key != key.public_key:
        raise KeyFileDamaged("the node key file is damaged: its secret is not that of its public key")
    return identity


def _stretch(password: bytes | None, protection: Protection) -> bytes:
    if password is None:
        raise WrongPassword("the node key file is protected: it needs its password")
    cost = protection.cost
    return pwhash.argon2id.kdf(
        SecretBox.KEY_SIZE, password, protection.salt, opslimit=cost.operations, memlimit=cost.memory
    )


# --- from here on: disk ---------------------------------------------------------------------------------------------


def read_key_file(path: Path) -> KeyFile:
    """Read the file at `path`. Raises KeyFileMissing or KeyFileDamaged."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise KeyFileMissing(f"there is no node key file at {path}") from error
    except OSError as error:
        raise KeyFileDamaged(f"cannot read the node key file {path}: {error.strerror}") from error
    try:
        return decode_key_file_untrusted(data)
    except KeyFileError as error:
        raise type(error)(f"{path}: {error}") from error


def unlock_key_file(path: Path, password: bytes | None) -> Keys:
    """Return the keys in the file at `path`. Raises KeyFileError: as `read_key_file` and `KeyFile.unlock`."""
    file = read_key_file(path)
    try:
        return file.unlock(password)
    except KeyFileError as error:
        raise type(error)(f"{path}: {error}") from error


def write_key_file(path: Path, file: KeyFile) -> None:
    """Write the file with mode 0600, whole or not at all, durably. Raises KeyFileDamaged if the disk refuses."""
    _write(path, file, os.replace)


def create_key_file(path: Path, file: KeyFile) -> None:
    """Write the file as `write_key_file` does, if there is none yet. Raises KeyFileExists if there is one."""
    _write(path, file, _link)


def _write(path: Path, file: KeyFile, settle: Callable[[Path, Path], None]) -> None:
    staging = path.with_name(path.name + ".new")
    try:
        with suppress(FileNotFoundError):
            staging.unlink()
        descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            os.fchmod(descriptor, 0o600)  # what the umask has left of that
            output.write(file.encode())
            output.flush()
            os.fsync(output.fileno())
        settle(staging, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise KeyFileExists(f"there is a file at {path} already") from error
    except OSError as error:
        with suppress(OSError):
            staging.unlink()  # a part of a key
        raise KeyFileDamaged(f"cannot write the node key file {path}: {error.strerror}") from error


def _link(staging: Path, path: Path) -> None:
    """Give the file its name unless that exists: a link, unlike a rename, replaces nothing."""
    try:
        os.link(staging, path)
    finally:
        staging.unlink()
