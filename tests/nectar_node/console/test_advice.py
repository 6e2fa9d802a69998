"""What to do about a message that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.contract.message import Reason
from nectar_node.console.advice import advice
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

NETWORK = LocalNetwork(Path("/else/where"))


@pytest.mark.parametrize("reason", Reason)
def test_g16_every_reason_says_what_to_do(reason: Reason) -> None:
    text = advice(reason.value, "b.nec", NETWORK.command)
    assert text
    assert "{" not in text


@pytest.mark.parametrize("reason", [Reason.NO_SUCH_PROCESS, Reason.PROCESS_ENDED])
def test_a_command_to_type_names_the_folder(reason: Reason) -> None:
    assert "--node b.nec --dir /else/where`" in str(advice(reason.value, "b.nec", NETWORK.command))
    assert "--node b.nec`" in str(advice(reason.value, "b.nec", LocalNetwork(DEFAULT_FOLDER).command))


def test_a_reason_that_only_a_newer_node_has_is_left_without_advice() -> None:
    assert advice("a reason of the future", "b.nec", NETWORK.command) is None
