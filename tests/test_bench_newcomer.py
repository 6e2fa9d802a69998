"""The page that a newcomer types is what `bench newcomer` types."""

from __future__ import annotations

from bench.newcomer import PAGE, Typed, commands, missing


def test_the_commands_of_a_page_are_those_of_its_first_section_with_what_it_shows() -> None:
    page = (
        "# A\n```console\n$ a b   # why\nx\n…\ny\n$ c\n```\ntext\n```console\n$ d\n```\n\n## B\n```console\n$ e\n```\n"
    )
    assert commands(page) == [Typed("a b", 0, ("x", "y")), Typed("c", 0), Typed("d", 1)]


def test_times_and_seeds_may_differ_and_nothing_else() -> None:
    shown = Typed("pytest", 0, ("  0.104947687 one.nec  sent", "repeat --nectar-seed 17", "1 failed, 2 passed"))
    assert missing(shown, "0.209999999 one.nec sent\nrepeat --nectar-seed 4\n== 1 failed, 2 passed in 3.2s") == []
    assert missing(shown, "0.209999999 one.nec sent\nrepeat --nectar-seed 4\n== 3 passed") == ["1 failed, 2 passed"]


def test_the_page_makes_a_package_runs_it_and_shows_a_failing_test() -> None:
    typed = [each.command for each in commands(PAGE.read_text("utf-8"))]
    assert typed[0] == "nectar new greeter"
    assert "nectar dev" in typed
    assert typed[-1] == "pytest"
    assert len(typed) <= 10
