"""A form asks for all that a message holds, and for nothing twice that fits."""

from __future__ import annotations

import pytest

from nectar_node.interfaces.form import fill_message
from tests.nectar_node.interfaces.samples import CHESS, apis

BIG = """
interface chess {
    use standard.{json};
    variant request { all(all), choose(choice), bytes(list<u8>), free(json), pair(tuple<u8, bool>), none }
    record all {
        text: string,
        number: u16,
        /// @default 7
        given: u8,
        maybe: option<string>,
        inner: option<inner>,
        names: list<string>,
        inners: list<inner>,
        rights: rights,
        /// @default {"n": 2}
        usual: inner,
    }
    record inner { n: u8 }
    flags rights { read, write }
    variant choice { nothing, some(inner), both(result<u8, string>) }
}
"""


def filled(text: str, *typed: str, name: str | None = None) -> tuple[str, list[str], list[str]]:
    """The body, the prompts, and the complaints."""
    (api,) = apis(text, "chess")
    form = fill_message(api, name)
    prompts, complaints = [], []
    answers = iter(typed)
    try:
        question = next(form)
        while True:
            prompts.append(question.prompt)
            complaints += [line for line in question.lines if line.startswith(("That does not", "Type"))]
            question = form.send(next(answers))
    except StopIteration as end:
        assert list(answers) == []
        return str(end.value), prompts, complaints


def test_a_message_is_chosen_by_number_or_name_and_asked_field_by_field() -> None:
    by_number, prompts, complaints = filled(CHESS, "1", "two.nec", "", "")
    assert by_number == '{"NewGame": {"white": "two.nec", "minutes": 5}}'
    assert prompts == [
        "Which message? ",
        "new-game.white (node-id): ",
        "new-game.black (address; empty: none): ",
        "new-game.minutes (u8; empty: 5): ",
    ]
    assert complaints == []
    assert (
        filled(CHESS, "new-game", "two.nec", "", "")[0] == filled(CHESS, "NewGame", "two.nec", "", "")[0] == by_number
    )
    assert filled(CHESS, "two.nec", "our@a:b:sys", "9", name="new-game")[0] == (
        '{"NewGame": {"white": "two.nec", "black": "our@a:b:sys", "minutes": 9}}'
    )


def test_a_message_with_nothing_in_it_asks_nothing_more() -> None:
    assert filled(CHESS, "list-games")[0] == '"ListGames"'


def test_what_does_not_fit_is_told_and_asked_again() -> None:
    body, _, complaints = filled(CHESS, "9", "castle", "NewGame", "", "a.nec", "", "ten", "300", "10")
    assert body == '{"NewGame": {"white": "a.nec", "minutes": 10}}'
    assert complaints == [
        "Type the number or the name of one of these: new-game, move, resign, list-games.",
        "Type the number or the name of one of these: new-game, move, resign, list-games.",
        "That does not fit: it must be the name of a node.",
        "That does not fit: it must be a number.",
        "That does not fit: it must be from 0 to 255, and is 300.",
    ]


def test_options_defaults_lists_and_flags_may_be_left_empty() -> None:
    body, _, _ = filled(BIG, "", "1", "", "", "", "", "", "", "", name="all")
    assert (
        body
        == '{"All": {"text": "", "number": 1, "given": 7, "names": [], "inners": [], "rights": [], "usual": {"n": 2}}}'
    )


def test_all_of_it_can_be_given() -> None:
    body, prompts, complaints = filled(
        BIG, "a", "1_000", "8", "b", "y", "3", "x", "y", "", "y", "1", "y", "2", "n", "read,write", "y", "4", name="all"
    )
    assert complaints == []
    assert body == (
        '{"All": {"text": "a", "number": 1000, "given": 8, "maybe": "b", "inner": {"n": 3}, "names": ["x", "y"], '
        '"inners": [{"n": 1}, {"n": 2}], "rights": ["Read", "Write"], "usual": {"n": 4}}}'
    )
    assert "all.names[1] (string; empty: end): " in prompts


@pytest.mark.parametrize(
    ("name", "typed", "body"),
    [
        ("choose", ("nothing",), '{"Choose": "Nothing"}'),
        ("choose", ("2", "5"), '{"Choose": {"Some": {"n": 5}}}'),
        ("choose", ("both", "err", "no"), '{"Choose": {"Both": {"Err": "no"}}}'),
        ("bytes", ("0x00ff",), '{"Bytes": [0, 255]}'),
        ("bytes", ("é",), '{"Bytes": [195, 169]}'),
        ("bytes", ("0xf", "0x0f"), '{"Bytes": [15]}'),
        ("free", ("{", '{"a": null}'), '{"Free": {"a": null}}'),
        ("pair", ("1", "maybe", "yes"), '{"Pair": [1, true]}'),
    ],
)
def test_a_value_of_any_type_is_typed(name: str, typed: tuple[str, ...], body: str) -> None:
    assert filled(BIG, *typed, name=name)[0] == body


def test_a_body_that_is_text_is_typed_as_it_is() -> None:
    text = "interface chess { type request = list<u8>; }"
    assert filled(text, "hello")[0] == "hello"
    assert filled("interface chess { type request = string; }", "hello")[0] == "hello"
