"""What a node has published goes on to be believed when its key changes."""

from __future__ import annotations

import pytest

from kernel.contract.address import Address
from kernel.contract.guest import GuestConfig
from nectar_node.core.config import CoreConfig
from nectar_node.core.core import NodeCore
from nectar_node.core.kept import KeptState
from nectar_node.packages.boot import Boot
from nectar_node.releases.errors import NotProven, OtherContent
from nectar_node.releases.head import SignedHead
from nectar_node.releases.rules import check_head
from nectar_node.releases.shelf import Shelf
from nectar_node.storage.database import STORE_FILE
from nectar_node.storage.operations import Location
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig
from tests.nectar_node.releases.samples import ANN, CHESS, head_for, release_of
from tests.net.world import entropy_of, identity_of, static_directory

NEW = identity_of("ann.test", "another key")


def booted(identity: Identity, shelf: Shelf) -> NodeCore:
    """The core of ann.test, which has this on its shelf, after a boot with that key."""

    def no_guest(address: Address) -> GuestConfig:
        raise AssertionError(address)

    network = Network(identity, static_directory(identity), NetworkConfig(), entropy_of(""), 0.0)
    roots = ("vfs", bytes(32), Location("node", (STORE_FILE,)), "code")
    core = NodeCore(CoreConfig(identity.name, *roots, lambda: 1, no_guest, kept=KeptState(shelf=shelf)), network)
    core.boot(Boot(), 0.0)
    return core


def published() -> Shelf:
    """A shelf with a release that the former key has signed."""
    release, shelf = release_of("1.0.0"), Shelf()
    shelf.put(release.encode(), "/folder")
    shelf.believe(head_for(release))
    shelf.changes()
    return shelf


def head_of(shelf: Shelf) -> SignedHead:
    head = shelf.head(CHESS)
    assert head is not None
    return head


def test_heads_are_signed_anew_at_the_boot_after_a_change_of_the_key() -> None:
    shelf = published()
    former = head_of(shelf)
    booted(NEW, shelf)
    signed = head_of(shelf)
    check_head(signed, NEW.public_key, former.head)
    assert (signed.head.number, signed.head.document) == (former.head.number, former.head.document)
    with pytest.raises(NotProven):
        check_head(former, NEW.public_key, None)


def test_heads_of_the_same_key_and_of_other_publishers_stay_as_they_are() -> None:
    shelf = published()
    former = head_of(shelf)
    booted(ANN, shelf)
    assert (head_of(shelf), shelf.has_changed) == (former, False)
    booted(identity_of("bob.test"), shelf)
    assert (head_of(shelf), shelf.has_changed) == (former, False)


def test_a_release_that_came_meanwhile_is_not_published_over() -> None:
    shelf = published()
    core = booted(ANN, shelf)
    with pytest.raises(OtherContent):
        core.published.publish(release_of("1.0.0", code=b"other"), "/other", 0.0)
