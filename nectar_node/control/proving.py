"""Finds what proves that a package is a release of its publisher's: what the node knows, or what comes with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from nectar_node.base.errors import BadPackage
from nectar_node.base.plain_files import open_plain
from nectar_node.core.core import NodeCore
from nectar_node.packages.manifest import Package
from nectar_node.releases.document import document_hash
from nectar_node.releases.errors import BadRelease, NotProven
from nectar_node.releases.files import PROOF_FILE
from nectar_node.releases.head import can_be_proven
from nectar_node.releases.proof import MAX_PROOF_BYTES, ReleaseProof, read_proof_untrusted
from nectar_node.releases.rules import check_head, check_link
from nectar_node.releases.shelf import HeldRelease, Shelf

LOOKUP_SECONDS = 10.0
"""How long the key of a publisher is waited for, which the registrar has."""
_GLANCE_SECONDS = 0.05


class Prover:
    """Proves packages for one node."""

    def __init__(self, core: NodeCore, turn: Callable[[], None]) -> None:
        self._core = core
        self._turn = turn

    async def prove(self, package: Package, source: Path) -> HeldRelease | None:
        """Return the release that a package is; None: nothing proves that it is one. `source` is the folder that its
        user named.

        Raises BadRelease if what comes with it is forged, of a former key, or older than what the node has seen.
        """
        if not can_be_proven(package.id):
            return None
        if package.id.publisher != self._core.our:
            proof = await trio.to_thread.run_sync(_read_proof, package, source)
            if proof is not None:
                await self._take(package, proof)
        for held in self._core.shelf.of(package.id):
            if Shelf.release(held).digest == package.digest:
                await self._check_head(package)
                return held
        return None

    async def _check_head(self, package: Package) -> None:
        """Raise NotProven if the head that leads to a release is of a former key."""
        head, publisher = self._core.shelf.head(package.id), package.id.publisher
        key = None if head is None or publisher == self._core.our else await self._key_of(publisher)
        if head is None or (key is not None and not head.signed_by(key)):
            raise NotProven(
                f"What proves {package.id} is signed by a former key of {publisher}: ask for one that is signed anew, "
                "or add --unsigned if you know where this one comes from."
            )

    async def _take(self, package: Package, proof: ReleaseProof) -> None:
        """Believe what comes with a package, if its publisher has signed it."""
        shelf, head, publisher = self._core.shelf, proof.head, package.id.publisher
        if head.head.package != package.id:
            raise NotProven(f"What comes with {package.id} as its proof is that of {head.head.package}.")
        key = await self._key_of(publisher)
        if key is None:
            raise NotProven(
                f"Whether {publisher} has published {package.id} cannot be checked, since the registrar does not say "
                f"which key {publisher} has: try again when it can be reached."
            )
        seen = shelf.head(package.id)
        check_head(head, key, None if seen is None else seen.head)
        for release, document in zip(proof.releases, proof.documents, strict=True):
            check_link(release, document_hash(document), None if seen is None else seen.head)
        shelf.believe(head)
        for document in proof.documents:
            known = shelf.get(document_hash(document))
            if known is None:
                shelf.put(document, None)

    async def _key_of(self, name: str) -> bytes | None:
        """Return the public key of a node; None: it cannot be had."""
        network = self._core.network
        if (record := network.record(name)) is None:
            network.look_up(name, trio.current_time())
            self._turn()
            for _ in range(round(LOOKUP_SECONDS / _GLANCE_SECONDS)):
                if (record := network.record(name)) is not None:
                    break
                await trio.sleep(_GLANCE_SECONDS)
        return None if record is None else record.public_key


def _read_proof(package: Package, source: Path) -> ReleaseProof | None:
    """Return what lies beside a package's files as its proof; raises BadPackage and BadRelease."""
    for path in dict.fromkeys((source / PROOF_FILE, package.folder / PROOF_FILE, package.folder.parent / PROOF_FILE)):
        try:
            with open_plain(path) as file:
                data = file.read(MAX_PROOF_BYTES + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BadPackage(f"{path} cannot be read: {error.strerror}.") from error
        try:
            return read_proof_untrusted(data)
        except BadRelease as error:
            raise BadRelease(f"{package.id} cannot be proven: {error}") from error
    return None
