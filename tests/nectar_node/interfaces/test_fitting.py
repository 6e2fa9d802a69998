"""Values of described types in JSON: which fit, and what is said of those that do not."""

from __future__ import annotations

from typing import Any

import pytest

from nectar_node.interfaces.examples import example
from nectar_node.interfaces.fitting import misfit
from nectar_node.interfaces.shapes import camel_case, kebab_case, pascal_case, snake_case
from tests.nectar_node.interfaces.samples import CHESS, interfaces, shape

REQUEST = interfaces(CHESS)["chess"].types["request"]
UNTAGGED = "/// @json snake_case\n variant t { all, none, \n/// @json untagged\n nodes(list<string>) }"
FITS: list[tuple[str, list[Any], list[Any]]] = [
    ("type t = bool;", [True], [0, "true", None]),
    ("type t = u8;", [0, 255], [-1, 256, 1.0, True, "1"]),
    ("type t = s64;", [-(1 << 63), (1 << 63) - 1], [1 << 63]),
    ("type t = u64;", [(1 << 64) - 1], [1 << 64]),
    ("type t = float64;", [0, 1.5, -2], ["1", None, False]),
    ("type t = char;", ["é"], ["", "ab", 1]),
    ("type t = list<u8>;", [[], [0, 255]], [[256], "ab", {}]),
    ("type t = list<u8, 2>;", [[1, 2]], [[1], [1, 2, 3]]),
    ("type t = option<string>;", [None, "a"], [1]),
    ("type t = tuple<u8, string>;", [[1, "a"]], [[1], ["a", 1], {}]),
    ("type t = result<u8, string>;", [{"Ok": 1}, {"Err": "a"}], [1, "Ok", {"Ok": "a"}, {"Ok": 1, "Err": "a"}]),
    ("type t = result<_, string>;", [{"Ok": None}], [{"Ok": 1}, {}]),
    ("enum t { not-yet, done }", ["NotYet", "Done"], ["not-yet", {"Done": 1}, 0]),
    ("flags t { read, write-all }", [[], ["Read", "WriteAll"]], ["Read", ["Reed"]]),
    ("record t { a-b: u8, c: option<u8> }", [{"a_b": 1}, {"a_b": 1, "c": None}], [{}, {"a-b": 1}, {"a_b": 1, "d": 1}]),
    ("record t {\n/// @default 3\n a: u8 }", [{}, {"a": 1}], [{"a": None}]),
    ('record t {\n/// @json "type"\n kind: u8 }', [{"type": 1}], [{"kind": 1}]),
    ("/// @json camelCase\n record t { a-b: u8 }", [{"aB": 1}], [{"a_b": 1}]),
    ("variant t { a, b(u8), c(option<u8>) }", ["A", {"B": 1}, {"C": None}, "C"], ["B", {"A": 1}, {"B": 1, "A": 1}, []]),
    (UNTAGGED, ["all", "none", [], ["a"]], ["nodes", {"nodes": []}, [1], "None"]),
    ("use standard.{json}; type t = json;", [None, {"any": ["thing"]}], []),
    ("use standard.{address}; type t = address;", ["our@a:b:c", {"node": "a.nec"}], [1]),
    ("use other.{thing}; type t = thing;", [None, 1, {"x": 2}], []),
]


@pytest.mark.parametrize(("text", "good", "bad"), FITS, ids=[text[:40] for text, _, _ in FITS])
def test_a_value_fits_its_type_and_no_other_does(text: str, good: list[Any], bad: list[Any]) -> None:
    known = shape(text)
    assert [(each, misfit(known, each)) for each in good] == [(each, None) for each in good]
    assert [each for each in bad if misfit(known, each) is None] == []
    assert misfit(known, example(known)) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"NewGame": {"white": 1}}, "NewGame.white must be the name of a node, and not 1"),
        ({"NewGame": {}}, "NewGame.white is missing"),
        ({"NewGame": {"white": "a.nec", "minutes": 300}}, "NewGame.minutes must be from 0 to 255, and is 300"),
        ({"NewGame": {"wite": "a"}}, 'NewGame has no field "wite": its fields are white, black, minutes'),
        ("Resign", 'it must be {"Resign": …}, with a text, and not "Resign" alone'),
        ({"ListGames": 5}, 'it must be "ListGames" alone: that has nothing in it'),
        ({"Begin": 5}, 'it must be one of NewGame, Move, Resign, ListGames, and not "Begin"'),
        (["NewGame"], "it must be one of NewGame, Move, Resign, ListGames, and not an array"),
        ({"Move": "e4"}, 'Move must be an object, and not "e4"'),
    ],
)
def test_what_is_wrong_is_said_with_its_path(value: Any, said: str) -> None:
    assert misfit(REQUEST, value) == said


def test_a_path_leads_through_lists_and_tuples() -> None:
    known = shape("record r { n: u8 } record t { all: list<tuple<string, r>> }")
    assert (
        misfit(known, {"all": [["a", {"n": 1}], ["b", {"n": "x"}]]})
        == 'all[1][1].n must be a whole number, and not "x"'
    )


def test_names_in_json_are_those_of_serde() -> None:
    names = ("new-game", "get-URL", "a-1-b", "x")
    assert [pascal_case(each) for each in names] == ["NewGame", "GetUrl", "A1B", "X"]
    assert [snake_case(each) for each in names] == ["new_game", "get_url", "a_1_b", "x"]
    assert (camel_case("new-game"), kebab_case("new_game")) == ("newGame", "new-game")


def test_an_example_that_would_double_with_each_type_is_given_up() -> None:
    chain = " ".join(f"type t{at} = tuple<t{at - 1}, t{at - 1}>;" for at in range(1, 15))
    assert example(shape(f"type t0 = u8; {chain} type t = t14;")) is None


def test_whether_an_untagged_case_is_meant_takes_no_more_time_with_each_type() -> None:
    chain = "\n".join(
        f"variant t{at} {{\n/// @json untagged\n a(t{at - 1}),\n/// @json untagged\n b(t{at - 1}) }}"
        for at in range(1, 30)
    )
    assert misfit(shape(f"type t0 = u8;\n{chain}\ntype t = t29;"), {"A": 1}) is not None
