"""The node's key file: its format, and reading and writing it.

A file is CBOR: `[magic, name, "password", [salt, operations, memory], box]`, where `box` is the seed in a SecretBox
under Argon2id of the password, or `[magic, name, "unprotected", null, seed]` for testnets. All is pure but for the
last two functions.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cbor2
from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from net.errors import KeyFileDamaged, KeyFileError, KeyFileMissing, WrongPassword
from net.identity import KEY_BYTES, Identity
from net.limits import MAX_KEY_FILE_BYTES
from net.names import is_node_name

_MAGIC = "nectar node key 1"
_MAX_OPERATIONS = 16
_MAX_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class KdfCost:
    """What one guess of the password costs (Argon2id)."""

    operations: int = pwhash.argon2id.OPSLIMIT_MODERATE
    """Passes over the memory."""
    memory: int = pwhash.argon2id.MEMLIMIT_MODERATE
    """Bytes."""


CHEAP = KdfCost(pwhash.argon2id.OPSLIMIT_MIN, pwhash.argon2id.MEMLIMIT_MIN)
"""For tests alone: protects nothing."""


def encode_key_file(
    identity: Identity, password: str | None, entropy: Callable[[int], bytes], cost: KdfCost | None = None
) -> bytes:
    """The file's bytes; without a password the secret lies open, and the file says so.

    The cost is by default libsodium's "moderate" one (256 MiB, under a second).
    """
    if password is None:
        return cbor2.dumps([_MAGIC, identity.name, "unprotected", None, identity.seed])
    cost = cost or KdfCost()
    salt = entropy(pwhash.argon2id.SALTBYTES)
    key = _stretch(password, salt, cost)
    box = SecretBox(key).encrypt(identity.seed, entropy(SecretBox.NONCE_SIZE))
    return cbor2.dumps([_MAGIC, identity.name, "password", [salt, cost.operations, cost.memory], bytes(box)])


def decode_key_file_untrusted(data: bytes, password: str | None) -> Identity:
    """The identity in a key file. A password that an unprotected file does not need is ignored.

    Raises KeyFileError: KeyFileDamaged if it is no key file, WrongPassword if the password is missing or wrong.
    """
    try:
        fields = cbor2.loads(data, max_depth=4) if len(data) <= MAX_KEY_FILE_BYTES else None
    except cbor2.CBORDecodeError as error:
        raise KeyFileDamaged("this is not a node key file") from error
    match fields:
        case [str(magic), str(name), "unprotected", None, bytes(seed)] if magic == _MAGIC:
            pass
        case [str(magic), str(name), "password", [bytes(salt), int(operations), int(memory)], bytes(box)] if (
            magic == _MAGIC
        ):
            seed = _unlock(password, box, salt, KdfCost(operations, memory))
        case _:
            raise KeyFileDamaged("this is not a node key file")
    if not is_node_name(name) or len(seed) != KEY_BYTES:
        raise KeyFileDamaged("the node key file is damaged")
    return Identity(name, seed)


def _unlock(password: str | None, box: bytes, salt: bytes, cost: KdfCost) -> bytes:
    if password is None:
        raise WrongPassword("the node key file is protected: it needs its password")
    minimum = pwhash.argon2id.OPSLIMIT_MIN, pwhash.argon2id.MEMLIMIT_MIN
    if (
        len(salt) != pwhash.argon2id.SALTBYTES
        or not minimum[0] <= cost.operations <= _MAX_OPERATIONS
        or not minimum[1] <= cost.memory <= _MAX_MEMORY_BYTES
        or len(box) != SecretBox.NONCE_SIZE + SecretBox.MACBYTES + KEY_BYTES
    ):
        raise KeyFileDamaged("the node key file is damaged")
    try:
        return SecretBox(_stretch(password, salt, cost)).decrypt(box)
    except CryptoError as error:
        raise WrongPassword("wrong password for the node key file") from error


def _stretch(password: str, salt: bytes, cost: KdfCost) -> bytes:
    return pwhash.argon2id.kdf(
        SecretBox.KEY_SIZE, password.encode(), salt, opslimit=cost.operations, memlimit=cost.memory
    )


# --- from here on: disk ---------------------------------------------------------------------------------------------


def read_key_file(path: Path, password: str | None) -> Identity:
    """The identity in the file at `path`. Raises KeyFileError; see `decode_key_file_untrusted`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise KeyFileMissing(f"there is no node key file at {path}") from error
    except OSError as error:
        raise KeyFileDamaged(f"cannot read the node key file {path}: {error.strerror}") from error
    try:
        return decode_key_file_untrusted(data, password)
    except KeyFileError as error:
        raise type(error)(f"{path}: {error}") from error


def write_key_file(path: Path, data: bytes) -> None:
    """Write the file with mode 0600, whole or not at all, durably. Raises KeyFileError if the disk refuses."""
    staging = path.with_name(path.name + ".new")
    try:
        with suppress(FileNotFoundError):
            staging.unlink()
        descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staging, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyFileDamaged(f"cannot write the node key file {path}: {error.strerror}") from error
