"""Who may come into a real node: raw sockets against it, with what browsers send, and with what they never would."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from net.names.identity import Identity
from net.names.keyfile import Keys, seal, write_key_file
from testnet.real.local import LocalTestnet
from tests.cheap_keys import CHEAP
from tests.commands import nectar
from tests.end_to_end.test_http import NODE, Browser
from tests.web_site import write_site, zipped_site

OPEN = "open.nec"
"""A node that takes messages without a token, and whose key has a password at libsodium's moderate cost."""
PASSWORD = b"correct horse"
DOMAIN = "node.example"
OPENS = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BASE = "/web:site:local"


class Answer(NamedTuple):
    """What the node has answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def cookie(self) -> str:
        """The cookie that it sets."""
        return (self.headers["set-cookie"] or "").partition(";")[0]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    folder = tmp_path_factory.mktemp("origins")
    site = write_site(folder / "site")
    with LocalTestnet(folder / "testnet") as network:
        place: NodeFolder = network.place(NODE)
        place.create()
        write_key_file(place.key, seal(Keys(Identity(NODE, os.urandom(32)), None), PASSWORD, os.urandom, CHEAP))
        options = BootOptions(packages=(site,), http=(LOOPBACK, 0), http_name=DOMAIN, password=PASSWORD)
        slow = BootOptions(packages=(site,), http=(LOOPBACK, 0), rpc_open=True, password=PASSWORD)
        network.boot({NODE: options, OPEN: slow})
        browser = Browser(network, NODE)
        for path in ("/open", "/mine", "/local"):
            assert browser.bind(path, authenticated=path == "/mine", local_only=path == "/local") == {"Ok": None}
        yield network


class Node:
    """The node's HTTP server."""

    def __init__(self, network: LocalTestnet, name: str = NODE) -> None:
        self.network = network
        self.name = name
        self.port = Browser(network, name).port
        self.home = f"localhost:{self.port}"
        self.web = f"web--site--local.localhost:{self.port}"

    def raw(self, text: bytes, source: str = LOOPBACK) -> bytes:
        """What the node answers to these bytes."""
        with socket.create_connection((LOOPBACK, self.port), 30, (source, 0)) as connection:
            connection.sendall(text)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def status(self, text: bytes) -> int:
        return int(self.raw(text).split(b" ")[1])

    def ask(
        self,
        method: str,
        host: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        source: str = LOOPBACK,
    ) -> Answer:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=60, source_address=(source, 0))
        try:
            connection.request(method, path, body, {"Host": host, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def open(self, host: str, path: str, cookie: str = "", **headers: str) -> Answer:
        """Open a page as a browser does for a person."""
        return self.ask("GET", host, path, {**OPENS, **({"Cookie": cookie} if cookie else {}), **headers})

    def link(self) -> str:
        opened = nectar("open", "--node", NODE, "--print", "--dir", self.network.folder)
        assert opened.code == 0, opened
        url = urlsplit(opened.out.strip())
        assert (url.scheme, url.netloc) == ("https", DOMAIN), "the domain that its user has given it"
        return f"{url.path}?{url.query}"

    def signed_in(self) -> str:
        return self.open(self.home, self.link()).cookie

    def guess(self, password: bytes, source: str = LOOPBACK, **headers: str) -> Answer:
        sent = {"Origin": f"http://{self.home}", **FORM, **headers}
        return self.ask("POST", self.home, "/login", sent, b"to=%2Fx&password=" + password, source)

    def token(self) -> str:
        return nectar("sessions", "token", "--node", NODE, folder=self.network.folder).out.strip()


@pytest.fixture
def node(network: LocalTestnet) -> Node:
    return Node(network)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Host: evil.example", 421),
        ("Host: evil.example\r\nX-Forwarded-Host: localhost", 421),
        ("Host: localhost.evil.example", 421),
        ("Host: web--site--local.evil.example", 421),
        ("Host: nolabel.localhost", 421),
        ("Host: a.web--site--local.localhost", 421),
        ("Host: localhost\r\nHost: evil.example", 400),
        ("Host: evil.example\r\nHost: localhost", 400),
        ("Host: localhost, evil.example", 421),
        ("Host:", 421),
        ("X-Host: localhost", 400),
        ("Host: localhost", 200),
        ("Host: web--site--local.localhost", 200),
        (f"Host: {DOMAIN}", 200),
    ],
)
def test_only_a_name_of_the_nodes_own_is_answered(node: Node, head: str, status: int) -> None:
    assert node.status(f"GET {BASE}/open HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n".encode()) == status


def test_a_proxied_name_is_never_the_machines_own_and_came_by_tls(node: Node) -> None:
    assert node.ask("GET", node.home, f"{BASE}/local").status == 200
    assert node.ask("GET", DOMAIN, f"{BASE}/local").status == 403, "though no header says that there is a proxy"
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        assert node.ask("GET", node.home, f"{BASE}/local", {header: "127.0.0.1"}).status == 403
    moved = node.open(DOMAIN, f"{BASE}/open")
    assert moved.headers["location"] == f"https://web--site--local.{DOMAIN}{BASE}/open"
    assert "; Secure" in node.open(DOMAIN, node.link()).headers["set-cookie"]


# --- origins ----------------------------------------------------------------------------------------------------------


def test_a_browser_goes_from_the_nodes_page_to_a_packages_and_its_cookie_goes_nowhere_else(node: Node) -> None:
    home = node.signed_in()
    moved = node.open(node.home, f"{BASE}/mine", home)
    url = urlsplit(moved.headers["location"])
    assert (moved.status, url.netloc) == (303, node.web)
    onward = f"{url.path}?{url.query}"
    assert node.open(f"web--else--local.localhost:{node.port}", onward).status == 401, "a code for another origin"
    assert node.open(node.web, onward).status == 401, "a code that was used"
    url = urlsplit(node.open(node.home, f"{BASE}/mine", home).headers["location"])
    arrived = node.open(node.web, f"{url.path}?{url.query}")
    assert (arrived.status, f"url={BASE}/mine" in arrived.body.decode()) == (200, True)
    assert node.open(node.web, f"{BASE}/mine", arrived.cookie).status == 200
    assert node.open(node.web, f"{BASE}/mine", home).status == 401
    assert node.ask("GET", node.home, f"{BASE}/mine", {"Cookie": arrived.cookie}).status == 401
    post = {"Cookie": arrived.cookie, "Origin": f"http://{node.home}"}
    assert node.ask("POST", node.web, f"{BASE}/mine", post).status == 403, "a page of another origin"
    assert node.ask("POST", node.web, f"{BASE}/mine", {**post, "Origin": f"http://{node.web}"}).status == 200
    seen = node.ask("GET", node.web, f"{BASE}/mine", {"Cookie": f"a=1; {arrived.cookie}"}).body
    assert b'"cookie":"a=1"' in seen.replace(b" ", b""), "the process sees its own cookies alone"


# --- the password -----------------------------------------------------------------------------------------------------


def test_the_password_signs_in_from_the_nodes_own_page_alone_and_is_guessed_slowly_from_however_many_sources(
    node: Node,
) -> None:
    page = node.open(node.home, "/login")
    assert (page.status, b"<form method=post" in page.body, page.headers["cache-control"]) == (200, True, "no-store")
    right = node.guess(PASSWORD)
    assert (right.status, right.headers["location"]) == (303, "/x")
    assert "; HttpOnly; SameSite=Strict" in right.headers["set-cookie"]
    for sent in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert node.guess(PASSWORD, **sent).status == 403
    assert node.guess(PASSWORD, **{"X-Forwarded-For": "1.2.3.4"}).status == 403, "in the clear, from elsewhere"

    statuses = [node.guess(b"wrong", f"127.0.9.{n}").status for n in range(1, 21)]
    assert statuses == [401] * 20, "each of another source"
    limited = node.guess(PASSWORD, "127.0.9.99")
    assert (limited.status, b"nectar open" in limited.body) == (429, True), "together they wait"
    assert int(limited.headers["retry-after"]) >= 1


def test_while_one_password_is_checked_no_other_is(network: LocalTestnet) -> None:
    node = Node(network, OPEN)
    with ThreadPoolExecutor(4) as browsers:
        statuses = list(browsers.map(lambda n: node.guess(PASSWORD, f"127.0.8.{n}").status, range(1, 5)))
    assert sorted(statuses) == [303, 429, 429, 429], "it takes the better part of a second"


# --- programs ---------------------------------------------------------------------------------------------------------


def kit_message(
    process: str, body: str, *, seconds: int | None = 15, node: str | None = None, data: bytes | None = None
) -> bytes:
    """The JSON that the public developer kits send: serde_json's, with its keys in order."""
    message = {
        "body": body,
        "context": None,
        "data": None if data is None else base64.b64encode(data).decode(),
        "expects_response": seconds,
        "inherit": False,
        "metadata": None,
        "mime": "application/octet-stream",
        "node": node,
        "process": process,
    }
    return json.dumps(message, separators=(",", ":")).encode()


def kit_parses(answer: bytes) -> tuple[Any, bytes | None]:
    """The body and the blob as a kit parses them."""
    head, _, text = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer[:300]
    told = json.loads(text)
    blob = told["lazy_load_blob"]
    return json.loads(bytes(told["body"])), None if blob is None else base64.b64decode(bytes(blob["bytes"]))


def kit_sends(node: Node, message: bytes, token: str | None, more: str = "", host: str = "") -> bytes:
    """What the node answers to a kit, which sends these bytes."""
    userinfo = "" if token is None else f"authorization: Basic {base64.b64encode(f'rpc:{token}'.encode()).decode()}\r\n"
    head = (
        f"POST /rpc:distro:sys/message HTTP/1.1\r\ncontent-type: application/json\r\n{userinfo}accept: */*\r\n"
        f"host: {host or node.home}\r\n{more}content-length: {len(message)}\r\n\r\n"
    )
    with socket.create_connection((LOOPBACK, node.port), 60) as connection:
        connection.sendall(head.encode() + message)
        read = connection.makefile("rb")
        got = b"".join(iter(read.readline, b"\r\n")) + b"\r\n"
        size = next(
            int(line.partition(b":")[2]) for line in got.lower().split(b"\r\n") if line[:15] == b"content-length:"
        )
        return got + read.read(size)


TELL = json.dumps({"Tell": {"to": "our@vfs:distro:sys", "body": "{}"}})


def test_a_kits_message_reaches_a_process_with_a_token_and_in_no_other_way(node: Node) -> None:
    bind = {"Bind": {"path": "/kit", "authenticated": False, "local_only": False, "cache": False}}
    tell = json.dumps({"Tell": {"to": f"{NODE}@http-server:distro:sys", "body": json.dumps(bind)}})
    token = node.token()
    message = kit_message("web:site:local", tell)
    assert kit_parses(kit_sends(node, message, token)) == ({"Ok": None}, None)
    assert kit_parses(kit_sends(node, kit_message("web:site:local", tell, node=NODE), token))[0] == {"Ok": None}
    bearer = f"authorization: Bearer {token}\r\n"
    assert kit_parses(kit_sends(node, message, None, bearer))[0] == {"Ok": None}
    sent = kit_sends(node, kit_message("web:site:local", tell, seconds=None), token)
    assert sent.startswith(b"HTTP/1.1 200 ")
    cookie = node.signed_in().partition("=")[2]
    for status, answer in (
        (401, kit_sends(node, message, None)),
        (401, kit_sends(node, message, token[:-1] + "x")),
        (401, kit_sends(node, message, cookie)),
        (401, kit_sends(node, message, None, f"cookie: kinode-auth_{NODE}={cookie}\r\n")),
        (403, kit_sends(node, message, token, f"origin: http://{node.home}\r\n")),
        (403, kit_sends(node, message, token, "origin: null\r\n")),
        (403, kit_sends(node, message, token, "sec-fetch-site: none\r\n")),
        (403, kit_sends(node, message, token, "x-forwarded-for: 127.0.0.1\r\n")),
        (403, kit_sends(node, message, token, host=DOMAIN)),
        (403, kit_sends(node, message, token, host=node.web)),
        (421, kit_sends(node, message, token, host="evil.example")),
        (400, kit_sends(node, b"{}", token)),
        (400, kit_sends(node, b"[" * 100_000, token)),
        (400, kit_sends(node, kit_message("x", tell), token)),
        (400, kit_sends(node, kit_message("web:site:local", tell, seconds=-1), token)),
        (503, kit_sends(node, kit_message("none:site:local", tell), token)),
    ):
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (status, answer)
    plain = message_as(node, message, token, "text/plain")
    assert plain.status == 415, "which a page could send without asking before"
    nectar("sessions", "revoke", "--all", "--node", NODE, folder=node.network.folder)
    assert kit_sends(node, message, token).startswith(b"HTTP/1.1 401 ")


def message_as(node: Node, message: bytes, token: str, kind: str) -> Answer:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    return node.ask("POST", node.home, "/rpc:distro:sys/message", headers, message)


def kit_starts(node: Node, token: str | None, data: bytes, store: str, publisher: str) -> Any:
    """What a kit's `start-package` is told at the end."""
    package = {"package_name": "sent", "publisher_node": publisher}
    new = json.dumps({"NewPackage": {"package_id": package, "mirror": True}}, separators=(",", ":"))
    answer, _ = kit_parses(kit_sends(node, kit_message(store, new, data=data), token))
    assert answer == {"NewPackageResponse": "Success"}
    install = {"package_id": package, "version_hash": hashlib.sha256(data).hexdigest(), "metadata": {"name": "sent"}}
    order = json.dumps({"Install": install}, separators=(",", ":"))
    return kit_parses(kit_sends(node, kit_message(store, order), token))[0]


@pytest.mark.parametrize("store", ["main:app_store:sys", "main:app-store:sys"])
def test_a_kit_starts_a_package_and_a_new_version_of_it(node: Node, store: str) -> None:
    token, publisher = node.token(), f"{store[8:11].replace('_', '-').strip('-')}.os"
    assert kit_starts(node, token, zipped_site(publisher), store, publisher) == {"InstallResponse": "Success"}
    tell = kit_message(f"web:sent:{publisher}", TELL)
    assert kit_parses(kit_sends(node, tell, token))[0] is not None, "it runs"
    assert kit_starts(node, token, zipped_site(publisher, "vfs:distro:sys"), store, publisher) == {
        "InstallResponse": "Success"
    }


def test_a_package_that_asks_for_power_is_started_by_its_user_first(node: Node) -> None:
    data, token, store = zipped_site("power.os", "kernel:distro:sys"), node.token(), "main:app_store:sys"
    refused = kit_starts(node, token, data, store, "power.os")
    assert refused["InstallResponse"] == "Failure"
    assert "--grant kernel" in refused["error"]
    path = next(word.strip("`") for word in refused["error"].split() if word.endswith(".zip"))
    assert not Path(path).is_relative_to(node.network.place(NODE).uploads), "which is emptied when the node boots"
    started = nectar("start", path, "--node", NODE, "--grant", "kernel", folder=node.network.folder)
    assert started.code == 0, started
    assert kit_starts(node, token, data, store, "power.os") == {"InstallResponse": "Success"}, "that was agreed to"


def test_what_is_no_package_is_refused_in_a_sentence(node: Node) -> None:
    token, store = node.token(), "main:app_store:sys"
    assert "is not a zip" in kit_starts(node, token, b"nonsense", store, "bad.os")["error"]
    assert "The zip holds sent:a.os" in kit_starts(node, token, zipped_site("a.os"), store, "b.os")["error"]
    order = json.dumps({"Install": {"package_name": "none", "publisher_node": "a.os"}})
    early = kit_parses(kit_sends(node, kit_message(store, order), token))[0]
    assert (early["InstallResponse"], "send NewPackage first" in early["error"]) == ("Failure", True)
    other = json.dumps({"Uninstall": {"package_name": "none", "publisher_node": "a.os"}})
    assert "no app store" in kit_parses(kit_sends(node, kit_message(store, other), token))[0]["Err"]


def test_a_node_that_is_open_for_programs_takes_messages_without_a_token(network: LocalTestnet) -> None:
    node = Node(network, OPEN)
    assert kit_parses(kit_sends(node, kit_message("web:site:local", TELL), None))[0] is not None
    page = kit_sends(node, kit_message("web:site:local", TELL), None, "origin: null\r\n")
    assert page.startswith(b"HTTP/1.1 403 ")
