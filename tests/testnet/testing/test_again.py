"""The journal of a failed test, taken by the same commands as that of a scenario: replayed, shrunk and explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from testnet.journal.journal import Journal, read_journal_untrusted
from testnet.testing.again import TestAgain, fails_alike
from testnet.testing.injections import KeptFault, keeping_text, parse_keeping, parse_left_out
from tests.commands import nectar
from tests.testnet.plugin_runs import run

pytest_plugins = ("pytester",)

CARELESS = """
    from testnet.faults import Partition, Pause
    from testnet.model.where import Where

    def test_answers_soon(sim):
        sim.boot("one.nec", "two.nec", "three.nec", packages=["hello"])
        with sim.apply(Pause("three.nec")), sim.apply(Partition(Where("one.nec", "two.nec"))):
            asked = sim.begin("one.nec", "two.nec@hello:hello:sys", {"Greet": "Ada"}, timeout=2)
            sim.rest(4)
        assert asked.outcome.kind == "response"
"""
CHATTY = """
    def test_counts(sim):
        sim.boot("one.nec", packages=["hello"])
        for name in ("Ada",):
            told = sim.ask("one.nec", "our@hello:hello:sys", {"Greet": name})
            sim.note(f"{name}: {told.kind}")
        assert sim.ask("one.nec", "our@hello:hello:sys", {"Greet": "Eve"}).body == "Hi"
"""
SLIP = """
    def test_slips(sim):
        sim.boot("one.nec", packages=["hello"])
        {"body": sim.ask("one.nec", "our@hello:hello:sys", {"Greet": "Ada"})}["bodie"]
"""
MISTAKEN = """
    def test_mistaken(sim):
        sim.boot("one.nec", packages=["hello"])
        sim.ask("one.nec", "our@hello:hello:sys", {"Greet": "Ada"}).bodie
"""
EXAMPLES = """
    from hypothesis import given, settings, strategies as st
    from testnet.testing.simulation import simulation

    @settings(deadline=None, database=None)
    @given(st.integers(0, 100))
    def test_few(nectar_programs, number):
        with simulation(nectar_programs) as sim:
            sim.note(f"number {number}")
            assert number < 10
"""


def left(pytester: pytest.Pytester, source: str) -> tuple[Path, Journal]:
    """The journal that is left of a test that fails."""
    run(pytester, source, "--nectar-journals=kept").assert_outcomes(failed=1)
    (file,) = (pytester.path / "kept").iterdir()
    return file, read_journal_untrusted(file)


@pytest.mark.long
def test_a_test_replays_from_anywhere_shrinks_to_the_fault_that_matters_and_is_explained(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, journal = left(pytester, CARELESS)
    assert journal.header.options["place"]["source"] == 'assert asked.outcome.kind == "response"'
    assert [step["kind"] for step in journal.header.schedule] == ["pause", "partition"]
    monkeypatch.chdir("/")
    replayed = nectar("sim", "replay", file)
    assert (replayed.code, replayed.out[:9]) == (0, "The same,")
    small = pytester.path / "small.journal"
    shrunk = nectar("sim", "shrink", file, "-o", small, "--runs", "4")
    assert shrunk.code == 0, shrunk.err
    assert "from 2 to 1 faults" in shrunk.out
    again = read_journal_untrusted(small)
    assert [step["kind"] for step in again.header.schedule] == ["partition"]
    assert fails_alike(journal, again)
    explained = nectar("sim", "explain", small, "--runs", "2")
    assert "The user of one.nec is told Timeout" in explained.out
    assert "Without this fault the test passes: partition" in explained.out


def test_a_mistake_in_the_tests_own_python_is_told_as_such_and_not_shrunk(pytester: pytest.Pytester) -> None:
    file, journal = left(pytester, MISTAKEN)
    assert journal.end.result == "broken"
    for command in ("shrink", "explain"):
        ended = nectar("sim", command, file)
        assert ended.code == 2
        assert "error of the test's own Python" in ended.err
        assert "AttributeError" in ended.err


def test_a_key_error_of_the_test_is_its_own_and_pytest_offers_no_command_that_is_refused(
    pytester: pytest.Pytester,
) -> None:
    shown = run(pytester, SLIP, "--nectar-journals=kept")
    (file,) = (pytester.path / "kept").iterdir()
    shown.stdout.fnmatch_lines(["broken    this is an error of the test's own Python: mend it"])
    shown.stdout.no_fnmatch_line("explain *")
    ended = nectar("sim", "shrink", file)
    assert (ended.code, "error of the test's own Python" in ended.err, "KeyError" in ended.err) == (2, True, True)


@pytest.mark.long
def test_requests_that_do_not_matter_are_left_out_and_the_journal_stays(pytester: pytest.Pytester) -> None:
    shown = run(pytester, CHATTY)
    (file,) = [Path(line.split()[1].rstrip(";")) for line in shown.outlines if line.startswith("journal ")]
    small = pytester.path / "small.journal"
    shrunk = nectar("sim", "shrink", file, "-o", small)
    assert shrunk.code == 0, shrunk.err
    assert "1 of 2 are needed, in the order of the test: 2" in shrunk.out
    again = read_journal_untrusted(small)
    assert "note Ada: offline" in [event.text for event in again.events]
    assert "--nectar-left-out '[1]'" in again.header.options["repeat"]
    assert file.exists(), "running a test again has taken its journal away"


def test_which_requests_are_left_out_is_read_as_it_is_written_and_nothing_else_is() -> None:
    assert parse_left_out("[3,1]") == {1, 3}
    for text in ("", "1", "[0]", "[true]", '["1"]', "[1.5]", "[" * 100_000):
        with pytest.raises(ValueError, match="which requests to leave out"):
            parse_left_out(text)


def test_of_examples_of_hypothesis_the_shrunk_one_leaves_a_journal_and_is_run_again_alone(
    pytester: pytest.Pytester,
) -> None:
    file, journal = left(pytester, EXAMPLES)
    assert "note number 10" in [event.text for event in journal.events]
    now = TestAgain(journal.header, str(file)).same()
    assert [each.words() for each in now.events] == [each.words() for each in journal.events]
    assert fails_alike(journal, now)


def test_a_journal_whose_test_is_gone_says_so(pytester: pytest.Pytester) -> None:
    file, journal = left(pytester, MISTAKEN)
    Path(journal.header.options["file"]).unlink()
    ended = nectar("sim", "replay", file)
    assert ended.code == 2
    assert "is no longer there" in ended.err


def test_which_faults_are_kept_is_read_as_it_is_written_and_nothing_else_is() -> None:
    kept = (KeptFault(1), KeptFault(3, 0.5, 2.0))
    assert parse_keeping(keeping_text(kept)) == kept
    assert parse_keeping("null") is None
    for text in ("", "[1]", "[[0,0,null]]", "[[1,-1,null]]", '[["1",0,null]]', "[[1,0,1e999]]", "[" * 100_000):
        with pytest.raises(ValueError, match="which faults to keep"):
            parse_keeping(text)
