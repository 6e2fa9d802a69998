"""Short names of scripts, over reboots."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import ProcessId
from nectar_node.packages.aliases import (
    ALIASES,
    FIRST_ALIASES,
    MAX_ALIASES,
    Aliases,
    DamagedAliases,
    decode_untrusted,
)
from nectar_node.packages.scripts import BadScript
from nectar_node.storage.operations import Row

OTHER = ProcessId("other", "package", "publisher.nec")


@pytest.mark.parametrize("name", FIRST_ALIASES)
def test_the_first_aliases_stand_for_the_scripts_of_the_terminal(name: str) -> None:
    assert Aliases().resolve(name) == ProcessId(name, "terminal", "sys")


def test_a_word_is_a_full_name_or_an_alias_that_can_be_set_replaced_and_removed() -> None:
    assert Aliases().resolve("other:package:publisher.nec") == OTHER
    aliases = Aliases()
    aliases.change("x", "other:package:publisher.nec")
    assert aliases.resolve("x") == OTHER
    aliases.change("x", "hi:terminal:sys")
    assert aliases.all()["x"] == "hi:terminal:sys"
    aliases.change("x", "")
    assert "x" not in aliases.all()


def test_an_unknown_word_is_told_what_there_is() -> None:
    with pytest.raises(BadScript) as refused:
        Aliases().resolve("ls")
    assert str(refused.value) == (
        "There is no script 'ls': known are alias, cat, echo, hi, m, top, and those of packages by their full name, "
        "such as hi:terminal:sys."
    )


def test_one_more_alias_than_there_may_be_is_refused_and_replacing_one_is_not() -> None:
    aliases = Aliases()
    for number in range(MAX_ALIASES - len(FIRST_ALIASES)):
        aliases.change(f"x{number}", "hi:terminal:sys")
    with pytest.raises(BadScript, match="There are 256 aliases already"):
        aliases.change("y", "hi:terminal:sys")
    aliases.change("x0", "m:terminal:sys")
    assert len(aliases.all()) == MAX_ALIASES


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "x" * 65])
def test_what_is_no_single_word_is_no_alias(name: str) -> None:
    with pytest.raises(BadScript, match="An alias is one word"):
        Aliases().change(name, "hi:terminal:sys")


@given(st.text(), st.text())
def test_changing_an_alias_raises_nothing_but_bad_script(name: str, script: str) -> None:
    aliases = Aliases()
    try:
        aliases.change(name, script)
    except BadScript:
        assert aliases.all() == Aliases().all()


def kept(aliases: Aliases) -> dict[str, bytes]:
    """The rows of a store that had none before."""
    rows = {row.key: row.value for row in aliases.changes()}
    return {key: value for key, value in rows.items() if value is not None}


def test_g26_aliases_come_back_from_their_rows_and_one_that_was_removed_stays_so() -> None:
    aliases = Aliases()
    aliases.change("x", str(OTHER))
    aliases.change("y", str(OTHER))
    aliases.change("y", "")
    aliases.change("hi", "")
    aliases.change("top", str(OTHER))
    assert aliases.has_changed
    again = Aliases(decode_untrusted(kept(aliases)))
    assert again.all() == aliases.all()
    assert not aliases.has_changed
    again.change("x", "")
    again.change("hi", "hi:terminal:sys")
    assert again.changes() == [Row(ALIASES, "x", None), Row(ALIASES, "hi", b"hi:terminal:sys")]


def test_what_is_refused_changes_no_row() -> None:
    aliases = Aliases()
    for name, script in (("a b", str(OTHER)), ("x", "no script"), ("y", "")):
        with pytest.raises(BadScript):
            aliases.change(name, script)
    assert not aliases.has_changed


@pytest.mark.parametrize(
    "rows",
    [{"x": b"\xff"}, {"x": b"a:b"}, {"": b""}, {"a b": b""}, {"a:b": b""}, {f"{n}": b"" for n in range(300)}],
    ids=str,
)
def test_rows_that_are_no_aliases_are_damage(rows: dict[str, bytes]) -> None:
    with pytest.raises(DamagedAliases):
        decode_untrusted(rows)


@given(st.dictionaries(st.text(), st.binary()))
def test_whatever_lies_in_the_rows_only_damaged_aliases_escapes(rows: dict[str, bytes]) -> None:
    with contextlib.suppress(DamagedAliases):
        Aliases(decode_untrusted(rows))
