"""The table of mutants fits the sources; whether each is caught, `make mutants` finds out."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from testnet.scenarios import SCENARIOS
from tests.mutants.__main__ import chosen, main, seeds_of
from tests.mutants.mutant import Mutant, PatternLost
from tests.mutants.table import MUTANTS
from tests.mutants.workshop import ROOMS, ROOT, copied

LEAST_MUTANTS = 15


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTANTS) >= LEAST_MUTANTS
    assert not [name for name, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1]


def test_the_page_on_simulation_tells_how_many_there_are() -> None:
    page = (ROOT / "docs/simulation.md").read_text()
    assert f"one of the {len(MUTANTS)} ways in which `make mutants` breaks the node" in page


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in MUTANTS}))
def test_the_mutants_of_a_file_change_what_is_there_into_something_that_compiles(file: str) -> None:
    source = (ROOT / file).read_text()
    for mutant in MUTANTS:
        if mutant.file == file:
            changed = mutant.apply(source)
            assert changed != source, mutant
            if file.endswith(".py"):
                compile(changed, mutant.name, "exec")
            else:
                assert file.endswith(".zig"), "a guest, which `make mutants` compiles"


def test_a_mutant_says_who_is_to_notice() -> None:
    for mutant in MUTANTS:
        file, _, test = mutant.scenario.partition("::")
        if mutant.is_for_test:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), mutant
        else:
            assert mutant.scenario in SCENARIOS, mutant
        assert mutant.seeds > 0, mutant
        assert mutant.file.partition("/")[0] in ROOMS, mutant
        assert mutant.breaks.endswith((".", ").")), mutant


def test_text_that_is_not_there_exactly_once_is_told() -> None:
    mutant = Mutant("a", "Breaks.", "kernel/x.py", "one", "two", "chains")
    assert mutant.apply("one\n") == "two\n"
    with pytest.raises(PatternLost, match=r"a: its text is not there in kernel/x\.py"):
        mutant.apply("two")
    with pytest.raises(PatternLost, match=r"a: its text is there 2 times"):
        mutant.apply("one one")


def test_the_sources_themselves_stay_as_they_are() -> None:
    mutant = MUTANTS[0]
    with copied(mutant) as folder:
        assert (folder / mutant.file).read_text() == mutant.apply((ROOT / mutant.file).read_text())
        assert not (folder / "tests").exists()
    assert not folder.exists()
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1


def test_only_those_that_are_named_are_tried() -> None:
    first, second = MUTANTS[0], MUTANTS[-1]
    assert chosen([second.name, first.name]) == [first, second]
    assert chosen([]) == list(MUTANTS)


def test_a_name_that_is_none_is_told_in_one_sentence_with_the_one_that_is_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([MUTANTS[0].name, "a-chain-may-frok"]) == 2
    assert capsys.readouterr().out == "There is no mutant 'a-chain-may-frok': do you mean a-chain-may-fork?\n"


def test_every_seed_that_a_mutant_may_need_has_to_pass_without_one() -> None:
    wanted = seeds_of(MUTANTS)
    assert all(wanted[mutant.scenario] >= mutant.seeds for mutant in MUTANTS if not mutant.is_for_test)
