"""Each trouble of a router is told once."""

from __future__ import annotations

from net.events import FailureReason
from net.own_routers import OwnRouters


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
