"""Which messages a process understands, and what answers them."""

from __future__ import annotations

import pytest

from nectar_node.interfaces.errors import BadInterface
from nectar_node.interfaces.messages import body_misfit_untrusted
from nectar_node.interfaces.shapes import shape_text
from tests.nectar_node.interfaces.samples import CHESS, apis


def answers(text: str, name: str) -> list[str] | None:
    (api,) = apis(text, "chess")
    message = api.message(name)
    assert message is not None
    assert message.answers is None or isinstance(message.answers, tuple)
    return None if message.answers is None else [each.name for each in message.answers]


def test_a_message_is_a_case_of_the_request_with_an_example_body() -> None:
    (api,) = apis(CHESS, "chess")
    assert str(api.process) == "chess:chess:sys"
    assert [(each.name, each.example) for each in api.messages] == [
        ("new-game", {"NewGame": {"white": "two.nec"}}),
        ("move", {"Move": {"game_id": "text", "move_str": "text"}}),
        ("resign", {"Resign": "text"}),
        ("list-games", "ListGames"),
    ]
    assert api.message("NewGame") is api.message("new-game")


def test_it_is_answered_by_what_its_docs_name_or_by_its_namesake_or_by_anything() -> None:
    assert answers(CHESS, "new-game") == ["accepted", "err"]
    assert answers(CHESS, "move") == ["move", "err"]
    assert answers(CHESS, "resign") == ["accepted", "move", "list-games", "err"]
    silent = "interface chess { variant request {\n/// @answers nothing\n a } variant response { b } }"
    assert answers(silent, "a") is None


def test_an_answer_that_is_not_there_is_told() -> None:
    wrong = "interface chess { variant request {\n/// @answers c\n a } variant response { b } }"
    with pytest.raises(BadInterface, match=r"a is answered by c, which is no response\.$"):
        apis(wrong)


@pytest.mark.parametrize(
    ("interface", "processes", "process"),
    [
        ("chess", ("chess", "other"), "chess"),
        ("file-worker", ("main", "file_worker"), "file_worker"),
        ("chess", ("main", "other"), "main"),
        ("chess", (), "chess"),
        ("child", ("main",), "child"),
    ],
)
def test_an_interface_is_that_of_the_process_of_its_name(
    interface: str, processes: tuple[str, ...], process: str
) -> None:
    (api,) = apis(f"interface {interface} {{ type request = u8; }}", *processes)
    assert api.process.process == process


def test_requests_of_existing_packages_are_found_by_the_name_of_their_interface() -> None:
    text = "interface chain { variant chain-requests { get-app(string) } variant chain-responses { get-app(u8) } }"
    (api,) = apis(text, "main", "chain")
    assert [(each.name, each.example) for each in api.messages] == [("get-app", {"GetApp": "text"})]


def test_a_request_that_is_no_variant_is_one_message_and_text_and_bytes_are_no_json() -> None:
    (record,) = apis("interface chess { record request { a: u8 } }")
    assert [(each.name, each.example) for each in record.messages] == [("request", {"a": 1})]
    assert body_misfit_untrusted(record.request, "{") == "it must be JSON"
    for raw in ("string", "list<u8>"):
        (api,) = apis(f"interface chess {{ type request = {raw}; }}")
        assert api.is_raw
        assert body_misfit_untrusted(api.request, "not JSON") is None


def test_an_interface_without_a_request_describes_types_alone() -> None:
    assert apis("interface types { record a { b: u8 } }") == []


SIGNED = """interface counter {
  use standard.{address};
  record update { value: s32 }
  /// Add to it.
  record add-to-counter-signature-remote { target: address, value: s32, name: string, returning: f32 }
  record add-to-counter-signature-local { target: address, value: s32, name: string, returning: f32 }
  record set-signature-local { target: address, update: update, returning: result<string, string> }
  record get-signature-remote { target: address, returning: list<string> }
  record page-signature-http { target: string, returning: string }
}"""


def test_what_newer_kits_describe_by_signatures_are_messages_too() -> None:
    (api,) = apis(SIGNED, "counter")
    assert [(each.name, each.example) for each in api.messages] == [
        ("add-to-counter", {"AddToCounter": [1, "text"]}),
        ("get", {"Get": {}}),
        ("set", {"Set": {"value": 1}}),
    ]
    add, get, change = api.messages
    assert (add.docs.text, get.docs.text) == ("Add to it. Takes value, name.", "Takes nothing.")
    answered = [None if isinstance(each.answers, tuple) else shape_text(each.answers) for each in (add, get, change)]
    assert answered == ["f32", "list<string>", "result<string, string>"]
    assert body_misfit_untrusted(api.request, '{"AddToCounter": [1, "a"]}') is None
    assert body_misfit_untrusted(api.request, '{"AddToCounter": [1]}') is not None
    assert body_misfit_untrusted(api.request, '{"Page": {}}') is not None
