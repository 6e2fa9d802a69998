"""The room on a simulated disk, and who has how much of it."""

from __future__ import annotations

from nectar_node.storage import operations as ops
from nectar_node.storage.folder_copies import staging_name
from nectar_node.storage.ledger import DiskAccount, Ledger
from testnet.sim.disk.durable_tree import DurableTree
from testnet.sim.disk.refusals import FULL, RefusedError
from testnet.sim.disk.tree import Path


class Space:
    """The room that files take."""

    def __init__(self, tree: DurableTree, capacity: int, ledger: Ledger) -> None:
        """`capacity` is in bytes, for all files together; `ledger` has the accounts."""
        self.capacity = capacity
        self.ledger = ledger
        self.full = False
        """Whether the disk takes no more bytes, whatever its capacity."""
        self._tree = tree
        self._unfinished: set[Path] = set()

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return sum([len(file.data) + file.zeros for file in self._tree.live.files.values()])

    @property
    def free(self) -> int:
        """Bytes that files may still grow by, whether or not the disk is `full`."""
        return self.capacity - self.used

    @property
    def room(self) -> int:
        """Bytes that can be written now."""
        return 0 if self.full else self.free

    def account(self, path: Path) -> DiskAccount:
        """Return the account of what is at `path`."""
        return self.ledger.account_of(ops.Location(path[0], path[1:]))

    def reserve(self, account: DiskAccount, more: int, wanted: int, files: int = 0, lent: int = 0) -> None:
        """Account for `more` bytes and `files` files, of which `wanted` bytes are written; `lent` may be too much.

        Raises RefusedError and OverQuota.
        """
        used = self.used if more > 0 or wanted else 0
        if more > 0 and (self.full or used + more > self.capacity):
            raise RefusedError(FULL)
        account.check_space(wanted, self.capacity - used, self.capacity, lent)
        account.claim(more, files, lent)

    def move(self, path: Path, target: Path) -> None:
        """Account for what is at `path` that replaces what is at `target`; raises OverQuota."""
        giver, taker = self.account(path), self.account(target)
        if giver is not taker:
            moved = self._tree.usage(path)
            taker.claim(*moved)
            giver.settle(-moved.bytes, -moved.files)
        if target != path and self._tree.is_there(target):
            replaced = self._tree.usage(target)
            taker.settle(-replaced.bytes, -replaced.files)

    # --- what a crash has left ----------------------------------------------------------------------------------------

    def leave_unfinished(self, path: Path) -> None:
        """Note what was never finished: the next one in the same place removes it."""
        self._unfinished.add(path)

    def forget_unfinished(self, path: Path) -> None:
        """Remove what was left unfinished there, if something was."""
        if path in self._unfinished:
            self._unfinished.discard(path)
            left = self._tree.usage(path)
            if path in self._tree.live.folders:
                self._tree.remove_folder(path)
            else:
                self._tree.live.remove(path)
            self.account(path).settle(-left.bytes, -left.files)


def staged(target: Path) -> Path:
    """Return where a new folder is made before it gets its name."""
    return (*target[:-1], staging_name(target[-1]))
