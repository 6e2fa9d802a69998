"""Only the publisher's node says which release is the newest, and nobody can go back behind what was seen."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import pytest

from kernel.contract.address import PackageId
from nectar_node.releases import proof
from nectar_node.releases.document import Release, document_hash
from nectar_node.releases.errors import BadRelease, Downgrade, NotProven, OtherContent
from nectar_node.releases.head import can_be_proven, head_of, read_head_untrusted, sign_head
from nectar_node.releases.limits import MAX_HEAD_BYTES, MAX_TIME
from nectar_node.releases.rules import Chain, check_head, check_new
from nectar_node.releases.versions import Version
from tests.nectar_node.releases.samples import ANN, chain_of, head_for, release_of
from tests.net.world import identity_of

KEY = ANN.public_key


def test_a_head_is_believed_that_the_publishers_key_has_signed() -> None:
    head = head_for(release_of("1.0.0"))
    read = read_head_untrusted(head.encode())
    assert read == head
    check_head(read, KEY, None)


def test_no_bit_of_a_head_can_be_changed() -> None:
    data = head_for(release_of("1.0.0")).encode()
    for position in range(len(data)):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises(BadRelease):
            check_head(read_head_untrusted(changed), KEY, None)


def test_a_signature_of_a_former_key_is_refused_in_a_sentence() -> None:
    new = identity_of("ann.test", "another key")
    with pytest.raises(NotProven, match=r"The head of chess:ann\.test is not signed by the key that ann\.test has now"):
        check_head(head_for(release_of("1.0.0")), new.public_key, None)


def test_the_same_release_signed_anew_by_a_new_key_is_believed() -> None:
    new, release = identity_of("ann.test", "another key"), release_of("1.0.0")
    seen = head_for(release).head
    check_head(sign_head(replace(seen, time=2000), new.name, new.sign), new.public_key, seen)


def test_nobody_signs_for_another_publisher() -> None:
    release = release_of("1.0.0")
    with pytest.raises(BadRelease, match=r"not a package of bob\.test.*makes it chess:bob\.test"):
        sign_head(head_of(release, release.encode(), 0), "bob.test", identity_of("bob.test").sign)


def test_a_head_that_goes_back_is_refused() -> None:
    first, second = chain_of("1.0.0", "1.1.0")
    with pytest.raises(Downgrade, match="goes back to release 1, and this node has seen release 2"):
        check_head(head_for(first), KEY, head_for(second).head)
    check_head(head_for(second), KEY, head_for(first).head)


def test_two_releases_with_one_number_are_refused() -> None:
    one, other = release_of("1.0.0"), release_of("1.0.0", code=b"other")
    with pytest.raises(OtherContent, match="two different releases of chess"):
        check_head(head_for(other), KEY, head_for(one).head)


@pytest.mark.parametrize(
    "body",
    [
        [2, "chess:ann.test", 1, bytes(32), 0],
        [1, "chess", 1, bytes(32), 0],
        [1, "chess:ann.test", 0, bytes(32), 0],
        [1, "chess:ann.test", 1, bytes(31), 0],
        [1, "chess:ann.test", 1, bytes(32), -1],
        [1, "chess:ann.test", 1, bytes(32)],
        [],
    ],
)
def test_what_is_signed_is_checked_all_the_same(body: list[object]) -> None:
    signed = cbor2.dumps(body)
    with pytest.raises(BadRelease):
        read_head_untrusted(cbor2.dumps([signed, ANN.sign(b"nectar/1 package head", signed)]))


def test_the_head_of_the_longest_name_is_within_its_bound() -> None:
    package = PackageId("a" * 63, ".".join(["b" * 62] * 4))
    release = replace(release_of("1.0.0", package=package), number=1_000_000, before=bytes(32))
    publisher = identity_of(package.publisher)
    head = sign_head(head_of(release, release.encode(), MAX_TIME), publisher.name, publisher.sign)
    assert len(head.encode()) <= MAX_HEAD_BYTES
    assert read_head_untrusted(head.encode()) == head


@pytest.mark.parametrize(
    ("publisher", "proven"), [("ann.nec", True), ("uniswap.os", True), ("local", False), ("sys", False)]
)
def test_only_a_node_can_prove_that_a_package_is_its_own(publisher: str, proven: bool) -> None:
    assert can_be_proven(PackageId("chess", publisher)) is proven


# --- the chain ------------------------------------------------------------------------------------------------------


def served(chain: Chain, releases: list[Release]) -> list[Release]:
    return [chain.add_untrusted(each.encode()) for each in releases]


def followed(releases: list[Release], mirrored: list[Release]) -> list[Release]:
    return served(Chain(head_for(releases[-1]).head), mirrored)


def test_releases_are_followed_from_the_head_back_to_the_first() -> None:
    releases = chain_of("1.0.0", "1.1.0", "2.0.0")
    chain = Chain(head_for(releases[-1]).head)
    for release in reversed(releases):
        assert chain.wanted == document_hash(release.encode())
        assert chain.add_untrusted(release.encode()) == release
    assert chain.wanted is None


def test_a_mirror_cannot_alter_a_release() -> None:
    releases = chain_of("1.0.0", "1.1.0")
    with pytest.raises(BadRelease, match="it is altered"):
        followed(releases, [replace(releases[1], time=5)])
    with pytest.raises(BadRelease, match="it is altered"):
        followed(releases, [releases[1], replace(releases[0], time=5)])


def test_nothing_comes_before_the_first_release() -> None:
    releases = chain_of("1.0.0")
    with pytest.raises(BadRelease):
        followed(releases, [releases[0], releases[0]])


def lying(before: Release, **changes: object) -> Release:
    """A release whose publisher has signed what cannot be."""
    return replace(release_of("3.0.0", before), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes", [{"number": 4}, {"package": PackageId("go", "ann.test")}, {"version": Version("0.5.0")}]
)
def test_a_chain_that_its_publisher_has_broken_is_refused(changes: dict[str, object]) -> None:
    first = release_of("1.0.0")
    last = lying(first, **changes)
    head = replace(head_for(first).head, document=document_hash(last.encode()), number=last.number)
    with pytest.raises(BadRelease, match="its publisher has signed a chain that is broken"):
        served(Chain(head), [last, first])


def test_a_history_that_is_too_long_for_a_proof_leaves_its_oldest_part_out(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = chain_of("1.0.0", "1.1.0", "1.2.0")
    documents = [each.encode() for each in reversed(chain)]
    monkeypatch.setattr(proof, "MAX_PROOF_BYTES", 2 * len(documents[0]) + 1500)
    read = proof.read_proof_untrusted(proof.encode_proof(head_for(chain[-1]), documents))
    assert [each.version.text for each in read.releases] == ["1.2.0", "1.1.0"]


def test_a_version_that_is_passed_comes_no_more() -> None:
    releases = chain_of("1.0.0", "1.1.0", "2.0.0")
    chain = Chain(head_for(releases[-1]).head)
    chain.add_untrusted(releases[2].encode())
    assert not chain.has_passed(Version("1.5.0"))
    chain.add_untrusted(releases[1].encode())
    assert chain.has_passed(Version("1.5.0"))
    assert not chain.has_passed(Version("1.0.0"))


# --- publishing -----------------------------------------------------------------------------------------------------


def test_a_version_that_exists_is_not_published_again_with_other_content() -> None:
    first = release_of("1.0.0")
    with pytest.raises(OtherContent, match=r"chess:ann\.test 1\.0\.0 has been published already, with other content"):
        check_new(release_of("1.0.0", first, b"other"), first)


def test_a_version_below_the_newest_is_not_published() -> None:
    first = release_of("1.0.0")
    with pytest.raises(BadRelease, match=r"0\.9\.0 is below 1\.0\.0, which is published"):
        check_new(release_of("0.9.0", first), first)
    check_new(release_of("1.0.1", first), first)
    check_new(first, None)
