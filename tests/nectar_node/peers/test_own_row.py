"""What a node keeps of its own record survives a reboot; what it never writes is damage."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import pytest

from nectar_node.peers.own_row import OWN, DamagedOwnRow, KeptOwn, OwnRow, Successor, decode_untrusted
from net.names.directory import Endpoint
from tests.net.world import identity_of, record_of

SUCCESSOR = Successor("10.0.0.2:9000", 1_764_500_000)


def kept(row: OwnRow) -> KeptOwn:
    """What the store has after a commit."""
    rows = row.changes()
    assert all(each.kind == OWN for each in rows)
    return decode_untrusted({each.key: each.value for each in rows if each.value is not None})


def test_a_number_is_told_when_it_is_written_and_once() -> None:
    row = OwnRow(KeptOwn(4))
    assert row.take_written() is None
    row.signed(5)
    row.signed(6)
    assert row.take_written() is None
    assert kept(row) == KeptOwn(6)
    assert row.take_written() == 6
    assert row.take_written() is None


def test_a_copy_that_has_taken_over_is_kept_until_the_user_decides() -> None:
    row = OwnRow(KeptOwn())
    row.stand_down(SUCCESSOR)
    assert kept(row).successor == SUCCESSOR
    again = OwnRow(KeptOwn(None, SUCCESSOR))
    again.take_over()
    (removed,) = again.changes()
    assert removed.value is None


def test_the_sentence_says_where_the_copy_is_since_when_and_what_to_do() -> None:
    said = SUCCESSOR.sentence("a.nec")
    assert said == (
        "A copy of a.nec at 10.0.0.2:9000 has taken its place since 2025-11-30 10:53:20 UTC, so this one stands down: "
        "a node runs in one place only. To run it here again, stop the copy and boot this one with --take-over."
    )
    assert "9999-12-31" in Successor("x", 1 << 62).sentence("a.nec")


def test_a_copy_behind_routers_is_named_by_the_first() -> None:
    record = record_of(identity_of("ann.test")).record
    assert Successor.of(replace(record, endpoints=(), routers=("r.test", "q.test"))).where == "the router r.test"
    assert Successor.of(replace(record, endpoints=(Endpoint("h", 1), Endpoint("i", 2)))).where == "h:1"


@pytest.mark.parametrize(
    "rows",
    [
        {"sequence": b""},
        {"sequence": cbor2.dumps(-1)},
        {"sequence": cbor2.dumps("5")},
        {"sequence": cbor2.dumps(True)},
        {"successor": cbor2.dumps(["x"])},
        {"successor": cbor2.dumps(["x", "y"])},
        {"successor": cbor2.dumps([1, 2])},
        {"successor": cbor2.dumps(7)},
    ],
)
def test_a_row_that_a_node_never_writes_is_damage(rows: dict[str, bytes]) -> None:
    with pytest.raises(DamagedOwnRow):
        decode_untrusted(rows)
