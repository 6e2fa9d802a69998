"""What to do about a message that failed."""

from __future__ import annotations

import pytest

from kernel.contract.message import Reason
from nectar_node.console.advice import advice


@pytest.mark.parametrize("reason", Reason)
def test_g16_every_reason_says_what_to_do(reason: Reason) -> None:
    text = advice(reason.value, "b.nec")
    assert text
    assert "{" not in text


def test_a_reason_that_only_a_newer_node_has_is_left_without_advice() -> None:
    assert advice("a reason of the future", "b.nec") is None
