"""The table of sessions is bounded, and forgets nobody at a cost."""

from __future__ import annotations

from collections import deque

import pytest

from net.base.limits import MAX_CONNECTIONS
from net.base.timers import Timers
from net.contract.config import NetworkConfig
from net.peering.connections import Switchboard
from net.peering.session_table import SessionTable

ROUTER = "router.test"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> SessionTable:
    """One with room for two."""
    monkeypatch.setattr("net.peering.session_table.MAX_SESSIONS", 2)
    config = NetworkConfig(routers=(ROUTER,))
    switchboard = Switchboard(deque(), bytes, MAX_CONNECTIONS, Timers())
    return SessionTable("m.test", config, switchboard, lambda size: bytes(size))


def names(table: SessionTable) -> list[str]:
    return [session.name for session in table.all()]


def test_a_name_has_one_session(table: SessionTable) -> None:
    session = table.obtain("a.test")
    assert session is not None
    assert table.obtain("a.test") is table.get("a.test") is session


def test_the_oldest_idle_session_makes_room(table: SessionTable) -> None:
    for name in ("a.test", "b.test", "c.test"):
        table.obtain(name)
    assert names(table) == ["b.test", "c.test"]


def test_a_session_with_messages_is_not_forgotten(table: SessionTable) -> None:
    first = table.obtain("a.test")
    assert first is not None
    first.outbox.queue(b"stream", b"header", None, 1)
    table.obtain("b.test")
    table.obtain("c.test")
    assert names(table) == ["a.test", "c.test"]


def test_a_router_of_ours_is_not_forgotten(table: SessionTable) -> None:
    for name in (ROUTER, "a.test", "b.test"):
        table.obtain(name)
    assert names(table) == [ROUTER, "b.test"]


def test_where_nobody_can_be_forgotten_nobody_new_is_taken(table: SessionTable) -> None:
    for name in ("a.test", "b.test"):
        session = table.obtain(name)
        assert session is not None
        session.up = True
    assert table.obtain("c.test") is None
    assert names(table) == ["a.test", "b.test"]


def test_a_guest_is_in_no_table_until_it_is_admitted(table: SessionTable) -> None:
    guest = table.guest("g.test")
    assert (guest.guest, names(table)) == (True, [])
    table.admit(guest)
    assert table.get("g.test") is guest


def test_a_guest_is_admitted_where_nobody_can_be_forgotten(table: SessionTable) -> None:
    for name in ("a.test", "b.test"):
        session = table.obtain(name)
        assert session is not None
        session.up = True
    table.admit(table.guest("g.test"))
    assert names(table) == ["a.test", "b.test", "g.test"]


def test_the_side_with_the_lower_name_is_the_arbiter(table: SessionTable) -> None:
    before, after = table.obtain("a.test"), table.obtain("z.test")
    assert before is not None
    assert after is not None
    assert (before.arbiter, after.arbiter) == (False, True)
