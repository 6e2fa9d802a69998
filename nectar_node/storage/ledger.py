"""How much each package has on the disk, and how much it may have (G23).

An operation that changes files changes the account first, so that two at the same time cannot both take what is left.
An account is valid only once its package has been counted (`Measure`) in this boot: no account has what a crash has
left, or somebody has put there. The same holds for a package whose guests write to its folder by WASI, past the
accounts: it is counted again and again (`nectar_node.core.disk_use`).

Counted are the files and folders below a package's folder of drives, each file as long as it appears, holes included,
and the saved states of its processes. Those lie in the node's store, which alone writes them, and are known without
counting.
"""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass, field
from functools import lru_cache

from nectar_node.base.decoding import Size
from nectar_node.base.running_hashes import RunningHashes
from nectar_node.storage import operations as ops
from nectar_node.storage.preserving import Preserver

GIB = 1 << 30
DEFAULT_BYTES = 4 * GIB
"""A package's quota in bytes: enough for the files that people send, but not a whole disk."""
DEFAULT_FILES = 100_000
"""Files, folders and states of one package. A file takes a block and an inode: counting so many takes a second."""
DEFAULT_FLOOR = GIB // 2
"""Bytes of the disk that are kept free for the node's own files, such as its log and its capabilities."""
FLOOR_SHARE = 20
"""On a small disk the floor is this part of it: one in so many."""
LENT_BYTES = 8 << 20
"""Bytes beyond its quota that a package may have, and of the floor that it may use, while it removes what is in a
database: there a removal is written down before anything becomes free.
"""
LONG_IDS = "(long ids)"
"""The package whose account has the states of packages with ids too long for a folder's name, and those of the first
version of this program that do not tell their process: they were files, and its id too long for a file's name.
"""

NO_ROOM = "the disk is full, but for what the node keeps free for itself"
NO_QUOTA = 1 << 62
"""Bytes: more than any disk has."""
FILE_TRANSFER = "file_transfer:sys"
"""A part of the node, with the files that its user is sent: its own rules and the floor bound it."""

_AT_LOCATION = frozenset(
    (
        ops.WriteAt,
        ops.Append,
        ops.Create,
        ops.MakeFolder,
        ops.CreateFolder,
        ops.RemoveFile,
        ops.RemoveFolder,
        ops.SetLength,
        ops.Replace,
        ops.Unpack,
        ops.FreeSpace,
        ops.OpenDatabase,
        ops.RemoveDatabase,
        ops.PutPairs,
        ops.RunSql,
        ops.GetValues,  # which may first have to take in what a crash has left
    )
)


@dataclass(frozen=True, slots=True)
class Quotas:
    """What packages may have on the disk of one node."""

    bytes: Size = DEFAULT_BYTES
    files: Size = DEFAULT_FILES
    floor: Size | None = None
    """Bytes that stay free; None: `DEFAULT_FLOOR`, or less on a small disk."""
    packages: tuple[tuple[str, Size], ...] = ((FILE_TRANSFER, NO_QUOTA),)
    """Packages with another quota, in bytes; the last entry of a package counts."""

    def floor_of(self, total: int) -> int:
        """Return how many bytes of a disk with `total` stay free."""
        return min(DEFAULT_FLOOR, total // FLOOR_SHARE) if self.floor is None else self.floor


DEFAULT_QUOTAS = Quotas()
NOTHING = ops.Usage(0, 0)


class OverQuota(OSError):
    """The package may have no more on the disk."""


@dataclass(slots=True)
class DiskAccount:
    """The account of one package. Thread-safe."""

    quota: ops.Usage
    text: str
    """The sentence that the quota is used up."""
    quotas: Quotas
    drives: ops.Usage = NOTHING
    """The files and folders in its drives."""
    states: ops.Usage = NOTHING
    """The saved states of its processes."""
    known: bool = False
    """Whether its drives have been counted in this boot."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def used(self) -> ops.Usage:
        """All that the package has."""
        return _plus(self.drives, *self.states)

    def claim(self, bytes: int, files: int = 0, lent: int = 0) -> None:
        """Take so much more, or less; raises OverQuota, and takes nothing then. `lent` bytes come on top of the
        quota.
        """
        with self._lock:
            self._check(bytes, files, lent)
            self.drives = _plus(self.drives, bytes, files)

    def claim_state(self, bytes: int, states: int) -> None:
        """Take so much more, or less, for saved states; raises OverQuota, and takes nothing then."""
        with self._lock:
            self._check(bytes, states)
            self.states = _plus(self.states, bytes, states)

    def _check(self, bytes: int, files: int, lent: int = 0) -> None:
        used, quota = self.used, self.quota
        if not self.known and (bytes > 0 or files > 0):
            raise OverQuota(errno.EIO, "the node cannot count what the package has: its log says why")
        if bytes > 0 and used.bytes + bytes > quota.bytes + lent:
            raise OverQuota(errno.EDQUOT, self.text)
        if files > 0 and used.files + files > quota.files:
            raise OverQuota(errno.EDQUOT, f"the package may have no more than {quota.files} files and folders")

    def settle(self, bytes: int, files: int = 0) -> None:
        """Correct the account by so much, without a check."""
        if bytes or files:
            with self._lock:
                self.drives = _plus(self.drives, bytes, files)

    def settle_state(self, bytes: int, states: int) -> None:
        """Correct what saved states take by so much, without a check."""
        with self._lock:
            self.states = _plus(self.states, bytes, states)

    def count(self, drives: ops.Usage) -> tuple[ops.Usage, ops.Usage]:
        """Set the account of the drives to what was found; return what the package has in all, and how much of it
        nobody has claimed (`Counted`).
        """
        with self._lock:
            before = self.drives if self.known else drives
            self.drives, self.known = drives, True
            return self.used, ops.Usage(drives.bytes - before.bytes, drives.files - before.files)

    def growth(self, free: int, total: int) -> int:
        """Return by how many bytes its files may grow on a disk with so many free, of so many in all."""
        return max(0, min(free - self.quotas.floor_of(total), self.quota.bytes - self.used.bytes))

    def is_tight(self, free: int, total: int) -> bool:
        """Whether so little is left, on a disk with so many bytes, that what is removed is to be free at once."""
        return self.growth(free, total) < LENT_BYTES

    def check_space(self, wanted: int, free: int, total: int, lent: int = 0) -> None:
        """Check that so many bytes may be written to a disk with so many, `lent` of the floor; raises OverQuota.

        Bytes that a file has already count, too: they may be holes, and some file systems write nothing in place.
        """
        if wanted and free - wanted < self.quotas.floor_of(total) - lent:
            raise OverQuota(errno.ENOSPC, NO_ROOM)


def _plus(usage: ops.Usage, bytes: int, files: int) -> ops.Usage:
    return ops.Usage(usage.bytes + bytes, usage.files + files)


class _Uncounted(DiskAccount):
    """The account of the node's own files, which has no bound."""

    __slots__ = ()

    def claim(self, bytes: int, files: int = 0, lent: int = 0) -> None:
        """Accept anything."""

    def settle(self, bytes: int, files: int = 0) -> None:
        """Do nothing."""

    def check_space(self, wanted: int, free: int, total: int, lent: int = 0) -> None:
        """Accept anything: the floor is there for these files."""


UNCOUNTED = _Uncounted(ops.Usage(NO_QUOTA, NO_QUOTA), "", Quotas(), known=True)


class Ledger:
    """The accounts of one node. Thread-safe."""

    def __init__(self, drives: str = "", quotas: Quotas = DEFAULT_QUOTAS, kept: str = "") -> None:
        """`drives` is the root of packages' files; without it, nothing is counted. `kept` is the root of what the node
        keeps for others: the floor holds for it, and its quotas are counted elsewhere (`nectar_node.system.keeper`).
        """
        self.quotas = quotas
        self.preserver: Preserver | None = None
        """What keeps the packages' files of a snapshot while they change; None: there is no snapshot."""
        self.hashes = RunningHashes()
        """Of files, by their locations."""
        self.drives = drives
        """The root of packages' files; empty: nothing is counted."""
        self._kept_root = kept
        self._kept = DiskAccount(ops.Usage(NO_QUOTA, NO_QUOTA), "", quotas, known=True)
        self._own = dict(quotas.packages)
        self._accounts: dict[str, DiskAccount] = {}
        self._lock = threading.Lock()

    def package_of(self, location: ops.Location) -> str | None:
        """Return the package whose account has what is there; None: it is in no account."""
        root, parts = location
        return parts[0] if parts and root and root == self.drives else None

    def preserver_of(self, location: ops.Location) -> Preserver | None:
        """Return what must be told before the file or folder changes; None: nothing, as there is no snapshot."""
        preserver = self.preserver
        return preserver if preserver is not None and self.package_of(location) is not None else None

    def account_of(self, location: ops.Location) -> DiskAccount:
        """Return the account of a file or folder; a package's folder of drives itself is in none."""
        if location.root == self._kept_root and location.root:
            return self._kept
        package = self.package_of(location)
        if package is None or (location.root == self.drives and len(location.parts) == 1):
            return UNCOUNTED
        return self.account(package)

    def account(self, package: str) -> DiskAccount:
        """Return the package's account, whether it has anything or not."""
        account = self._accounts.get(package)
        if account is None:
            with self._lock:
                account = self._accounts.setdefault(package, self._open(package))
        return account

    def _open(self, package: str) -> DiskAccount:
        size = self._own.get(package, self.quotas.bytes)
        text = f"the package's quota of {size} bytes is used up"
        return DiskAccount(ops.Usage(size, self.quotas.files), text, self.quotas)

    def is_known(self, package: str) -> bool:
        """Whether a package has been counted in this boot."""
        account = self._accounts.get(package)
        return account is not None and account.known

    def changed(self, operation: ops.Operation) -> tuple[str, ...]:
        """Return the packages whose accounts an operation changes, or must know."""
        if type(operation) in _AT_LOCATION:
            package = self.package_of(operation.location)
            return () if package is None else (package,)
        if isinstance(operation, ops.Copy | ops.CopyFolder | ops.UnpackFolder):
            package = self.package_of(operation.target)
            return () if package is None else (package,)
        if isinstance(operation, ops.Rename):
            both = (self.package_of(each) for each in (operation.location, operation.target))
            return tuple(dict.fromkeys(package for package in both if package is not None))
        return ()

    def measure(self, package: str) -> ops.Measure:
        """Return the operation that counts a package."""
        return ops.Measure(package, ops.Location(self.drives, (package,)))

    def survey(self) -> ops.Survey:
        """Return the operation that finds all packages."""
        return ops.Survey(ops.Location(self.drives, ()))

    @property
    def with_states(self) -> set[str]:
        """The packages that have saved states."""
        with self._lock:
            return {package for package, account in self._accounts.items() if account.states.files}


@lru_cache(4096)
def package_of_state(key: str) -> str:
    """Return the package whose account has a saved state (`operations.StateRow`)."""
    package = key.partition(":")[2]
    return package if ops.is_part(package) else LONG_IDS


def fitting(
    states: tuple[ops.StateRow, ...], ledger: Ledger, free: int, total: int
) -> tuple[tuple[ops.StateRow, ...], ops.LeftOut | None]:
    """Return the states that can be written to a disk with so many bytes, and the others.

    Each is written twice, into the store's log and then into its place, as a file's new content lies beside the old.
    """
    room, left = free - ledger.quotas.floor_of(total), set[str]()
    for key, value in states:
        if value and 2 * len(value) > room:
            left.add(key)
        else:
            room -= 2 * len(value or b"")
    if not left:
        return states, None
    return tuple(row for row in states if row.key not in left), ops.LeftOut(frozenset(left), NO_ROOM)
