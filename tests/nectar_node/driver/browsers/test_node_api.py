"""What the node's own page asks for, at real nodes, as a browser would: commands, streams, files."""

from __future__ import annotations

import http.client
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import trio

from nectar_node.base.errors import NodeError
from nectar_node.contract.config import LOOPBACK
from nectar_node.contract.http import HttpAnswer, HttpCommand
from nectar_node.control.commands import Control
from nectar_node.driver.browsers.event_streams import DoorFeed
from nectar_node.driver.browsers.node_api import MAX_COMMANDS, MAX_STREAMS, NodeApi
from nectar_node.http.node_page import COMMANDS, UPLOAD_DATA
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests import waiting
from tests.nectar_node.cli.real_node import PACKAGES

ONE, TWO = "page-one.nec", "page-two.nec"


class Browser:
    """Somebody who is signed in at a node by a link of `nectar open`."""

    def __init__(self, network: LocalTestnet, name: str) -> None:
        self.network, self.name = network, name
        with network.connect(name) as client:
            link = urlsplit(str(client.request("open")["url"]))
        self.host = link.netloc
        answer = self._request("GET", f"{link.path}?{link.query}", {}, b"")
        self.cookies = "; ".join(each.partition(";")[0] for each in answer.headers.get_all("set-cookie") or ())

    def _request(self, method: str, path: str, headers: dict[str, str], body: bytes) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def give(self, command: str, **fields: object) -> dict[str, Any]:
        """The answer to a command, with `ok` or `error`."""
        headers = {"cookie": self.cookies, "content-type": "application/json"}
        answer = self._request("POST", f"/api/{command}", headers, json.dumps(fields).encode())
        told: dict[str, Any] = json.loads(answer.read())
        return told

    def ask(self, command: str, **fields: object) -> dict[str, Any]:
        """What a command answers."""
        told = self.give(command, **fields)
        assert "ok" in told, told
        done: dict[str, Any] = told["ok"]
        return done

    def refused(self, command: str, **fields: object) -> str:
        """The sentence with which it is refused."""
        told = self.give(command, **fields)
        assert "error" in told, told
        return str(told["error"]["sentence"])

    def piece(self, upload: str, offset: int, body: bytes) -> dict[str, Any]:
        headers = {"cookie": self.cookies, "content-type": "application/octet-stream"}
        path = f"/api/{UPLOAD_DATA}?upload={upload}&offset={offset}"
        told: dict[str, Any] = json.loads(self._request("POST", path, headers, body).read())
        return told

    def upload(self, name: str, data: bytes, piece: int = 1 << 20) -> str:
        """Give a file to the node; its id there."""
        upload = str(self.ask("upload", name=name, size=len(data))["upload"])
        for offset in range(0, len(data), piece):
            assert self.piece(upload, offset, data[offset : offset + piece])["ok"]["bytes"] > offset
        return upload

    @contextmanager
    def follow(self, command: str, query: str = "") -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """The events of a stream, each with its kind."""
        answer = self._request("GET", f"/api/{command}?{query}", {"cookie": self.cookies}, b"")
        assert answer.status == 200, answer.read()
        try:
            yield self._events(answer)
        finally:
            answer.close()

    def _events(self, answer: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = "message"
        for line in answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                told = json.loads(value)
                yield kind, told.get("event", told)


@pytest.fixture(scope="module")
def browser(network: LocalTestnet) -> Browser:
    """A browser that is signed in at page-one.nec; page-two.nec runs, too."""
    packages = (PACKAGES / "file_transfer", PACKAGES / "hello")
    network.boot({name: BootOptions(packages=packages, http=(LOOPBACK, 0)) for name in (ONE, TWO)})
    return Browser(network, ONE)


def packed(*, publisher: str = "local", request: tuple[str, ...] = ()) -> bytes:
    """The package hello of another publisher, as a zip, which asks for those capabilities too."""
    folder, data = PACKAGES / "hello" / "pkg", io.BytesIO()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[0]["request_capabilities"] = list(request)
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("metadata.json", json.dumps({"package": "greeter", "publisher": publisher}))
        archive.write(folder / "hello.wasm", "hello.wasm")
    return data.getvalue()


def row(browser: Browser, package: str) -> dict[str, Any]:
    rows = browser.ask("packages")["packages"]
    found: dict[str, Any] = next(each for each in rows if each["package"] == package)
    return found


def test_every_command_on_the_list_is_one_of_the_control_socket(browser: Browser) -> None:
    """There is one list of commands, of which the page may give some."""
    with browser.network.connect(ONE) as client:
        for name in COMMANDS.keys() - {UPLOAD_DATA} - {name for name, each in COMMANDS.items() if each.streams}:
            refusal = ""
            try:
                client.request(name)
            except NodeError as error:
                refusal = str(error)
            assert "There is no command" not in refusal, name


def test_an_uploaded_file_is_sent_to_another_node_and_is_not_kept_here(browser: Browser) -> None:
    data = bytes(range(256)) * 12_000
    upload = browser.upload("holiday.bin", data)
    transfer = browser.ask("send", upload=upload, name=TWO)["transfer"]

    def ended() -> bool:
        rows = {each["id"]: each for each in browser.ask("transfers")["transfers"]}
        assert rows[transfer]["state"] != "failed", rows
        return bool(rows[transfer]["state"] == "done")

    waiting.until(ended)
    arrived = browser.network.place(TWO).drives / "file_transfer:sys" / "inbox" / "holiday.bin"
    assert arrived.read_bytes() == data
    waiting.until(lambda: not any(browser.network.place(ONE).uploads.iterdir()))
    assert browser.ask("cancel_transfer", transfer=transfer) == {}
    assert browser.ask("transfers")["transfers"] == []


def test_a_transfer_that_fails_says_why_and_can_be_tried_again_with_the_same_file(browser: Browser) -> None:
    upload = browser.upload("note.txt", b"hello")
    transfer = browser.ask("send", upload=upload, name="nobody.nec")["transfer"]

    def failed() -> dict[str, Any] | None:
        (found,) = browser.ask("transfers")["transfers"]
        return found if found["state"] == "failed" else None

    waiting.until(lambda: failed() is not None)
    told = failed()
    assert told is not None
    assert (told["upload"], told["kind"], told["peer"]) == (upload, "Offline", "nobody.nec")
    assert "nobody.nec" in told["reason"]
    browser.ask("send", upload=upload, name=TWO)
    browser.ask("cancel_transfer", transfer=transfer)
    waiting.until(lambda: [each["state"] for each in browser.ask("transfers")["transfers"]] == ["done"])


def test_pieces_of_a_file_come_in_order_and_no_more_than_it_was_to_have(browser: Browser) -> None:
    upload = browser.ask("upload", name="a.bin", size=4)["upload"]
    assert browser.piece(upload, 0, b"ab")["ok"] == {"bytes": 2, "size": 4}
    assert browser.piece(upload, 0, b"ab")["ok"] == {"bytes": 2, "size": 4}, "a piece that comes twice counts once"
    assert browser.piece(upload, 9, b"ab")["ok"] == {"bytes": 2, "size": 4}
    assert "more bytes" in browser.piece(upload, 2, b"abc")["error"]["sentence"]
    assert "2 of 4 bytes" in browser.refused("send", upload=upload, name=TWO)
    browser.ask("discard_upload", upload=upload)
    assert "choose it once more" in browser.piece(upload, 2, b"ab")["error"]["sentence"]


@pytest.mark.parametrize("name", ["", ".hidden", "..", "a/b", "a\0b", "x" * 201, "a\nb"])
def test_a_file_with_a_name_that_no_node_can_have_is_refused(browser: Browser, name: str) -> None:
    assert "Rename it" in browser.refused("upload", name=name, size=1)


def test_a_file_that_the_disk_cannot_hold_is_refused_before_it_comes(browser: Browser) -> None:
    assert "no room" in browser.refused("upload", name="huge.bin", size=1 << 40)


def test_a_package_is_started_from_a_zip_with_the_rights_that_its_user_gives_it(browser: Browser) -> None:
    """Nothing runs before somebody has said yes to what is powerful."""
    upload = browser.upload("greeter.zip", packed(request=("net:distro:sys", "timer:distro:sys", "eth:distro:sys")))
    asked = browser.ask("review", upload=upload)
    assert asked["package"] == "greeter:local"
    assert asked["requests"] == ["eth:distro:sys", "net:distro:sys", "network", "timer:distro:sys"]
    assert asked["absent"] == ["eth:distro:sys"]
    told = browser.ask("start", upload=upload, deny=["timer:distro:sys"], grant=["net:distro:sys", "network"])
    assert told["processes"][0]["granted"] == ["network", "net:distro:sys"]
    assert row(browser, "greeter:local")["denied"] == ["timer:distro:sys"]
    assert row(browser, "greeter:local")["origin"] == "uploaded/greeter.zip"
    waiting.until(lambda: not any(browser.network.place(ONE).uploads.iterdir()))


def test_rights_are_given_and_taken_by_starting_it_again_and_it_stays_stopped_until_then(browser: Browser) -> None:
    browser.ask("start", upload=browser.upload("greeter.zip", packed()), grant=["network"], replace=True)
    assert browser.ask("kill", address="greeter:local")["ended"] == 1
    assert row(browser, "greeter:local")["processes"][0]["ended"]
    browser.ask("start", address="greeter:local", deny=["network"])
    assert row(browser, "greeter:local")["processes"][0]["granted"] == []
    browser.ask("start", address="greeter:local", grant=["network"])
    assert row(browser, "greeter:local")["processes"][0]["granted"] == ["network"]


def test_what_is_no_package_is_refused_by_the_name_of_the_file_that_was_uploaded(browser: Browser) -> None:
    upload = browser.upload("notes.zip", b"not a zip")
    sentence = browser.refused("review", upload=upload)
    assert sentence.startswith("notes.zip is not a zip")
    browser.ask("discard_upload", upload=upload)
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../evil", "x")
        archive.writestr("manifest.json", "[]")
    assert "would not stay inside" in browser.refused("review", upload=browser.upload("evil.zip", evil.getvalue()))
    assert "No package nobody:here is installed" in browser.refused("start", address="nobody:here")


JUNK: tuple[object, ...] = (
    *(None, True, -1, 1e308, "", "\x00", "../../key", "/etc/passwd", "x" * 60_000, "\ud800"),
    *([[]], ["*"] * 5000, {"__proto__": 1}, "our@kernel:distro:sys", "terminal:sys"),
)
"""What no field of a command is, or none of a page's."""
HIDDEN = {"package": "/etc", "file": "/etc/passwd", "path": "/x", "blob_file": "/etc/passwd", "answer_file": "/tmp/x"}
"""Fields that name places of the machine, or send messages: for the control socket alone."""


def test_whatever_a_field_holds_a_command_is_answered_and_nothing_of_our_own_fails(browser: Browser) -> None:
    for name, command in COMMANDS.items():
        if command.streams or name == UPLOAD_DATA:
            continue
        fields = sorted(command.fields)
        for junk in JUNK:
            for given in [{each: junk} for each in fields] or [{"x": junk}]:
                told = browser.give(name, **HIDDEN, **given)
                sentence = str(told.get("error", {}).get("sentence", ""))
                assert "its log says why" not in sentence, (name, given)
                assert "root:" not in sentence, "which is in the file"
    for query in (
        "upload=..&offset=0",
        "upload=x&offset=-1",
        "offset=1",
        "upload=%00&offset=99999999999999",
        "",
        "%ff",
    ):
        path = f"/api/{UPLOAD_DATA}?{query}"
        answer = browser._request("POST", path, {"cookie": browser.cookies}, b"x")
        assert answer.status == 400, query
    with browser.network.connect(ONE) as client:
        assert not any(client.request("status")["failures"].values())
    assert "has failed" not in browser.network.log(ONE)


@pytest.mark.parametrize("name", sorted(set(HIDDEN)))
def test_a_page_names_no_place_of_the_machine(browser: Browser, name: str) -> None:
    """Whatever it says beside: it could have the node read any file that the user can read."""
    assert not any(name in command.fields for command in COMMANDS.values())
    for command in ("review", "start"):
        assert browser.refused(command, **{name: HIDDEN[name]}) == "package is the path of a folder."
    assert browser.give("share", file="/etc/passwd", path="/hello:sys/x")["error"]["kind"] == "NoSuchCommand"
    assert "does not have this file" in browser.refused("send", name=TWO, upload="/etc/passwd", **HIDDEN)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=application/json"},
        {"content-type": "text/plain;application/json"},
        {"content-type": "application/json", "origin": "null"},
        {"content-type": "application/json", "origin": "http://hello--hello--sys.localhost"},
        {"content-type": "application/json", "sec-fetch-site": "same-site"},
        {"content-type": "application/json", "sec-fetch-site": "none"},
        {"content-type": "application/json", "x-http-method-override": "GET", "sec-fetch-site": "cross-site"},
    ],
)
def test_a_page_of_another_site_gives_no_command(browser: Browser, headers: dict[str, str]) -> None:
    """Also with the cookie, which a browser leaves out."""
    body = json.dumps({"address": "hello:sys"}).encode()
    answer = browser._request("POST", "/api/kill", {"cookie": browser.cookies, **headers}, body)
    assert answer.status in (403, 415)
    with browser.network.connect(ONE) as client:
        assert client.request("ps", address="hello:hello:sys")["process"]


def test_figures_come_once_a_second_and_the_log_line_by_line(browser: Browser) -> None:
    with browser.follow("watch") as events:
        (_, first), (_, second) = next(events), next(events)
    assert first["name"] == ONE
    assert 0.5 < second["at"] - first["at"] < 20
    assert "hello:hello:sys" in {each["address"].partition("@")[2] for each in second["processes"]}
    with browser.follow("logs", "after=0") as events:
        _, told = next(events)
    assert any("connected to" in line["text"] for line in told["lines"])


def test_messages_are_told_as_they_happen(browser: Browser) -> None:
    with browser.follow("trace") as events:
        assert next(events) == ("message", {"following": ONE})
        browser.network.message(ONE, f"{ONE}@hello:hello:sys", '{"Greet":"<b>"}')
        steps = [next(events)[1]["record"] for _ in range(3)]
    assert [each["step"] for each in steps] == ["sent", "handed over", "answered"]
    assert steps[0]["beginning"] == '{"Greet":"<b>"}'


def test_a_stream_ends_with_the_session_and_nothing_more_is_answered(browser: Browser) -> None:
    network, browser = browser.network, Browser(browser.network, ONE)
    with browser.follow("trace") as events:
        next(events)
        with network.connect(ONE) as client:
            client.request("revoke_session")
        assert next(events)[0] == "signed-out"
        assert list(events) == []
    assert browser.give("df")["error"]["kind"] == "NotSignedIn"


def test_a_node_goes_down_in_spite_of_open_streams_and_keeps_no_upload(browser: Browser) -> None:
    network, browser = browser.network, Browser(browser.network, TWO)
    browser.upload("left.bin", b"x")
    with browser.follow("watch") as events:
        next(events)
        network.stop(TWO)
        assert [kind for kind, _ in events if kind != "message"] == []
    assert not network.place(TWO).uploads.exists()
    assert "failed at" not in network.log(TWO)


class Broken:
    """A control socket's commands, all of which fail in our own code."""

    def connected(self, send: object) -> None:
        """A client that needs nothing."""

    def forget(self, client: None) -> None:
        """Nothing was used."""

    async def answer_untrusted(self, client: None, line: bytes) -> dict[str, object]:
        raise ValueError("broken")


@pytest.mark.parametrize("streams", [False, True])
async def test_a_failure_of_our_own_code_is_noted_and_ends_nothing_else(streams: bool) -> None:
    noted: list[str] = []
    answers: list[HttpAnswer | DoorFeed] = []
    async with trio.open_nursery() as nursery:
        control = cast(Control, Broken())
        api = NodeApi(control, nursery, answers.append, lambda _: True, lambda what, _: noted.append(what))
        api.take(HttpCommand("token", b"{}", b"", streams, "session"))
    assert len(noted) == 1
    (answer,) = answers
    if isinstance(answer, DoorFeed):
        assert [piece async for piece in answer.pieces] == []
    else:
        assert (answer.status, json.loads(bytes(answer.body))["error"]["kind"]) == (500, "NodeError")


async def test_streams_and_commands_are_bounded_and_who_is_turned_away_is_told() -> None:
    answers: list[HttpAnswer | DoorFeed] = []
    async with trio.open_nursery() as nursery:
        api = NodeApi(cast(Control, Broken()), nursery, answers.append, lambda _: True, lambda *_: None)
        for streams, most in ((True, MAX_STREAMS), (False, MAX_COMMANDS)):
            for _ in range(most + 1):
                api.take(HttpCommand("token", b"{}", b"", streams, "session"))
        turned_away = [answer for answer in answers if isinstance(answer, HttpAnswer)]
        assert [answer.status for answer in turned_away] == [503, 503]
        nursery.cancel_scope.cancel()
