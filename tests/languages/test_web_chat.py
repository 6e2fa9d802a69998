"""A chat with a page in each language: what a page says goes by WebSocket, between nodes, and to another page."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import trio

from nectar_node.contract.config import LOOPBACK
from packages.build import PACKAGES, ROOT
from testnet.faults.crash import Crash
from testnet.testing.package_lab import PackageLab
from tests.web_sockets import WebSocketClient, web_socket

ONE, TWO = NODES = ("one.nec", "two.nec")
BASE = "/web_chat:web_chat:sys"
OPENS = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}


class Visitor:
    """A browser that is signed in at the origin of the chat on a node."""

    def __init__(self, lab: PackageLab, node: str) -> None:
        # It answers when it has bound its pages.
        assert lab.ask(node, "our@web_chat:web_chat:sys", "Are you there?").body == {"Err": "expected a Line"}
        url, cookies = urlsplit(lab.link(node, f"{BASE}/")), ""
        self.port = url.port or 0
        while True:  # from the link to the node's own origin, and on to the package's
            self.host = url.netloc
            status, headers, self.page = self._get(f"{url.path}?{url.query}", cookies)
            cookies = (headers["set-cookie"] or "").partition(";")[0] or cookies
            where = headers["location"]
            if where is None:
                break
            url = urlsplit(where if "//" in where else f"http://{self.host}{where}")
        assert status == 200, self.page
        self.headers = {"Host": self.host, "Origin": f"http://{self.host}", "Cookie": cookies}

    def _get(self, path: str, cookies: str) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)
        connection.request("GET", path, headers={"Host": self.host, **OPENS, "Cookie": cookies})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def get(self, path: str) -> tuple[int, str]:
        """The status and the body of a page."""
        status, _, text = self._get(path, self.headers["Cookie"])
        return status, text


async def listen(page: WebSocketClient) -> tuple[str, Any]:
    """The next piece of news: its kind, and what it says."""
    ((kind, value),) = json.loads(await page.receive()).items()
    return kind, value


async def becomes(page: WebSocketClient, state: str) -> dict[str, Any]:
    """The next line that is in that state."""
    while True:
        kind, line = await listen(page)
        assert kind == "Line", line
        if line["state"] == state:
            found: dict[str, Any] = line
            return found


def test_a_line_goes_from_page_to_page_and_is_there_after_a_restart(lab: PackageLab, boot: Callable[..., None]) -> None:
    boot("web_chat", *NODES, http=True)
    ann, ben = (Visitor(lab, node) for node in NODES)
    assert ann.get(f"{BASE}/page.js") == (200, (PACKAGES / "web_chat" / "page.js").read_text())

    async def talk() -> None:
        with trio.fail_after(60):
            async with (
                web_socket(ann.port, f"{BASE}/lines", ann.headers) as one,
                web_socket(ben.port, f"{BASE}/lines", ben.headers) as two,
            ):
                assert await listen(one) == ("Hello", {"node": ONE, "lines": []})
                assert await listen(two) == ("Hello", {"node": TWO, "lines": []})
                await one.send(json.dumps({"Say": {"to": TWO, "text": "Hello, Ben"}}))
                heard = {"id": 1, "number": 1, "text": "Hello, Ben", "state": "Heard"}
                assert await becomes(two, "Heard") == {**heard, "node": ONE, "mine": False}
                assert await becomes(one, "Heard") == {**heard, "node": TWO, "mine": True}
                await one.send(json.dumps({"Again": 1}))
                assert await listen(one) == ("Err", "That line is not one to send again.")
                await one.send("nonsense")
                assert (await listen(one))[0] == "Err"

    trio.run(talk)
    lab.restart(TWO)
    again = Visitor(lab, TWO)

    async def look() -> None:
        with trio.fail_after(60):
            async with web_socket(again.port, f"{BASE}/lines", again.headers) as page:
                _, hello = await listen(page)
                assert [(line["text"], line["state"]) for line in hello["lines"]] == [("Hello, Ben", "Heard")]

    trio.run(look)


def test_g13_a_line_to_a_node_that_is_gone_is_offline_and_comes_once_when_it_is_sent_again(
    lab: PackageLab, boot: Callable[..., None]
) -> None:
    boot("web_chat", *NODES, http=True)
    ann = Visitor(lab, ONE)

    async def say(order: object, becoming: str) -> None:
        with trio.fail_after(60):
            async with web_socket(ann.port, f"{BASE}/lines", ann.headers) as page:
                await listen(page)
                await page.send(json.dumps(order))
                await becomes(page, becoming)

    with lab.apply(Crash(TWO)):
        trio.run(say, {"Say": {"to": TWO, "text": "Hello"}}, "Offline")
    lab.start(TWO)
    trio.run(say, {"Again": 1}, "Heard")


def test_the_page_is_the_same_in_all_languages() -> None:
    for folder in (ROOT / "sdk").glob("*/examples/web_chat"):
        for page in ("page.html", "page.css", "page.js"):
            assert (folder / page).read_text() == (PACKAGES / "web_chat" / page).read_text()
