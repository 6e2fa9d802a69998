"""A router's places are shared by addresses, and no client has them all."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from net.base.limits import MAX_PLACES_PER_KEY
from net.base.memory import UNMETERED
from net.peering.router_places import Places
from net.session.session import Session

MOST = 8


def session(name: str) -> Session:
    """With the node of that name."""
    return Session(name, arbiter=False, guest=False, credit=(1, 1), account=UNMETERED, entropy=bytes)


def take(places: Places, name: str, host: str, key: bytes | None = None) -> bool:
    """Whether it gets one."""
    return places.take(session(name), host, key or name.encode())[0]


@pytest.fixture
def taken() -> Places:
    """Places, all of which one client has."""
    places = Places(MOST)
    assert all(take(places, f"x{number}.test", "1.2.3.4") for number in range(MOST))
    return places


def test_one_address_may_have_all_while_nobody_else_wants_any(taken: Places) -> None:
    assert len(taken.names()) == MOST
    assert not take(taken, "more.test", "1.2.3.4")


def test_a_newcomer_gets_the_place_that_was_used_longest_ago_of_the_address_with_most(taken: Places) -> None:
    taken.call("x0.test")
    accepted, evicted = taken.take(session("ann.test"), "5.6.7.8", b"ann")
    assert accepted
    assert evicted is not None
    assert evicted.name == "x1.test"
    assert set(taken.names()) == {"ann.test", "x0.test", *(f"x{number}.test" for number in range(2, MOST))}


def test_addresses_share_alike_and_then_nobody_takes_a_place_from_another(taken: Places) -> None:
    assert [take(taken, f"y{number}.test", "5.6.7.8") for number in range(MOST)] == [True] * 4 + [False] * 4
    assert not take(taken, "x0.test", "1.2.3.4")
    assert take(taken, "z.test", "9.9.9.9")
    held = Counter(name[0] for name in taken.names())
    assert sorted(held.items()) in ([("x", 3), ("y", 4), ("z", 1)], [("x", 4), ("y", 3), ("z", 1)])


def test_who_has_a_single_place_keeps_it_whatever_many_addresses_want() -> None:
    places = Places(2)
    assert take(places, "ann.test", "1.1.1.1")
    assert take(places, "bob.test", "2.2.2.2")
    assert not take(places, "cid.test", "3.3.3.3")
    assert places.names() == ["ann.test", "bob.test"]


def test_a_key_has_no_more_places_for_all_its_names() -> None:
    places = Places(MOST)
    got = [take(places, f"n{number}.test", f"1.1.1.{number}", b"one key") for number in range(MAX_PLACES_PER_KEY + 1)]
    assert got == [True] * MAX_PLACES_PER_KEY + [False]
    assert take(places, "n0.test", "1.1.1.0", b"one key")


def test_only_the_session_that_has_the_place_gives_it_back() -> None:
    places, ann = Places(1), session("ann.test")
    places.take(ann, "1.1.1.1", b"ann")
    places.leave(session("ann.test"))
    assert places.names() == ["ann.test"]
    places.leave(ann)
    assert places.names() == []
    assert take(places, "bob.test", "2.2.2.2")


@pytest.mark.parametrize("seed", range(20))
def test_shares_stay_fair_and_the_books_right_whatever_happens(seed: int) -> None:
    rng, places = Random(seed), Places(MOST)
    sessions: dict[str, Session] = {}
    for _ in range(300):
        name = f"n{rng.randrange(30)}.test"
        match rng.randrange(4):
            case 0 if name in sessions:
                places.leave(sessions[name])
            case 1:
                places.call(name)
            case _:
                before = Counter(place.origin for place in places._places.values())
                sessions[name] = session(name)
                _, evicted = places.take(sessions[name], f"1.1.1.{rng.randrange(5)}", name.encode())
                after = Counter(place.origin for place in places._places.values())
                if evicted is not None:
                    loser = next(origin for origin in before if after[origin] < before[origin])
                    assert before[loser] == max(before.values())
                    assert after[loser] >= max(after[origin] for origin in after if after[origin] > before[origin])
        held = places._places.values()
        assert len(held) <= MOST
        assert places._of_origin == Counter(place.origin for place in held)
        assert places._sizes == Counter(places._of_origin.values())
