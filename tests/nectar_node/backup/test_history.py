"""Long histories from a seed: several remotes that fail, keys that change, nodes that are lost.

What was called complete is restored, bit for bit, from each remote by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from nectar_node.backup.cache import Cache
from nectar_node.backup.format.errors import BackupError, RemoteFailed
from nectar_node.backup.playing import play
from nectar_node.backup.prune import keep_recent, prune
from nectar_node.backup.stores.memory import MemoryRemote
from tests.nectar_node.backup.lab import SMALL, Lab, Place
from tests.seeds import seeds

STEPS, CHECKED = 25, 6


@dataclass
class Kept:
    """A remote, and what it must be able to give back: the files at each time."""

    place: Place = field(default_factory=Place)
    copies: dict[int, dict[bytes, bytes]] = field(default_factory=dict)


class History:
    """One node with three remotes."""

    def __init__(self, seed: int) -> None:
        self.lab = Lab(seed)
        self.random = self.lab.random
        self.remotes = [Kept() for _ in range(3)]

    def step(self) -> None:
        usual = (self.change, self.change, self.run, self.run, self.run)
        self.random.choice((*usual, self.interrupted, self.pruned, self.rotated, self.lost_cache, self.lost_node))()

    def change(self) -> None:
        """Write, replace and remove some files."""
        files = self.lab.files
        for _ in range(self.random.randrange(1, 4)):
            size = self.random.choice((0, 10, 600, 20_000, 150_000))
            files.write_file(b"node/%d" % self.random.randrange(6), self.random.randbytes(size))
        if self.random.random() < 0.3 and files.files:
            files.files.pop(self.random.choice(sorted(files.files)))

    def run(self) -> None:
        """Back up to one remote."""
        kept = self.random.choice(self.remotes)
        self._run(kept)

    def _run(self, kept: Kept) -> None:
        self.lab.run(kept.place, takes_over=True)
        kept.copies[self.lab.now] = dict(self.lab.files.files)

    def interrupted(self) -> None:
        """Lose the connection in a backup or in pruning, with or without the last answer; it may still be complete."""
        kept = self.random.choice(self.remotes)
        remote = kept.place.remote
        remote.operations_left, remote.loses_answers = self.random.randrange(40), self.random.random() < 0.5
        try:
            if self.random.random() < 0.7:
                self._run(kept)
            else:
                self._prune(kept)
        except RemoteFailed:
            remote.operations_left = None
            self._look_for_the_copy(kept)
        finally:
            remote.operations_left = None

    def _look_for_the_copy(self, kept: Kept) -> None:
        """A copy whose last answer was lost counts, too: the rule of pruning sees it."""
        objects = kept.place.remote.objects
        if self.lab.sealed[0] not in objects or not any(name.startswith("heads/") for name in objects):
            return
        files, restored = self.lab.restore(remote=kept.place.remote)
        if restored.head.time == self.lab.now:
            kept.copies[self.lab.now] = dict(files.files)
            assert files.files == self.lab.files.files

    def pruned(self) -> None:
        """Remove old copies."""
        self._prune(self.random.choice(self.remotes))

    def _prune(self, kept: Kept) -> None:
        last = self.random.randrange(1, 4)
        # Even if it is interrupted, no more than the newest ones can be relied on.
        kept.copies = dict(sorted(kept.copies.items())[-last:])
        job = self.lab.job(kept.place, takes_over=True)
        pruned = play(prune(job, keep_recent(last, 0)), kept.place.remote, self.random.randrange)
        if pruned.kept:
            self.lab.learn(pruned.link, kept.place)

    def rotated(self) -> None:
        """Change phrase and keys; for the check that follows, all remotes must know."""
        self.lab.rotate(*(kept.place for kept in self.remotes))
        for kept in self.remotes:
            if kept.copies:
                self._run(kept)

    def lost_cache(self) -> None:
        """Lose what is remembered of a remote's contents."""
        self.random.choice(self.remotes).place.cache = Cache()

    def lost_node(self) -> None:
        """Lose the node, and what it knows of remotes: it comes back from one of them, with another writer."""
        kept = self.random.choice(self.remotes)
        if not kept.copies:
            return
        files, restored = self.lab.restore(remote=kept.place.remote)
        self.lab.files = files
        files.stamps = dict.fromkeys(files.files, 1)
        files.writes = 1_000_000 + self.lab.now
        self.lab.writer, self.lab.number = self.random.randbytes(16), restored.newest.number
        for each in self.remotes:
            each.place.cache, each.place.known = Cache(), None
        kept.place.known = restored.newest

    def check(self) -> None:
        """Whatever was complete is restored."""
        for kept in self.remotes:
            for now, files in kept.copies.items():
                assert self.lab.restored(at=now, remote=kept.place.remote).files == files


@pytest.mark.parametrize("seed", seeds(2, 300))
def test_what_was_called_complete_is_restored(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that small files have many chunks, and lists of ids.
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)
    history = History(seed)
    for number in range(STEPS):
        history.step()
        if number % CHECKED == 0:
            history.check()
    history.check()
    for kept in history.remotes:
        if kept.copies:
            history.lab.place = kept.place
            assert history.lab.verify().damages == ()


def test_the_check_notices_what_is_lost() -> None:
    history = History(1)
    history.change()
    history.run()
    (kept,) = [kept for kept in history.remotes if kept.copies]
    kept.place.remote = MemoryRemote(
        {name: data for name, data in kept.place.remote.objects.items() if not name.startswith("packs/")}
    )
    with pytest.raises(BackupError):
        history.check()
