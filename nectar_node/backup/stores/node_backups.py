"""The backups of one node, whether it runs or not: joins its settings, its files and the engine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from nectar_node.backup.format.access import access_key
from nectar_node.backup.format.errors import BackupError, RemoteFailed
from nectar_node.backup.format.heads import Head, HeadLink
from nectar_node.backup.format.keys import ID_BYTES, new_phrase, phrase_key, rotated
from nectar_node.backup.format.limits import IN_FLIGHT
from nectar_node.backup.format.listing import EntryKind
from nectar_node.backup.format.names import RINGS
from nectar_node.backup.operations import Remote, Steps
from nectar_node.backup.prune import Keep, Pruned, prune
from nectar_node.backup.repository import newest_number, open_heads, read_heads
from nectar_node.backup.restore import RestoredCopy, restore
from nectar_node.backup.run import BackupJob, Report, back_up, put_ring
from nectar_node.backup.schedule import RemotePlan
from nectar_node.backup.stores.cache_file import CacheWriter, boot_of_machine, forget_cache, open_cache
from nectar_node.backup.stores.driver import drive
from nectar_node.backup.stores.live_node import RunningNode, SnapshotVoid
from nectar_node.backup.stores.node_folder import NETWORK, NODE, STORE_LOGS, FolderTarget, NodeSource
from nectar_node.backup.stores.node_remote import Messenger, NodeRemote
from nectar_node.backup.stores.one_run import CopiedState, Results, all_at_once, node_state
from nectar_node.backup.stores.settings import (
    MAX_REMOTES,
    BackupKeys,
    BackupSettings,
    Remotes,
    RemoteState,
    new_keys,
    sealed_keys,
)
from nectar_node.backup.stores.urls import full_url, open_remote
from nectar_node.backup.verify import VerifyFindings, standing, verify
from nectar_node.base import own_files
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.base.folder import NodeFolder

Progress = Callable[[int, int], None]
"""Gets how many bytes are done, and of how many, or how many of them are new to the remote."""


MAX_TRIES = 3
"""Times that a snapshot of a running node is taken, if it cannot be kept: a node that changes so fast is better copied
later.
"""

Shown = Callable[[str, int], AbstractContextManager[Progress]]
"""Shows the progress of a remote, of about so many bytes."""


def _silent(done: int, total: int) -> None:
    pass


class NodeBackups:
    """The backups of the node in a folder."""

    def __init__(
        self,
        place: NodeFolder,
        network: Path,
        clock: Callable[[], float] = time.time,
        connect: Callable[[], RunningNode] | None = None,
        messenger: Messenger | None = None,
    ) -> None:
        """`connect` returns a connection to the node's control socket if it runs; without it, it must be stopped.
        `messenger` reaches other nodes through this one, while it runs.
        """
        self._messenger = messenger
        self._place = place
        self._network = network
        self._clock = clock
        self._connect = connect
        self.settings = BackupSettings(place.path)

    def add(self, name: str, url: str, plan: RemotePlan = RemotePlan()) -> str | None:  # noqa: B008
        """Add a remote, and return the recovery phrase if it is the first one, which makes the keys.

        Raises BadInput and RemoteFailed.
        """
        with self.settings.changing():
            remotes = self.settings.remotes()
            if name in remotes.remotes:
                raise BadInput(f"There is a remote {name} already, {remotes.remotes[name].url}: choose another name.")
            if len(remotes.remotes) >= MAX_REMOTES:
                raise BadInput(f"There are {MAX_REMOTES} remotes already: remove one with `nectar backup remove`.")
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
            remotes.remotes[name] = RemoteState(url, plan=plan, added=int(self._clock() * 1000))
            self.settings.save_remotes(remotes)
            return phrase

    def set_plan(self, name: str, change: Callable[[RemotePlan], RemotePlan]) -> RemotePlan:
        """Change the plan of a remote, and return the new one. Raises BadInput."""
        with self.settings.changing():
            remotes = self.settings.remotes()
            state = self._state(remotes, name)
            state.plan = change(state.plan)
            self.settings.save_remotes(remotes)
            return state.plan

    def forget(self, name: str) -> RemoteState:
        """Remove a remote from the settings; what it has stays there. Raises BadInput."""
        with self.settings.changing():
            remotes = self.settings.remotes()
            state = self._state(remotes, name)
            del remotes.remotes[name]
            self.settings.save_remotes(remotes)
            forget_cache(self.settings.cache(name))
            return state

    def rotate(self) -> str:
        """Make a new phrase and new keys for what is written from now on; return the phrase.

        All remotes are asked for their newest copies: the keys of those stay what they are. All get the new ring before
        the node has it, so that the new phrase opens each of them at once, and nothing has changed if one fails. Raises
        BadInput and BackupError.
        """
        with self.settings.running():
            keys, remotes = self._keys(), self.settings.remotes()
            newest = 0
            for name, state in remotes.remotes.items():
                newest = max(newest, drive(newest_number(_shown(name, state), keys.ring), self._open(state.url)))
            phrase = new_phrase(os.urandom)
            ring = rotated(keys.ring, keys.sealed[0], max(remotes.number, newest) + 1, os.urandom)
            self._reserve(ring.current.first - 1)
            changed = sealed_keys(ring, phrase_key(phrase), keys.writer, os.urandom)
            for name, state in remotes.remotes.items():
                drive(put_ring(_shown(name, state), changed.sealed), self._open(state.url, writes=True))
            self.settings.save_keys(changed)
            assert changed.access is not None
            for state in remotes.remotes.values():
                if isinstance(keeper := self._open(state.url), NodeRemote):
                    with suppress(RemoteFailed):  # then it learns of the phrase with the next run
                        keeper.introduce(changed.access)
            return phrase

    def run(
        self,
        names: list[str],
        *,
        takes_over: bool = False,
        waits: bool = False,
        shown: Shown = lambda name, total: nullcontext(_silent),
    ) -> Results:
        """Back up to some remotes at the same time, and yield what became of each; none waits for another.

        All get the same state of the node. `shown` shows the progress of each. If another run is under way, this one
        `waits` for its end. Raises BackupRunning and BadInput.
        """
        with self.settings.running(waits=waits):
            keys, remotes = self._keys(), self.settings.remotes()
            left = [*dict.fromkeys(names or remotes.remotes)]
            number = remotes.number + 1
            for name in left:
                self._state(remotes, name)
            for tries_left in reversed(range(MAX_TRIES)):
                again = []
                for name, result in self._try(left, keys, number, shown, takes_over=takes_over):
                    if isinstance(result, SnapshotVoid) and tries_left:
                        again.append(name)
                        continue
                    if isinstance(result, NodeError):
                        self._fail(name, str(result))
                    yield name, result
                left = again
                if not left:
                    return

    def _try(self, names: list[str], keys: BackupKeys, number: int, shown: Shown, *, takes_over: bool) -> Results:
        """Back up one state of the node, and yield what became of each remote."""
        if not names:
            return
        left = dict.fromkeys(names)
        now = int(self._clock() * 1000)  # before the instant: what changes after it is read again the next time
        try:
            with node_state(self._place, self._network, self._connect) as node:
                in_flight = max(1, IN_FLIGHT // len(names))

                def copy(name: str) -> Report:
                    job = self._job(name, keys, number, now, takes_over=takes_over, check=node.check)
                    job = replace(job, in_flight=in_flight)
                    with shown(name, self._size(name, node)) as progress:
                        return self._copy(name, job, keys.access, node, progress)

                for name, result in all_at_once(names, copy, nice=node.runs):
                    del left[name]
                    yield name, result
        except NodeError as error:
            yield from ((name, error) for name in left)
        except OSError as error:
            what = f"{self._place.path.name} cannot be copied: {error.strerror or error}."
            yield from ((name, BackupError(what)) for name in left)

    def _size(self, name: str, node: CopiedState) -> int:
        """Return about how many bytes a copy has."""
        if node.bytes is not None:
            return node.bytes
        before = self._state(self.settings.remotes(), name).bytes
        return before or sum(found.size for found in node.entries())

    def _copy(self, name: str, job: BackupJob, access: bytes | None, node: CopiedState, progress: Progress) -> Report:
        """Back up to one remote."""
        source, path = node.source(), self.settings.cache(name)
        remote = self._open(self._state(self.settings.remotes(), name).url, writes=True)
        writer = CacheWriter(path)
        try:
            with open_cache(path) as cache:
                report = drive(back_up(job, source, cache, progress, writer.keep), remote)
            if isinstance(remote, NodeRemote) and access is not None:
                remote.introduce(access)  # after the ring, so that a phrase never opens nothing
            self._update(name, lambda remotes, state: self._complete(remotes, state, report, job.now))
            writer.complete(report.cache)
        finally:
            writer.close()
        return replace(report, unsettled=node.unsettled(source))

    def verify(self, name: str, *, reads: bool = True, progress: Progress = _silent) -> VerifyFindings:
        """Check what a remote has. Raises BackupError."""
        keys, remotes = self._keys(), self.settings.remotes()
        state = self._state(remotes, name)
        steps = verify(_shown(name, state), keys.ring, keys.sealed, state.known, reads=reads, progress=progress)
        return drive(steps, self._open(state.url))

    def prune(self, name: str, keep: Keep) -> Pruned:
        """Remove copies from a remote. Raises BackupError."""
        with self.settings.running():
            keys, remotes = self._keys(), self.settings.remotes()
            state = self._state(remotes, name)
            job = self._job(name, keys, remotes.number + 1, int(self._clock() * 1000))
            pruned = drive(prune(job, keep), self._open(state.url, writes=True))
            if pruned.kept:
                self._update(name, lambda remotes, state: self._learn(remotes, state, pruned.link))
            return pruned

    def copies(self, name: str) -> list[Head]:
        """Return the copies that a remote has, the newest first. Raises BackupError."""
        keys, remotes = self._keys(), self.settings.remotes()
        state = self._state(remotes, name)
        return drive(_copies(_shown(name, state), keys, state.known), self._open(state.url))

    def waiting(self, name: str) -> tuple[int, int]:
        """Return how many files, and how many bytes of them, have changed since the last copy in a remote."""
        files = size = 0
        with open_cache(self.settings.cache(name)) as cache:
            for found in NodeSource(self._place.path, self._network).entries():
                if found.kind is not EntryKind.FILE or (found.path in STORE_LOGS and not found.size):
                    continue
                before = cache.files.get(found.path)
                if before is None or before[0] != found.stamp:
                    files, size = files + 1, size + found.size
        return files, size

    def _open(self, url: str, *, writes: bool = False, makes: bool = False) -> Remote:
        return open_remote(url, writes=writes, makes=makes, messenger=self._messenger)

    def _complete(self, remotes: Remotes, state: RemoteState, report: Report, now: int) -> None:
        self._learn(remotes, state, report.link)
        state.time, state.files, state.bytes = now, report.files, report.bytes

    def _fail(self, name: str, why: str) -> None:
        def fail(_: Remotes, state: RemoteState) -> None:
            state.failure = why

        self._update(name, fail)

    def _learn(self, remotes: Remotes, state: RemoteState, link: HeadLink) -> None:
        state.known, state.failure = link, None
        remotes.number = max(remotes.number, link.number)

    def _update(self, name: str, change: Callable[[Remotes, RemoteState], None]) -> None:
        """Change what is known of a remote, unless somebody has removed it meanwhile."""
        with self.settings.changing():
            remotes = self.settings.remotes()
            if (state := remotes.remotes.get(name)) is not None:
                change(remotes, state)
                self.settings.save_remotes(remotes)

    def _reserve(self, number: int) -> None:
        with self.settings.changing():
            remotes = self.settings.remotes()
            remotes.number = max(remotes.number, number)
            self.settings.save_remotes(remotes)

    def _job(
        self,
        name: str,
        keys: BackupKeys,
        number: int,
        now: int,
        *,
        takes_over: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> BackupJob:
        state = self._state(self.settings.remotes(), name)
        return BackupJob(
            _shown(name, state),
            keys.ring,
            keys.sealed,
            keys.writer,
            self._place.path.name,
            state.known,
            number,
            now,
            os.urandom,
            self._reserve,
            takes_over,
            check,
            boot=boot_of_machine(),
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


def restore_node(
    url: str,
    phrase: str,
    into: Path,
    nodes: str,
    *,
    at: int | None = None,
    least: int = 0,
    progress: Progress = _silent,
    check: Callable[[Head], None] = lambda newest: None,
    remote: Remote | None = None,
) -> RestoredCopy:
    """Restore a node into the new network folder `into`, below its folder `nodes`; it is there whole or not at all.
    `check` gets the newest head of the remote first, and raises what is to stop that.

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
        restored = drive(restore(url, key, target, at, least, progress, check), remote or open_remote(url))
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
    """Give a restored node the keys of its backups, as another copy of it, what is known of the remote, and the mark by
    which its first boot knows that it may have revoked more than it remembers."""
    own_files.write(NodeFolder(node).restored, b"")
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
    heads, _ = yield from read_heads(repository)
    return standing(heads)


def _shown(name: str, state: RemoteState) -> str:
    return f"{name} ({state.url})"
