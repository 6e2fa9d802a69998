"""The node's own page: which files are served how, and which commands it may give, from where, and with what."""

from __future__ import annotations

import gzip
import json

import pytest

from nectar_node.contract.http import HttpCommand, HttpRequest
from nectar_node.http.node_page import MAX_FIELDS_BYTES, MAX_PIECE_BYTES, NodePage
from nectar_node.http.origins import OurNames
from nectar_node.http.pages import PageAnswer
from nectar_node.http.requests import HttpRefused, read_untrusted

HOST = "localhost:8080"
PAGE = b"<!doctype html><title>Node</title>"
SCRIPT = b"export const one = 1;\n" * 100
FILES = {"index.html": PAGE, "node/node.js": SCRIPT, "vendor/vendored.json": b"{}"}
JSON = ("content-type", "application/json")
SESSION = "its cookie"


def ask(
    path: str,
    *headers: tuple[str, str],
    method: str = "GET",
    body: bytes = b"",
    query: str = "",
    session: str | None = SESSION,
) -> PageAnswer | HttpCommand | None:
    told = (("host", HOST), *headers)
    request = HttpRequest("token", method, path, query, told, body, ("127.0.0.1", 4000))
    return NodePage(FILES).answer_untrusted(
        "token", read_untrusted(request, OurNames(frozenset(), frozenset())), body, session
    )


def page(*args: object, **more: object) -> PageAnswer:
    answer = ask(*args, **more)  # type: ignore[arg-type]
    assert isinstance(answer, PageAnswer)
    return answer


def give(command: str, fields: object, *headers: tuple[str, str], **more: str | None) -> PageAnswer | HttpCommand:
    answer = ask(f"/api/{command}", JSON, *headers, method="POST", body=json.dumps(fields).encode(), **more)  # type: ignore[arg-type]
    assert answer is not None
    return answer


def refused(answer: PageAnswer | HttpCommand | None) -> tuple[int, str]:
    assert isinstance(answer, PageAnswer)
    return answer.status, json.loads(bytes(answer.body))["error"]["kind"]


def line(answer: PageAnswer | HttpCommand | None) -> dict[str, object]:
    assert isinstance(answer, HttpCommand)
    told: dict[str, object] = json.loads(answer.line)
    return told


def test_the_page_and_its_files_are_served_to_all_with_a_policy_that_runs_no_other_script() -> None:
    answer = page("/", session=None)
    headers = dict(answer.headers)
    assert (answer.status, answer.body, headers["content-type"]) == (200, PAGE, "text/html; charset=utf-8")
    policies = [value for name, value in answer.headers if name == "content-security-policy"]
    assert any("script-src 'self';" in policy and "default-src 'none'" in policy for policy in policies)
    assert not any("unsafe" in policy for policy in policies)
    script = page("/assets/node/node.js", session=None)
    assert (script.body, dict(script.headers)["content-type"]) == (SCRIPT, "text/javascript; charset=utf-8")


def test_what_is_no_file_of_the_page_is_not_its_business() -> None:
    for path in ("/other", "/assets/", "/assets/vendor/vendored.json", "/assets//index.html", "/api"):
        assert ask(path) is None


def test_a_browser_that_has_a_file_is_not_sent_it_again() -> None:
    first = page("/assets/node/node.js")
    again = page("/assets/node/node.js", ("if-none-match", dict(first.headers)["etag"]))
    assert (again.status, again.body) == (304, b"")


def test_a_file_is_sent_compressed_to_whoever_takes_that_and_under_an_etag_of_its_own() -> None:
    plain, packed = page("/assets/node/node.js"), page("/assets/node/node.js", ("accept-encoding", "br, gzip"))
    assert dict(packed.headers)["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == SCRIPT
    assert len(packed.body) < len(SCRIPT)
    assert dict(packed.headers)["etag"] != dict(plain.headers)["etag"]
    assert "content-encoding" not in dict(page("/", ("accept-encoding", "gzip")).headers)  # it would save nothing


def test_a_file_is_only_read() -> None:
    with pytest.raises(HttpRefused, match="GET"):
        ask("/", method="POST")


def test_a_command_goes_to_the_driver_with_the_fields_that_the_page_may_set_and_no_others() -> None:
    """A page names no folder and no file of the machine."""
    answer = give("start", {"upload": "ab", "deny": ["network"], "package": "/etc", "file": "/etc/passwd", "line": "x"})
    assert line(answer) == {"command": "start", "upload": "ab", "deny": ["network"]}
    assert isinstance(answer, HttpCommand)
    assert (answer.token, answer.streams, answer.session) == ("token", False, SESSION)


@pytest.mark.parametrize(
    "command", ["shutdown", "message", "run", "share", "snapshot", "open", "", "start/", "%73tart"]
)
def test_what_is_not_on_the_list_is_no_command_of_the_page(command: str) -> None:
    assert refused(give(command, {})) == (404, "NoSuchCommand")


def test_only_who_is_signed_in_gives_commands() -> None:
    assert refused(give("df", {}, session=None)) == (401, "NotSignedIn")
    assert refused(ask("/api/watch", session=None)) == (401, "NotSignedIn")


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", "http://evil.example")],
        [("origin", "null")],
        [("origin", "http://chess--chess--sys.localhost:8080")],
        [("origin", "http://localhost:8081")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "none")],
    ],
)
def test_no_other_page_gives_commands_or_reads_streams_not_even_that_of_a_package(
    headers: list[tuple[str, str]],
) -> None:
    assert refused(give("kill", {"address": "a:b"}, *headers)) == (403, "Foreign")
    if headers[0][0] == "sec-fetch-site":
        assert refused(ask("/api/watch", *headers)) == (403, "Foreign")


def test_the_page_itself_gives_them() -> None:
    own = [("origin", f"http://{HOST}"), ("sec-fetch-site", "same-origin")]
    assert line(give("kill", {"address": "a:b", "tree": True}, *own)) == {
        "command": "kill",
        "address": "a:b",
        "tree": True,
    }


def test_what_changes_something_is_no_get_and_what_streams_is_no_post() -> None:
    assert refused(ask("/api/kill")) == (405, "BadMethod")
    assert refused(give("watch", {})) == (405, "BadMethod")


def test_a_stream_has_its_fields_in_the_query() -> None:
    answer = ask("/api/logs", query="after=12&address=x")
    assert line(answer) == {"command": "logs", "after": 12}
    assert isinstance(answer, HttpCommand)
    assert answer.streams
    assert line(ask("/api/trace", query="address=a%3Ab%3Ac")) == {"command": "trace", "address": "a:b:c"}
    assert line(ask("/api/trace", query=f"address={'a' * 1000}")) == {"command": "trace"}


def test_a_piece_of_a_file_goes_along_as_it_is_within_its_bound() -> None:
    def piece(body: bytes) -> PageAnswer | HttpCommand | None:
        return ask("/api/upload_data", method="POST", query="upload=ab&offset=5", body=body)

    answer = piece(b"\x00\xff")
    assert line(answer) == {"command": "upload_data", "upload": "ab", "offset": 5}
    assert isinstance(answer, HttpCommand)
    assert answer.piece == b"\x00\xff"
    assert refused(piece(bytes(MAX_PIECE_BYTES + 1))) == (413, "TooLarge")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'"start"', b"1" * (MAX_FIELDS_BYTES + 1), b"[" * 60_000])
def test_what_is_no_object_of_json_is_refused_in_a_sentence(body: bytes) -> None:
    assert refused(ask("/api/df", JSON, method="POST", body=body)) == (400, "BadInput")


def test_a_form_is_no_command() -> None:
    """A page of another site can send a form, and JSON it cannot."""
    form = ("content-type", "application/x-www-form-urlencoded")
    assert refused(ask("/api/df", form, method="POST", body=b"{}")) == (415, "BadInput")
