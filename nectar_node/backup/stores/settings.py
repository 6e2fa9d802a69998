"""What a node keeps of its backups, in the folder `backup` of its own: keys, remotes, what is known of them, caches.

The keys are as secret as the node's own key, and never leave the folder: of these files, only the list of remotes is
backed up.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import cbor2

from nectar_node.backup.format.access import access_key
from nectar_node.backup.format.errors import BackupRunning, DamagedBackup
from nectar_node.backup.format.heads import HASH_BYTES, HeadLink
from nectar_node.backup.format.keys import ID_BYTES, KEY_BYTES, Entropy, Ring, decode_ring_untrusted, new_ring
from nectar_node.backup.format.limits import MAX_NUMBER, MAX_RING_BYTES
from nectar_node.backup.format.names import RINGS, is_name, new_name
from nectar_node.backup.schedule import RemotePlan
from nectar_node.base import own_files
from nectar_node.base.errors import BadFolder, BadInput
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

FOLDER = "backup"
REMOTES_FILE = "remotes.json"
MAX_REMOTES = 64
"""Remotes of a node: one run may copy to all of them."""
MOST_SECONDS = 10 * 365 * 86400
"""The longest interval and the longest wait for a warning, in seconds: ten years."""
_VERSION = 2
"""Of the list of remotes; version 1 had their URLs alone. What is known of them is still in the first version."""
_NUMBER = "Number"
"""A key beside those of remotes, whose names have no capitals."""
_MAGIC = "nectar-backup keys 2"
_FORMER_MAGIC = "nectar-backup keys 1"
_MAX_REMOTES_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class BackupKeys:
    """The keys of a node's backups."""

    ring: Ring
    sealed: tuple[str, bytes]
    """The ring as an object, which the phrase opens: its name and its bytes."""
    writer: bytes
    """This copy of the node, 16 random bytes."""
    access: bytes | None = None
    """The public key of the phrase (`format.access`), for nodes that keep copies; None: keys of the first version."""


@dataclass(slots=True)
class RemoteState:
    """What is known of a remote."""

    url: str
    known: HeadLink | None = None
    """Its newest head; None: nothing is known."""
    time: int | None = None
    """When its last complete copy was made, in milliseconds since 1970."""
    files: int = 0
    bytes: int = 0
    """What is in that copy."""
    failure: str | None = None
    """Why the last attempt came to nothing."""
    plan: RemotePlan = field(default_factory=RemotePlan)
    added: int | None = None
    """When it was added, in milliseconds since 1970; None: before this was kept."""


@dataclass(slots=True)
class Remotes:
    """The remotes of a node."""

    remotes: dict[str, RemoteState] = field(default_factory=dict)
    number: int = 0
    """The highest number of a copy that was put to any of them, whether or not it arrived."""


class BackupSettings:
    """The files in the folder of one node's backups."""

    def __init__(self, node: Path) -> None:
        self.folder = node / FOLDER
        self._keys = self.folder / "keys"
        self._remotes = self.folder / REMOTES_FILE
        self._known = self.folder / "known.json"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other commands from changing these files meanwhile; raises NotOurs and OSError."""
        own_files.make_folder(self.folder)
        descriptor = own_files.open_file(self.folder / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def running(self, *, waits: bool = False) -> Iterator[None]:
        """Keep other runs, which take long, from beginning meanwhile; all else goes on.

        Raises BackupRunning if one is under way, unless this one `waits` for its end; NotOurs and OSError.
        """
        own_files.make_folder(self.folder)
        descriptor = own_files.open_file(self.folder / "run", os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            except BlockingIOError:
                owner = os.pread(descriptor, 32, 0).decode(errors="replace")
                raise BackupRunning(
                    f"A backup is under way already, as process {owner}: wait for its end, or say --wait to `run`."
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def keys(self) -> BackupKeys | None:
        """Return the keys; None: there are none yet. Raises BadFolder."""
        try:
            own_files.check(self._keys, secret=True)
            data = own_files.read(self._keys, 4 * MAX_RING_BYTES)
        except FileNotFoundError:
            return None
        try:
            match loads_untrusted(data, items=8, depth=2):
                case [str(magic), bytes(ring), str(name), bytes(sealed), bytes(writer), *rest] if (
                    is_name(name) and name.startswith(RINGS) and len(writer) == ID_BYTES
                ):
                    keys = BackupKeys(decode_ring_untrusted("", name, ring), (name, sealed), writer)
                    match rest:
                        case [None | bytes() as access] if magic == _MAGIC and len(access or b"") in (0, KEY_BYTES):
                            return replace(keys, access=access)
                        case [] if magic == _FORMER_MAGIC:
                            return keys
        except (BadCbor, DamagedBackup):
            pass
        raise BadFolder(
            f"{self._keys} is damaged: move it away, and add the remotes again; what they have needs the old phrase."
        )

    def save_keys(self, keys: BackupKeys) -> None:
        """Replace the keys. Raises NotOurs and OSError."""
        name, data = keys.sealed
        own_files.write(self._keys, cbor2.dumps([_MAGIC, keys.ring.encode(), name, data, keys.writer, keys.access]))

    def remotes(self) -> Remotes:
        """Return the remotes, and what is known of them; raises BadFolder."""
        remotes = Remotes()
        for name, row in self._rows(self._remotes, _VERSION).items():
            with self._damage(self._remotes):
                remotes.remotes[name] = _settings(row)
        rows = self._rows(self._known, 1)
        remotes.number = _number(rows.pop(_NUMBER, 0))
        for name, row in rows.items():
            if name in remotes.remotes:
                with self._damage(self._known):
                    _know(remotes.remotes[name], row)
        return remotes

    def save_remotes(self, remotes: Remotes) -> None:
        """Replace the remotes, and what is known of them. Raises NotOurs and OSError."""
        settings: dict[str, object] = {name: _row(state) for name, state in remotes.remotes.items()}
        if settings != self._rows(self._remotes, _VERSION):  # it is backed up: unchanged, it costs nothing
            own_files.write(self._remotes, _json(_VERSION, settings))
        known = {
            name: {
                "newest": None if state.known is None else [state.known.number, state.known.hash.hex()],
                "time": state.time,
                "files": state.files,
                "bytes": state.bytes,
                "failure": state.failure,
            }
            for name, state in remotes.remotes.items()
        }
        own_files.write(self._known, _json(1, {_NUMBER: remotes.number, **known}))

    def _rows(self, path: Path, newest: int) -> dict[str, object]:
        with self._damage(path):
            try:
                value = json.loads(own_files.read(path, _MAX_REMOTES_BYTES))
            except FileNotFoundError:
                return {}
            if not isinstance(value, dict) or (version := value.pop("version", None)) not in range(1, newest + 1):
                raise ValueError(f"it is not of version {newest}, which this release knows")
            for name in value.keys() - {_NUMBER}:
                check_remote_name(name)
            return {name: {"url": url} for name, url in value.items()} if version < newest else value

    @contextmanager
    def _damage(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (BadInput, ValueError, RecursionError) as error:
            raise BadFolder(f"{path} is damaged ({error}): remove it, and add the remotes again.") from error

    def cache(self, remote: str) -> Path:
        """Return where the cache of a remote is."""
        return self.folder / "cache" / remote


def check_remote_name(name: str) -> str:
    """Return the name of a remote; raises BadInput if it cannot be one."""
    if _NAME.fullmatch(name) is None:
        raise BadInput(f"{name!r} cannot be a remote's name: small letters, digits and dashes, at most 32.")
    return name


def new_keys(key: bytes, entropy: Entropy) -> BackupKeys:
    """Return the keys of a new backup, whose ring `key` opens (`keys.phrase_key`)."""
    return sealed_keys(new_ring(entropy), key, entropy(ID_BYTES), entropy)


def sealed_keys(ring: Ring, key: bytes, writer: bytes, entropy: Entropy) -> BackupKeys:
    """Return keys with the ring sealed for a phrase."""
    name = new_name(RINGS, entropy)
    return BackupKeys(ring, (name, ring.seal(name, key, entropy)), writer, access_key(key))


def _json(version: int, value: dict[str, object]) -> bytes:
    return (json.dumps({"version": version, **value}, indent=2) + "\n").encode()


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value <= MAX_NUMBER else 0


def _row(state: RemoteState) -> dict[str, object]:
    return {"url": state.url, "every": state.plan.every, "warn": state.plan.warn, "added": state.added}


def _settings(row: object) -> RemoteState:
    match row:
        case {"url": str(url), "every": every, "warn": warn, "added": None | int() as added}:
            return RemoteState(url, plan=RemotePlan(_seconds(every), _seconds(warn)), added=added)
        case {"url": str(url), **rest} if not rest:
            return RemoteState(url)
    raise ValueError("a remote has no URL, or an unknown plan")


def _seconds(value: object) -> int | None:
    if value is None or (isinstance(value, int) and 0 <= value <= MOST_SECONDS):
        return value
    raise ValueError(f"{value!r} is not a number of seconds")


def _know(state: RemoteState, row: object) -> None:
    match row:
        case {
            "newest": newest,
            "time": None | int() as time,
            "files": int(files),
            "bytes": int(size),
            "failure": None | str() as failure,
        }:
            state.known, state.time, state.files, state.bytes, state.failure = _link(newest), time, files, size, failure
            return
    raise ValueError("a remote has an unknown shape")


def _link(value: object) -> HeadLink | None:
    match value:
        case None:
            return None
        case [int(number), str(digest)] if len(digest) == 2 * HASH_BYTES:
            return HeadLink(number, bytes.fromhex(digest))
    raise ValueError("a remote's newest copy has an unknown shape")
