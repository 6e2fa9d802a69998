"""A tracer beside a node's own one."""

from __future__ import annotations

from kernel.router.trace import Tracer
from nectar_node.recording.both_tracers import BothTracers


def test_whatever_a_router_tells_a_tracer_it_tells_both() -> None:
    told = {name for name, value in vars(Tracer).items() if callable(value) and not name.startswith("_")}
    assert told - vars(BothTracers).keys() == set()
