"""Each trouble of a router is told once."""

from __future__ import annotations

from net.contract.events import FailureReason
from net.peering.own_routers import OwnRouters, Place


def test_a_trouble_is_told_once_and_another_one_again() -> None:
    routers = OwnRouters(("r1.test", "r2.test"))
    assert routers.fails("r1.test", FailureReason.UNREACHABLE) is not None
    assert routers.fails("r1.test", FailureReason.UNREACHABLE) is None
    assert routers.fails("r2.test", FailureReason.UNREACHABLE) is not None
    assert routers.fails("r1.test", FailureReason.BAD_KEY) is not None


def test_a_router_that_was_reached_has_its_trouble_told_again() -> None:
    routers = OwnRouters(("r1.test",))
    first = routers.fails("r1.test", FailureReason.UNREACHABLE)
    routers.reached("r1.test")
    assert routers.fails("r1.test", FailureReason.UNREACHABLE) == first


def test_only_ours_are_ours() -> None:
    routers = OwnRouters(("r1.test",))
    assert ("r1.test" in routers, "r2.test" in routers) == (True, False)


def test_only_a_router_that_keeps_a_place_is_a_way_to_this_node() -> None:
    routers = OwnRouters(("r1.test", "r2.test"))
    assert routers.places() == {"r1.test": Place.AWAITED, "r2.test": Place.AWAITED}
    routers.reached("r1.test")
    assert routers.answered("r1.test", accepted=True) == "r1.test keeps a place for this node"
    assert routers.answered("r1.test", accepted=True) is None
    assert routers.answered("r2.test", accepted=False) == "r2.test has no place for this node; it is asked again"
    assert routers.places() == {"r1.test": Place.HELD, "r2.test": Place.REFUSED}
    routers.lost("r1.test")
    assert routers.fails("r2.test", FailureReason.UNREACHABLE) is not None
    assert routers.places() == {"r1.test": Place.AWAITED, "r2.test": Place.UNREACHABLE}


def test_a_router_that_says_no_again_and_again_is_told_of_once() -> None:
    routers = OwnRouters(("r1.test",))
    told = []
    for _ in range(3):
        routers.reached("r1.test")
        told.append(routers.answered("r1.test", accepted=False))
    assert (told[0] is not None, told[1:]) == (True, [None, None])
    assert routers.answered("r1.test", accepted=True) is not None
    assert routers.answered("r1.test", accepted=False) is not None
