"""Published histories have the verdicts that Porcupine publishes for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.check import PUBLISHED, compile_search, order, search_compiled
from testnet.check import CompareAndSetModel, Linearizable, VerdictKind
from tests.testnet.check.published_histories import etcd


@pytest.mark.parametrize(("name", "is_linearizable"), PUBLISHED.items())
def test_a_history_of_etcd_has_the_published_verdict(name: str, is_linearizable: bool) -> None:
    verdict = Linearizable(CompareAndSetModel()).check(etcd(name))
    expected = VerdictKind.HOLDS if is_linearizable else VerdictKind.VIOLATED
    assert verdict.ruling is expected, verdict.words()


@pytest.mark.long
def test_the_compiled_search_that_it_is_measured_beside_comes_to_the_same_verdicts(tmp_path: Path) -> None:
    program = compile_search(tmp_path / "linearizable")
    for name, is_linearizable in PUBLISHED.items():
        right, _ = search_compiled(program, order(CompareAndSetModel(), etcd(name)))
        assert bool(right) == is_linearizable
