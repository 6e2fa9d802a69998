"""Links of 300 bytes to 6 kB a second: what is slow is not dead, and no connection breaks."""

from __future__ import annotations

import pytest

from kernel.contract.guest import Arrival
from testnet.faults.bandwidth import Bandwidth
from testnet.model.where import Where
from testnet.sim.programs import Programs
from tests.seeds import sample
from tests.testnet.transfer_lab import RECEIVER, SENDER, TRANSFER, FileTransfer, order, outcome

SEED = 20261201
PATIENCE = 3600


def ends_of_connections(lab: FileTransfer) -> list[str]:
    return [line for line in lab.simulation.journal if " log net: " in line and ("ends" in line or "broken" in line)]


@pytest.mark.parametrize(
    ("rate", "size", "wait"), sample([(6000.0, 150_000, 10.0), (300.0, 70_000, 140.0), (1000.0, 80_000, 40.0)], 2)
)
def test_over_a_slow_link_a_file_goes_as_fast_as_it_carries_and_requests_beside_it_are_answered(
    programs: Programs, rate: float, size: int, wait: float
) -> None:
    lab = FileTransfer.begin(SEED, programs)
    simulation, data = lab.simulation, lab.random_file(size)
    with simulation.apply(Bandwidth(rate, Where(SENDER, RECEIVER))):
        began, path = simulation.now, lab.share(data)
        sending = lab.sender.begin_to_ask(TRANSFER, order("f", path, "file.bin"), PATIENCE)
        waited: list[float] = []
        while lab.sender.answer(sending) is None:
            asked = simulation.now
            assert isinstance(lab.sender.ask(f"{RECEIVER}@hello:hello:sys", b'{"Greet":"Ada"}', PATIENCE), Arrival), (
                SEED
            )
            waited.append(simulation.now - asked)
            simulation.rest(20.0)
        assert "Done" in outcome(lab.sender.answer(sending)), SEED
        assert simulation.now - began < size / rate * 1.1 + 60.0, SEED
    assert lab.received() == data
    assert max(waited) < wait, (SEED, waited)
    assert ends_of_connections(lab) == [], SEED


@pytest.mark.parametrize("rate", [300.0, 6000.0])
def test_one_large_message_over_a_slow_link_breaks_no_connection_though_nothing_is_said_meanwhile(
    programs: Programs, rate: float
) -> None:
    lab = FileTransfer.begin(SEED, programs)
    blob = lab.random_file(int(200 * rate))
    with lab.simulation.apply(Bandwidth(rate, Where(SENDER, RECEIVER))):
        began = lab.simulation.now
        answer = lab.sender.ask(f"{RECEIVER}@hello:hello:sys", b'{"Greet":"Ada"}', PATIENCE, blob)
        assert isinstance(answer, Arrival), SEED
        assert 200.0 < lab.simulation.now - began < 220.0, SEED
    assert ends_of_connections(lab) == [], SEED
