"""What is believed of heads and documents, and what may be published.

A mirror can neither alter a release, since a head names its document by hash, nor go back behind what a reader has
seen.
"""

from __future__ import annotations

from nectar_node.releases.document import Release, decode_release_untrusted, document_hash
from nectar_node.releases.errors import BadRelease, Downgrade, OtherContent
from nectar_node.releases.head import ReleaseHead, SignedHead, check_signature
from nectar_node.releases.limits import MAX_CHAIN
from nectar_node.releases.versions import Version


def check_head(signed: SignedHead, key: bytes, seen: ReleaseHead | None) -> None:
    """Raise BadRelease unless a head may be believed: `key` is the publisher's key now, `seen` the newest head of the
    package that this node has believed.

    NotProven: of another key. Downgrade: older than `seen`. OtherContent: the publisher has signed two releases with
    one number.
    """
    check_signature(signed, key)
    head = signed.head
    if seen is None:
        return
    assert seen.package == head.package
    if head.number < seen.number:
        raise Downgrade(
            f"The head of {head.package} goes back to release {head.number}, and this node has seen release "
            f"{seen.number}: whoever serves it is behind, or lies."
        )
    if head.number == seen.number and head.document != seen.document:
        raise OtherContent(
            f"{head.package.publisher} has signed two different releases of {head.package} with the number "
            f"{head.number}: ask its publisher which one is meant."
        )


def check_link(release: Release, hash: bytes, seen: ReleaseHead | None) -> None:
    """Raise OtherContent if a release, the hash of whose document is given, cannot be of one chain with the newest head
    of its package that this node has believed.
    """
    if seen is None:
        return
    another = release.number == seen.number and hash != seen.document
    if another or (release.number == seen.number + 1 and release.before != seen.document):
        raise OtherContent(
            f"{seen.package.publisher} has signed two different releases of {seen.package} with the number "
            f"{seen.number}, the one that this node has seen and another one: ask its publisher which one is meant."
        )


class Chain:
    """Documents from a head that is believed back to a version that is wanted.

    `wanted` is the hash of the document that is to be added next; None: all there is has been seen.
    """

    def __init__(self, head: ReleaseHead) -> None:
        self._package = head.package
        self._number = head.number
        self._later: Version | None = None
        self._steps = 0
        self.wanted: bytes | None = head.document

    def add_untrusted(self, document: bytes) -> Release:
        """Return the release in the document that is wanted; raises BadRelease if it is another, or a wrong one."""
        if self.wanted is None or document_hash(document) != self.wanted:
            raise BadRelease(
                f"A release document of {self._package} is not the one that its hash names: it is altered."
            )
        release = decode_release_untrusted(document)
        if release.package != self._package or release.number != self._number:
            raise BadRelease(
                f"Release {self._number} of {self._package} says that it is release {release.number} of "
                f"{release.package}: its publisher has signed a chain that is broken."
            )
        if self._later is not None and not release.version < self._later:
            raise BadRelease(
                f"Release {release.number} of {self._package} has the version {release.version}, which is not below "
                f"{self._later} of the one after it: its publisher has signed a chain that is broken."
            )
        self._later, self._number, self.wanted = release.version, release.number - 1, release.before
        self._steps += 1
        if self._steps == MAX_CHAIN:
            self.wanted = None
        return release

    def has_passed(self, version: Version) -> bool:
        """Return whether `version` can come no more, since versions fall from each release to the one before."""
        return self.wanted is None or (self._later is not None and self._later <= version)


def check_new(release: Release, newest: Release | None) -> None:
    """Raise BadRelease unless `release` may follow `newest`, the newest of its package; None: there is none.

    OtherContent: that version exists already.
    """
    if newest is None:
        return
    if release.version == newest.version:
        raise OtherContent(
            f"{release.package} {newest.version} has been published already, with "
            f"{'the same' if release.digest == newest.digest else 'other'} content: give the new one a higher version "
            "in its metadata.json."
        )
    if release.version < newest.version:
        raise BadRelease(
            f"{release.package} {release.version} is below {newest.version}, which is published: give it a higher "
            "version in its metadata.json."
        )
