"""Histories of real guests in a simulation: what is recorded, what is checked, and what a report shows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nectar_node.base.errors import BadInput
from testnet.check import UNKNOWN, CounterModel, DidNotHappen, Linearizable, ReadYourWrites, RegisterModel, Status
from testnet.check.history import Histories, OperationHistory
from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.model.invariants import Violation
from testnet.model.lab import Outcome
from testnet.sim.programs import Programs
from testnet.testing.networks import SimRun
from testnet.testing.package_lab import PackageLab
from testnet.testing.simulation import simulation
from tests.testnet.scenarios.told import Told

STORE = "our@store:store:sys"
MAIN, COPY = "main.nec", "copy.nec"


def stores(lab: PackageLab) -> None:
    lab.boot(MAIN, COPY, packages=["store"])
    lab.ask(MAIN, STORE, {"Lead": {"replica": COPY}}, timeout=60)
    lab.ask(COPY, STORE, {"Follow": {"primary": MAIN}}, timeout=60)


def put(lab: PackageLab, history: OperationHistory, value: str) -> Any:
    request = lab.begin(MAIN, STORE, {"Put": {"key": "a", "value": value}}, timeout=40)
    history.follow(MAIN, request, "write", value)
    return request


def get(lab: PackageLab, history: OperationHistory, node: str) -> None:
    def value(body: Any) -> Any:
        return None if body == "Missing" else body["Value"]["value"]

    history.follow(node, lab.begin(node, STORE, {"Get": {"key": "a"}}, timeout=40), "read", result=value)


def test_a_store_asked_at_one_node_is_a_register(programs: Programs) -> None:
    with simulation(programs, 3) as lab:
        stores(lab)
        history = lab.history(Linearizable(RegisterModel()))
        for number in range(10):
            put(lab, history, f"value {number}")
            get(lab, history, MAIN)
            lab.rest(0.05)
        lab.rest(60)
        assert {each.status for each in history.operations} == {Status.OK}


def test_a_replica_that_is_asked_while_it_is_cut_off_is_found_stale_and_drawn(programs: Programs) -> None:
    with closing(SimRun(3, programs)) as run:
        lab = PackageLab(run, ())
        stores(lab)
        history = lab.history(Linearizable(RegisterModel()), name="the key a")
        with lab.apply(Partition()):
            put(lab, history, "new")
            lab.rest(35)
            get(lab, history, COPY)
            lab.rest(41)
        with pytest.raises(Violation, match=r"the key a, linearizable: .* no order explains these 2 operations"):
            run.finish()
        operations = [line for line in run.journal() if " operation " in line]
    assert len(operations) == 2
    assert all('"wrong":true' in line for line in operations)


def test_timeouts_are_unknown(programs: Programs) -> None:
    with simulation(programs, 4) as lab:
        stores(lab)
        history = lab.history(Linearizable(RegisterModel()))
        with lab.apply(Crash(MAIN)):
            put(lab, history, "lost")
            lab.rest(50)
        assert [each.status for each in history.operations] == [Status.UNKNOWN]


def test_a_request_that_ended_before_it_is_followed_overlaps_with_what_ended_since_it_was_sent() -> None:
    clock = iter((1.5, 1.6, 3.0))
    history = OperationHistory(lambda: next(clock))
    history.call("a", "write", 1).ok()
    history.follow("b", Told(Outcome("response", None), ended=2.0, begun=1.0), "read")
    assert history.check(Linearizable(RegisterModel()))[0][1]
    assert [(each.name, each.called.time, each.returned.time) for each in history.operations] == [
        ("read", 1.0, 2.0),
        ("write", 1.5, 1.6),
    ]


@pytest.mark.parametrize("wrong", ["linearizable", RegisterModel(), Linearizable, ReadYourWrites])
def test_what_is_no_promise_is_refused_when_the_history_is_opened(wrong: Any) -> None:
    with pytest.raises(BadInput, match=r"is no promise of a history, such as Linearizable\(RegisterModel\(\)\)"):
        Histories(lambda: 0.0, lambda *_: None).open((wrong,), "")
    no_model: Any = RegisterModel if isinstance(wrong, RegisterModel) else wrong
    with pytest.raises(BadInput, match=r"is no model: Linearizable takes one, such as RegisterModel\(\)\."):
        Linearizable(no_model)


def test_a_helper_is_an_operation_with_its_outcome() -> None:
    clock = iter(range(100))
    history = OperationHistory(lambda: next(clock))

    @history.operation
    def add(client: str, amount: int) -> Any:
        if amount < 0:
            raise DidNotHappen
        return UNKNOWN if amount == 0 else amount

    assert [add("a", 1), add("a", 0), add("a", -1)] == [1, UNKNOWN, None]
    assert [each.status for each in history.operations] == [Status.OK, Status.UNKNOWN, Status.FAILED]
    assert [each.words() for each in history.operations] == ["add(1) → 1", "add(0) (unknown)", "add(-1) (failed)"]
    assert history.check(Linearizable(CounterModel()))[0][1]


def test_a_history_whose_orders_explode_ends_undecided() -> None:
    clock = iter(range(10_000))
    history = OperationHistory(lambda: next(clock))
    calls = [history.call(f"c{number}", "add", 1 << number) for number in range(40)]
    del calls
    history.call("reader", "read").ok(-1)
    (verdict,) = (each for _, each in history.check(Linearizable(CounterModel(), limit=20_000)))
    assert verdict.text.startswith("not decided: the 41 operations have too many possible orders")


def test_the_docs_histories_are_recorded(programs: Programs) -> None:
    text = (Path(__file__).parents[3] / "docs" / "checking.md").read_text()
    model = text[text.index("from testnet.check import WRONG") :].partition("```")[0]
    names: dict[str, Any] = {}
    exec(model, names)
    history = OperationHistory(iter(range(99)).__next__)
    history.call("a", "deposit", 5).ok()
    history.call("a", "withdraw", 3).ok(True)
    history.call("b", "read").ok(2)
    assert history.check(Linearizable(names["Account"]()))[0][1]
    test = text[text.index("from testnet.check import Linearizable") :].partition("```")[0]
    exec(test, names)
    with simulation(programs, 1) as lab:
        names["test_the_store_is_one_register_per_key"](lab)
