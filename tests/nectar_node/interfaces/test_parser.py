"""WIT files are read, or refused with one sentence that says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.interfaces.errors import BadInterface
from nectar_node.interfaces.limits import MAX_DEPTH, MAX_TEXT_BYTES
from nectar_node.interfaces.shapes import RecordShape, UnknownShape, VariantShape, plain, shape_text
from tests.nectar_node.interfaces.samples import CHESS, interfaces, shape

ROOT = Path(__file__).resolve().parents[3]


def test_an_interface_has_its_types_with_their_docs() -> None:
    (chess,) = interfaces(CHESS).values()
    assert (chess.name, chess.docs.text) == ("chess", "A game between two nodes.")
    assert list(chess.types) == [
        "request",
        "response",
        "new-game-request",
        "move-request",
        "move-error",
        "colors",
        "level",
    ]
    request = chess.types["request"]
    assert isinstance(request, VariantShape)
    assert [(each.name, each.key, each.docs.text) for each in request.cases] == [
        ("new-game", "NewGame", "Begin a game."),
        ("move", "Move", ""),
        ("resign", "Resign", ""),
        ("list-games", "ListGames", ""),
    ]
    record = chess.types["new-game-request"]
    assert isinstance(record, RecordShape)
    assert [(each.key, shape_text(each.shape)) for each in record.fields] == [
        ("white", "node-id"),
        ("black", "option<address>"),
        ("minutes", "u8"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "list<u8>",
        "list<string, 4>",
        "option<tuple<u8, f64, char>>",
        "result",
        "result<bool>",
        "result<_, string>",
        "result<u64, s8>",
    ],
)
def test_a_type_is_spelled_as_it_was(text: str) -> None:
    assert shape_text(plain(shape(f"type t = {text};"))) == text


def test_types_are_found_in_other_interfaces_and_files_and_under_other_names() -> None:
    found = interfaces(
        "interface one { use two.{thing as other}; record t { it: other } }", "interface two { record thing { n: u8 } }"
    )
    record = found["one"].types["t"]
    assert isinstance(record, RecordShape)
    assert record.fields[0].shape is found["two"].types["thing"]


@pytest.mark.parametrize("use", ["use nobody.{thing};", "use other:package/types@0.1.0.{thing};"])
def test_what_another_package_describes_is_of_an_unknown_type(use: str) -> None:
    known = plain(shape(f"{use} type t = thing;"))
    assert isinstance(known, UnknownShape)


def test_of_two_files_with_one_interface_the_later_counts() -> None:
    assert list(interfaces("interface i { type a = u8; }", "interface i { type b = u8; }")["i"].types) == ["b"]


def test_what_describes_no_messages_is_skipped() -> None:
    text = """
    package a:b@1.0.0;
    use wasi:io/streams@0.2.0;
    @since(version = 0.2.0)
    interface i {
        @unstable(feature = more)
        f: func(a: u8) -> result<list<tuple<u8, u8>>, string>;
        resource r { constructor(); m: func(); }
        /// Kept.
        @deprecated(version = 1.0.0)
        type t = u8;
    }
    world w { import i; export f: func() -> u8; import x: interface { type y = u8; } }
    """
    assert list(interfaces(text)["i"].types) == ["r", "t"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "kernel" / "wasm" / "wasi" / "wit").glob("*.wit")), ids=lambda each: each.name
)
def test_interfaces_that_are_full_of_functions_and_resources_are_read(path: Path) -> None:
    assert interfaces(path.read_text()) != {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("interface i {", "0.wit, line 1: expected a name, and not the end."),
        ("interface i {\n f: func(", "0.wit, line 2: it ends too early."),
        ("interface i {\n type t = nothing; }", "0.wit, line 2: there is no type nothing."),
        ("interface i {\n\n record t { a: u8, a: u8 } }", "0.wit, line 3: a is there twice."),
        ("interface i { type t = u8; type t = u8; }", "0.wit, line 1: t is there twice."),
        ("interface i { record t { a: option<t> } }", "0.wit: t is made of itself, which WIT has no types for."),
        ("interface i { type t = list<>; }", "0.wit, line 1: there is no type list."),
        ("interface i { type t = option<u8, u8>; }", "0.wit, line 1: option<…> is no type."),
        ("interface i { record t { a u8 } }", "0.wit, line 1: expected ':', and not 'u8'."),
        ("interface i { ~ }", "0.wit, line 1: '~' is no part of WIT."),
        ("interface i { /* type t = u8; }", "0.wit, line 1: a comment has no end."),
        ("hello", "0.wit, line 1: expected an interface, and not 'hello'."),
        (
            'interface i {\n enum t {\n /// @json "B"\n a, b } }',
            "0.wit, line 2: t has two members of one name in JSON.",
        ),
        (
            "interface i { record t {\n /// @default 256\n a: u8 } }",
            "0.wit, line 1: t has a @default for a that does not fit: it must be from 0 to 255, and is 256.",
        ),
        (
            "interface i { record t {\n /// @default x\n a: u8 } }",
            "0.wit, line 1: t has a @default for a that does not fit: it is not JSON.",
        ),
        (
            "interface i {\n /// @json BIG\n enum t { a } }",
            "0.wit, line 3: @json takes PascalCase, snake_case, kebab-case, camelCase before a type.",
        ),
        ("interface a { use b.{t}; } interface b { use a.{t}; record r { t: t } }", "made of itself"),
        ("interface a { use b.{t}; type u = t; } interface b { type s = u8; }", "0.wit: b has no type t."),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadInterface) as error:
        interfaces(text)
    assert said in str(error.value)
    assert str(error.value).endswith(".")


def test_types_are_nested_only_so_deep_however_that_is_written() -> None:
    brackets = "list<" * MAX_DEPTH + "u8" + ">" * MAX_DEPTH
    chains = [f"type t{at} = list<t{at + 1}>;" for at in range(MAX_DEPTH)] + [f"type t{MAX_DEPTH} = u8;"]
    endless = [f"type t{at} = t{at + 1};" for at in range(3000)] + ["type t3000 = u8;"]
    for items in (f"type t = {brackets};", " ".join(chains), " ".join(reversed(chains)), " ".join(endless)):
        with pytest.raises(BadInterface, match="nested more than 32 deep"):
            interfaces(f"interface i {{ {items} }}")


def test_a_text_that_is_too_long_is_not_read() -> None:
    half = "interface i { } " + " " * (MAX_TEXT_BYTES // 2)
    with pytest.raises(BadInterface, match="more than 256 KiB"):
        interfaces(half, half)
