"""The releases of a node as a scenario sees them: what it publishes, what it has, and how it lies about that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

from kernel.contract.address import PackageId

ReleaseLie: TypeAlias = Literal[
    "alters", "cuts_off", "forges_document", "forges_head", "shows_old", "denies", "silent", "drips", "serves_half"
]
"""How a node lies about a release: it changes a byte of each file, has half of each, serves another document in its
place, shows a newer head that it has signed itself, shows an older head that the publisher has signed, or a head of a
release that it does not have. Until it boots again it shows its head and answers nothing else, each request a second
before it is too late, or two of them and refuses all others."""

Files: TypeAlias = Mapping[str, bytes]
"""The files of a release, by path."""


class LabReleases(Protocol):
    """The releases of one node, which must run."""

    def publish(self, package: PackageId, version: str, files: Files) -> bytes | None:
        """Publish a version as the newest one of a package of this node, and return its hash; None: the disk does not
        take it.
        """

    def publish_two(
        self, package: PackageId, version: str, files: tuple[Files, Files], other: LabReleases
    ) -> tuple[bytes | None, bytes | None]:
        """Sign two releases with one number: this node has the first from now on, `other` the second. Return
        their hashes; None: the disk does not take it.
        """

    def lie(self, package: PackageId, how: ReleaseLie) -> bool:
        """Lie about the newest release of a package that is here; False: none is, or there is nothing to lie about."""

    def newest(self, package: PackageId) -> int:
        """Return the number of the newest head that this node has believed; 0: none."""

    def head(self, package: PackageId) -> bytes | None:
        """Return the hash of the release that it names."""

    def files(self, release: bytes) -> Files | None:
        """Return the files of a release that lie on the node's disk; None: it does not say that it has them."""

    @property
    def unfinished(self) -> int:
        """How many files fetches have left that have not come to their end."""
