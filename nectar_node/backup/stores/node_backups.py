"""The backups of one node that does not run: joins its settings, its files and the engine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from nectar_node.backup.format.access import access_key
from nectar_node.backup.format.errors import BackupError
from nectar_node.backup.format.heads import Head, HeadLink
from nectar_node.backup.format.keys import ID_BYTES, new_phrase, phrase_key, rotated
from nectar_node.backup.format.listing import EntryKind
from nectar_node.backup.format.names import RINGS
from nectar_node.backup.operations import Remote, Steps
from nectar_node.backup.prune import Keep, Pruned, prune
from nectar_node.backup.repository import newest_number, open_heads, read_head
from nectar_node.backup.restore import RestoredCopy, restore
from nectar_node.backup.run import BackupJob, Report, back_up
from nectar_node.backup.stores.cache_file import load_cache, save_cache
from nectar_node.backup.stores.driver import drive
from nectar_node.backup.stores.node_folder import NETWORK, NODE, FolderTarget, NodeSource
from nectar_node.backup.stores.node_remote import Messenger, NodeRemote
from nectar_node.backup.stores.settings import BackupKeys, BackupSettings, Remotes, RemoteState, new_keys, sealed_keys
from nectar_node.backup.stores.urls import full_url, open_remote
from nectar_node.backup.verify import VerifyFindings, standing, verify
from nectar_node.base.errors import AlreadyRunning, BadInput, NodeError
from nectar_node.base.folder import NodeFolder

Progress = Callable[[int, int], None]
"""Gets how many bytes are done, and of how many, or how many of them are new to the remote."""


def _silent(done: int, total: int) -> None:
    pass


class NodeBackups:
    """The backups of the node in a folder."""

    def __init__(
        self,
        place: NodeFolder,
        network: Path,
        clock: Callable[[], float] = time.time,
        messenger: Messenger | None = None,
    ) -> None:
        """`messenger` reaches other nodes through this one, while it runs."""
        self._messenger = messenger
        self._place = place
        self._network = network
        self._clock = clock
        self.settings = BackupSettings(place.path)

    def add(self, name: str, url: str) -> str | None:
        """Add a remote, and return the recovery phrase if it is the first one, which makes the keys.

        Raises BadInput and RemoteFailed.
        """
        with self.settings.changing():
            remotes = self.settings.remotes()
            if name in remotes.remotes:
                raise BadInput(f"There is a remote {name} already, {remotes.remotes[name].url}: choose another name.")
            url = full_url(url)
            if any(state.url == url for state in remotes.remotes.values()):
                raise BadInput(f"{url} is a remote already.")
            if (other := Path(url)).is_absolute() and other.is_relative_to(self._place.path.absolute()):
                raise BadInput(f"{url} lies in the node's own folder: a backup belongs on another disk.")
            keys, rings = self.settings.keys(), self._open(url, makes=True).list(RINGS)
            ours = set() if keys is None else {keys.sealed[0], *(RINGS + name.hex() for name in keys.ring.replaced)}
            if rings and not any(name in ours for name, _ in rings):
                raise BadInput(f"{url} has the copies of another node, or of former keys: choose an empty place.")
            phrase = None
            if keys is None:
                phrase = new_phrase(os.urandom)
                self.settings.save_keys(new_keys(phrase_key(phrase), os.urandom))
            remotes.remotes[name] = RemoteState(url)
            self.settings.save_remotes(remotes)
            return phrase

    def forget(self, name: str) -> RemoteState:
        """Remove a remote from the settings; what it has stays there. Raises BadInput."""
        with self.settings.changing():
            remotes = self.settings.remotes()
            state = self._state(remotes, name)
            del remotes.remotes[name]
            self.settings.save_remotes(remotes)
            self.settings.cache(name).unlink(missing_ok=True)
            return state

    def rotate(self) -> str:
        """Make a new phrase and new keys for what is written from now on; return the phrase.

        All remotes are asked for their newest copies: the keys of those stay what they are. Raises BadInput and
        BackupError.
        """
        with self.settings.changing():
            keys, remotes = self._keys(), self.settings.remotes()
            for name, state in remotes.remotes.items():
                newest = drive(newest_number(_shown(name, state), keys.ring), self._open(state.url))
                remotes.number = max(remotes.number, newest)
            self.settings.save_remotes(remotes)
            phrase = new_phrase(os.urandom)
            ring = rotated(keys.ring, keys.sealed[0], remotes.number + 1, os.urandom)
            self.settings.save_keys(sealed_keys(ring, phrase_key(phrase), keys.writer, os.urandom))
            return phrase

    def run(
        self,
        names: list[str],
        *,
        takes_over: bool = False,
        shown: Callable[[str, int], AbstractContextManager[Progress]] = lambda name, total: nullcontext(_silent),
    ) -> Iterator[tuple[str, Report | NodeError]]:
        """Back up to some remotes, and yield what became of each; one that fails keeps no other from going on.

        `shown` shows the progress of each, of about so many bytes as its copy before had. Raises AlreadyRunning and
        BadInput.
        """
        with self.settings.changing(), self._stopped():
            keys, remotes = self._keys(), self.settings.remotes()
            number = remotes.number + 1
            for name in names or [*remotes.remotes]:
                state = self._state(remotes, name)
                source = NodeSource(self._place.path, self._network)
                cache = load_cache(self.settings.cache(name))
                job = self._job(name, remotes, keys, number, takes_over=takes_over)
                try:
                    total = state.bytes or sum(found.size for found in source.entries())
                    with shown(name, total) as progress:
                        remote = self._open(state.url, writes=True)
                        report = drive(back_up(job, source, cache, progress), remote)
                        if isinstance(remote, NodeRemote) and keys.access is not None:
                            remote.introduce(keys.access)  # after the ring, so that a phrase never opens nothing
                except NodeError as error:
                    state.failure = str(error)
                    self.settings.save_remotes(remotes)
                    yield name, error
                    continue
                self._complete(remotes, state, report.link, job.now)
                state.files, state.bytes = report.files, report.bytes
                self.settings.save_remotes(remotes)
                save_cache(self.settings.cache(name), report.cache)
                yield name, report

    def verify(self, name: str, *, reads: bool = True, progress: Progress = _silent) -> VerifyFindings:
        """Check what a remote has. Raises BackupError."""
        keys, remotes = self._keys(), self.settings.remotes()
        state = self._state(remotes, name)
        steps = verify(_shown(name, state), keys.ring, keys.sealed, state.known, reads=reads, progress=progress)
        return drive(steps, self._open(state.url))

    def prune(self, name: str, keep: Keep) -> Pruned:
        """Remove copies from a remote. Raises BackupError."""
        with self.settings.changing():
            keys, remotes = self._keys(), self.settings.remotes()
            state = self._state(remotes, name)
            job = self._job(name, remotes, keys, remotes.number + 1)
            pruned = drive(prune(job, keep), self._open(state.url, writes=True))
            if pruned.kept:
                self._complete(remotes, state, pruned.link, None)
                self.settings.save_remotes(remotes)
            return pruned

    def copies(self, name: str) -> list[Head]:
        """Return the copies that a remote has, the newest first. Raises BackupError."""
        keys, remotes = self._keys(), self.settings.remotes()
        state = self._state(remotes, name)
        return drive(_copies(_shown(name, state), keys, state.known), self._open(state.url))

    def waiting(self, name: str) -> tuple[int, int]:
        """Return how many files, and how many bytes of them, have changed since the last copy in a remote."""
        before = load_cache(self.settings.cache(name)).files
        changed = [
            found.size
            for found in NodeSource(self._place.path, self._network).entries()
            if found.kind is EntryKind.FILE and before.get(found.path, (None, None))[0] != found.stamp
        ]
        return len(changed), sum(changed)

    def _open(self, url: str, *, writes: bool = False, makes: bool = False) -> Remote:
        return open_remote(url, writes=writes, makes=makes, messenger=self._messenger)

    def _complete(self, remotes: Remotes, state: RemoteState, link: HeadLink, now: int | None) -> None:
        state.known, state.failure = link, None
        state.time = state.time if now is None else now
        remotes.number = max(remotes.number, link.number)

    def _job(
        self, name: str, remotes: Remotes, keys: BackupKeys, number: int, *, takes_over: bool = False
    ) -> BackupJob:
        state = self._state(remotes, name)

        def reserve(used: int) -> None:
            remotes.number = max(remotes.number, used)
            self.settings.save_remotes(remotes)

        return BackupJob(
            _shown(name, state),
            keys.ring,
            keys.sealed,
            keys.writer,
            self._place.path.name,
            state.known,
            number,
            int(self._clock() * 1000),
            os.urandom,
            reserve,
            takes_over,
        )

    def _keys(self) -> BackupKeys:
        keys = self.settings.keys()
        if keys is None:
            raise BadInput(f"{self._place.path.name} has no backups yet: add a remote with `nectar backup add`.")
        return keys

    def _state(self, remotes: Remotes, name: str) -> RemoteState:
        state = remotes.remotes.get(name)
        if state is None:
            known = f"there are {', '.join(remotes.remotes)}" if remotes.remotes else "there is none yet"
            raise BadInput(f"There is no remote {name}: {known}.")
        return state

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        """Keep the node from starting. Raises AlreadyRunning if it runs."""
        try:
            lock = self._place.acquire()
        except AlreadyRunning as error:
            raise AlreadyRunning(
                f"{self._place.path.name} is running, as process {self._place.owner()}, and its files change: "
                "stop it, and run the backup again."
            ) from error
        try:
            yield
        finally:
            os.close(lock)


def restore_node(
    url: str,
    phrase: str,
    into: Path,
    nodes: str,
    *,
    at: int | None = None,
    least: int = 0,
    progress: Progress = _silent,
    remote: Remote | None = None,
) -> RestoredCopy:
    """Restore a node into the new network folder `into`, below its folder `nodes`; it is there whole or not at all.

    `remote` is what `url` means, if it is another node. Raises BadInput and BackupError.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise BadInput(f"{into} is not empty: choose a folder that does not exist yet.")
    url, key = full_url(url), phrase_key(phrase)
    staging = into.with_name(f".{into.name}.restoring")
    if staging.exists():
        shutil.rmtree(staging)

    def target(head: Head) -> FolderTarget:
        if head.node in ("", ".", "..") or "/" in head.node or "\0" in head.node:
            raise BackupError(f"{head.node!r} in the backup cannot be a node's name.")
        (staging / nodes).mkdir(mode=0o700, parents=True)
        return FolderTarget({NODE: staging / nodes / head.node, NETWORK: staging})

    try:
        restored = drive(restore(url, key, target, at, least, progress), remote or open_remote(url))
        _settle(staging / nodes / restored.head.node, url, restored, access_key(key))
        os.sync()
        if into.exists():
            into.rmdir()
        staging.rename(into)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return restored


def _settle(node: Path, url: str, restored: RestoredCopy, access: bytes) -> None:
    """Give a restored node the keys of its backups, as another copy of it, and what is known of the remote."""
    settings = BackupSettings(node)
    with settings.changing():
        settings.save_keys(BackupKeys(restored.ring, restored.sealed_ring, os.urandom(ID_BYTES), access))
        remotes = settings.remotes()
        name = next((each for each, state in remotes.remotes.items() if state.url == url), "restored")
        state = remotes.remotes.setdefault(name, RemoteState(url))
        state.url, state.known, state.failure = url, restored.newest, None
        state.time, state.files, state.bytes = restored.head.time, restored.head.files, restored.head.bytes
        remotes.number = max(remotes.number, restored.newest.number)
        settings.save_remotes(remotes)


def _copies(remote: str, keys: BackupKeys, known: HeadLink | None) -> Steps[list[Head]]:
    repository = yield from open_heads(remote, keys.ring, 0 if known is None else known.number)
    heads = {}
    for number in repository.heads:
        heads[number] = yield from read_head(repository, number)
    return standing(heads)


def _shown(name: str, state: RemoteState) -> str:
    return f"{name} ({state.url})"
