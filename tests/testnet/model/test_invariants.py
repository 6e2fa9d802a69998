"""The watch over all kernels' traces: what each promise's violation looks like, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.model.invariants import Violation, Watch
from tests.testnet.model.records import answered, came, failed, sent

ONE, TWO = "one.nec/0", "two.nec/0"


def test_g5_one_outcome_is_as_it_should_be() -> None:
    watch = Watch()
    for life, each in ((ONE, sent()), (TWO, came()), (TWO, answered()), (ONE, answered())):
        watch.see(life, each)
    assert watch.outstanding() == []


@pytest.mark.parametrize(("first", "second"), [(answered, failed), (failed, answered), (answered, answered)])
def test_g5_a_second_outcome_is_a_violation(first: Any, second: Any) -> None:
    watch = Watch()
    watch.see(ONE, sent())
    watch.see(ONE, first())
    with pytest.raises(Violation, match=r"G5: request 7 of one\.nec"):
        watch.see(ONE, second())


def test_g5_a_request_without_an_outcome_is_named_unless_its_node_has_crashed() -> None:
    watch = Watch()
    watch.see(ONE, sent())
    assert watch.outstanding() == [
        "one.nec@a:probes:sys still waits for two.nec@b:probes:sys (request 7, sent at 1.000 s)"
    ]
    watch = Watch()
    watch.see(ONE, sent())
    watch.forget(ONE)
    assert watch.outstanding() == []


def test_g2_an_id_is_not_used_again_while_it_is_outstanding() -> None:
    watch = Watch()
    watch.see(ONE, sent())
    with pytest.raises(Violation, match=r"G2: one\.nec uses the id 7 again"):
        watch.see(ONE, sent())


def test_g3_what_the_named_node_never_sent_is_a_violation() -> None:
    with pytest.raises(Violation, match=r"G3: two\.nec took request 7 .* from one\.nec@a:probes:sys, who never"):
        Watch().see(TWO, came())


def test_g4_a_message_that_comes_twice_is_a_violation() -> None:
    watch = Watch()
    watch.see(ONE, sent())
    watch.see(TWO, came())
    with pytest.raises(Violation, match=r"G4: .* was given request 7 .* twice"):
        watch.see(TWO, came())


def test_g4_a_message_that_overtakes_another_is_a_violation() -> None:
    watch = Watch()
    for id in (1, 2):
        watch.see(ONE, sent(id))
    watch.see(TWO, came(2))
    with pytest.raises(Violation, match=r"G4: .* was given request 1 .* after one that was sent later"):
        watch.see(TWO, came(1))


def test_g4_a_message_that_never_comes_overtakes_nobody() -> None:
    watch = Watch()
    for id in (1, 2, 3):
        watch.see(ONE, sent(id))
    for id in (1, 3):
        watch.see(TWO, came(id))
    assert watch.found is None
