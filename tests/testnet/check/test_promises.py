"""Weaker promises and transactions: each finds what it is for, and passes what keeps it."""

from __future__ import annotations

import pytest

from testnet.check import (
    UNKNOWN,
    AtMostOneLeader,
    CausalOrder,
    Converges,
    Guarantee,
    MonotonicReads,
    MonotonicWrites,
    NoLostUpdate,
    Operation,
    ReadYourWrites,
    Status,
    Transactions,
    VerdictKind,
)
from testnet.check.transactions import anomalies
from tests.testnet.check.histories import Row, history


def w(client: str, key: str, value: object, at: float, result: object = None) -> Row:
    return client, "write", (key, value), result, at, at + 0.5


def r(client: str, key: str, value: object, at: float) -> Row:
    return client, "read", (key,), value, at, at + 0.5


BROKEN: list[tuple[Guarantee, list[Row]]] = [
    (ReadYourWrites(), [w("a", "x", 1, 0), r("a", "x", None, 1)]),
    (MonotonicReads(), [w("a", "x", 1, 0), w("a", "x", 2, 1), r("b", "x", 2, 2), r("b", "x", 1, 3)]),
    (MonotonicReads(), [w("a", "x", 1, 0), r("b", "x", 1, 2), r("b", "x", None, 3)]),
    (MonotonicWrites(), [w("a", "x", 1, 0), w("a", "y", 2, 1), r("b", "y", 2, 2), r("b", "x", None, 3)]),
    (
        CausalOrder(),
        [w("a", "q", 1, 0), r("b", "q", 1, 1), w("b", "reply", 2, 2), r("c", "reply", 2, 3), r("c", "q", None, 4)],
    ),
    (CausalOrder(), [r("a", "x", 7, 0)]),
    (NoLostUpdate(), [("a", "add", (1,), None, 0, 1), ("b", "read", (), [], 2, 3)]),
    (NoLostUpdate(), [("a", "add", (1,), None, 0, 1), ("b", "read", (), [1, 1], 2, 3)]),
    (NoLostUpdate(), [("a", "add", (1,), Status.FAILED, 0, 1), ("b", "read", (), [1], 2, 3)]),
    (AtMostOneLeader(), [("a", "lead", (1,), True, 0, 1), ("b", "lead", (1,), True, 2, 3)]),
    (AtMostOneLeader(), [("a", "lead", (), True, 0, 1), ("b", "lead", (), True, 2, 3)]),
]
KEPT: list[tuple[Guarantee, list[Row]]] = [
    (ReadYourWrites(), [w("a", "x", 1, 0), w("b", "x", 2, 0), r("a", "x", 2, 1)]),
    (ReadYourWrites(), [w("a", "x", 1, 0, UNKNOWN), r("a", "x", None, 1)]),
    (MonotonicReads(), [w("a", "x", 1, 0), w("b", "x", 2, 0), r("c", "x", 2, 2), r("c", "x", 1, 3)]),
    (MonotonicWrites(), [w("a", "x", 1, 0), w("a", "y", 2, 1), r("b", "x", 1, 2), r("b", "y", None, 3)]),
    (CausalOrder(), [w("a", "x", 1, 0), w("b", "x", 2, 0), r("c", "x", 1, 1), r("d", "x", 2, 1), r("c", "x", 2, 2)]),
    (NoLostUpdate(), [("a", "add", (1,), UNKNOWN, 0, 1), ("b", "read", (), [], 2, 3)]),
    (NoLostUpdate(), [("a", "add", (1,), UNKNOWN, 0, 1), ("b", "read", (), [1], 2, 3)]),
    (AtMostOneLeader(), [("a", "lead", (1,), True, 0, 1), ("b", "lead", (2,), True, 2, 3)]),
    (
        AtMostOneLeader(),
        [("a", "lead", (), True, 0, 1), ("a", "resign", (), None, 1.5, 1.8), ("b", "lead", (), True, 2, 3)],
    ),
]


@pytest.mark.parametrize(("promise", "rows"), BROKEN)
def test_what_breaks_a_promise_is_named(promise: Guarantee, rows: list[Row]) -> None:
    verdict = promise.check(history(*rows))
    assert verdict.ruling is VerdictKind.VIOLATED, verdict
    assert verdict.operations


@pytest.mark.parametrize(("promise", "rows"), KEPT)
def test_what_keeps_a_promise_passes(promise: Guarantee, rows: list[Row]) -> None:
    assert promise.check(history(*rows)), promise.check(history(*rows)).words()


def test_convergence_says_how_long_it_took() -> None:
    looks = [r("a", "x", 1, 10), r("b", "x", 0, 12), r("a", "x", 1, 20), r("b", "x", 1, 20)]
    assert Converges(5).check(history(*looks), 10.0).text == "equal 2 s after the end of the faults"
    assert Converges(1).check(history(*looks), 10.0).ruling is VerdictKind.VIOLATED
    assert Converges(5).check(history(*looks)).ruling is VerdictKind.UNDECIDED


def txns(*steps: list[tuple[str, str, object]], aborted: tuple[int, ...] = ()) -> list[Operation]:
    """Transactions at once, of these steps."""
    rows: list[Row] = []
    for number, those in enumerate(steps):
        rows.append((f"c{number}", "txn", (those,), Status.FAILED if number in aborted else those, number / 100, 9))
    return history(*rows)


PHENOMENA = {
    "G0": txns(
        [("append", "x", 1), ("append", "y", 1)],
        [("append", "x", 2), ("append", "y", 2)],
        [("r", "x", (1, 2)), ("r", "y", (2, 1))],
    ),
    "G1a": txns([("append", "x", 1)], [("r", "x", (1,))], aborted=(0,)),
    "G1b": txns([("append", "x", 1), ("append", "x", 2)], [("r", "x", (1,))], [("r", "x", (1, 2))]),
    "G1c": txns([("append", "x", 1), ("r", "y", (1,))], [("append", "y", 1), ("r", "x", (1,))]),
    "G-single": txns([("append", "x", 1), ("append", "y", 1)], [("r", "x", (1,)), ("r", "y", ())], [("r", "y", (1,))]),
    "G2": txns(
        [("r", "x", ()), ("append", "y", 1)], [("r", "y", ()), ("append", "x", 1)], [("r", "x", (1,)), ("r", "y", (1,))]
    ),
}


@pytest.mark.parametrize("what", PHENOMENA)
def test_each_phenomenon_of_transactions_is_found(what: str) -> None:
    assert what in anomalies(PHENOMENA[what])
    verdict = Transactions().check(PHENOMENA[what])
    assert verdict.ruling is VerdictKind.VIOLATED
    assert verdict.text.startswith(what), verdict.text


def test_write_skew_is_allowed_by_snapshot_isolation() -> None:
    assert Transactions("snapshot isolation").check(PHENOMENA["G2"])


def test_transactions_one_after_the_other_are_serializable() -> None:
    assert Transactions().check(
        txns([("append", "x", 1)], [("r", "x", (1,)), ("append", "x", 2)], [("r", "x", (1, 2))])
    )
