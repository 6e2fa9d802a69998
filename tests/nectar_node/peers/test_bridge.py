"""What becomes of the net's reasons."""

from __future__ import annotations

import pytest

from kernel.contract.message import Reason, SendErrorKind, kind_of
from nectar_node.peers.bridge import REASONS
from net.contract.events import FailureReason
from net.peering.resolver import REASONS as REFUSALS

OF_A_REGISTRATION = {*REFUSALS.values(), FailureReason.RECORD_REFUSED, FailureReason.TRY_LATER}


def test_g16_every_reason_for_which_the_net_returns_a_message_has_one_of_its_own() -> None:
    assert set(REASONS) == set(FailureReason) - OF_A_REGISTRATION
    assert len(set(REASONS.values())) == len(REASONS)


@pytest.mark.parametrize("reason", [Reason.TOO_LARGE, Reason.QUEUE_FULL, Reason.SHUTDOWN])
def test_g13_what_says_nothing_about_the_target_node_is_no_offline(reason: Reason) -> None:
    assert kind_of(reason) is SendErrorKind.TIMEOUT
