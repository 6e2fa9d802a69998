"""What this node has published: new releases, and heads that are signed anew after its key has changed."""

from __future__ import annotations

from dataclasses import replace

from nectar_node.releases.document import Release
from nectar_node.releases.head import DOMAIN, SignedHead, head_of, sign_head
from nectar_node.releases.rules import check_new
from nectar_node.releases.shelf import Shelf
from net.peering.network import Network


class Published:
    """The packages of which this node is the publisher."""

    def __init__(self, our: str, network: Network, shelf: Shelf) -> None:
        self._our = our
        self._network = network
        self._shelf = shelf

    def publish(self, release: Release, folder: str, now: float) -> SignedHead:
        """Make a release the newest of its package; its files lie in `folder`. Raises BadRelease.

        Only here is it decided whether it may follow: another one may have come since it was made.
        """
        newest = next(iter(self._shelf.of(release.package)), None)
        check_new(release, None if newest is None else Shelf.release(newest))
        document = release.encode()
        signed = sign_head(head_of(release, document, self._time(now)), self._our, self._network.sign)
        self._shelf.put(document, folder)
        self._shelf.believe(signed)
        return signed

    def sign_anew(self, now: float) -> None:
        """Sign the heads of this node's packages with its present key that a former one has signed."""
        for signed in list(self._shelf.heads()):
            head = signed.head
            if head.package.publisher == self._our and not self._is_ours(signed):
                anew = replace(head, time=self._time(now))
                self._shelf.believe(sign_head(anew, self._our, self._network.sign))

    def _is_ours(self, signed: SignedHead) -> bool:
        return self._network.vouched_untrusted(self._our, DOMAIN, signed.body, signed.signature) is True

    def _time(self, now: float) -> int:
        return max(0, round(self._network.unix(now)))
