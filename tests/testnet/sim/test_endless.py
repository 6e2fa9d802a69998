"""What processes do without end ends a run: with a sentence, and the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from testnet.model.lab import OutOfTime
from tests.conformance.lab import SimLab
from tests.conformance.steps import SPIN, respond
from tests.kernel.wasm.guests import wat

ASK = wat("(loop $again (call $our-capabilities (i32.const 2048)) (br $again))", "our-capabilities")
"""Always waits for an answer that is there at once, and so never uses up a slice."""
RECEIVE_AND_COUNT = wat(
    """(local $left i32)
    (loop $again
      (call $receive (i32.const 2048))
      (local.set $left (i32.const 3000000))
      (loop $count (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (br $again))""",
    "receive",
)
"""More than one slice, less than three, for each message."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(None, replayable=True)


def test_processes_that_go_on_for_ever_at_one_moment_end_the_run(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testnet.sim.node.POLLS_AT_ONCE", 1000)
    lab = SimLab(engine, tmp_path, 1)
    lab.file("ask.wasm", ASK)
    with pytest.raises(
        OutOfTime, match=r"time stands still at \d+\.\d{3} s: the processes of one\.nec have gone on 1,000 times there"
    ):
        lab.probe("ask", path="/ask.wasm")


def test_a_process_that_computes_for_each_message_may_do_so_without_end(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testnet.sim.node.SLICES_AT_ONCE", 3)
    lab = SimLab(engine, tmp_path, 1)
    lab.file("count.wasm", RECEIVE_AND_COUNT)
    count = lab.probe("count", path="/count.wasm")
    for _ in range(10):
        count.say("")
    assert count.running, count.lines()


def test_a_run_with_an_endless_loop_has_the_same_journal_each_time(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testnet.sim.node.SLICES_AT_ONCE", 20)
    digests = set()
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        lab = SimLab(engine, tmp_path / name, 2)
        spinning, other = lab.probe("a"), lab.probe("b", far=True)
        spinning.tell(SPIN)
        assert other.ask(respond("well")).body == "well"
        digests.add(lab.simulation.digest())
    assert len(digests) == 1
