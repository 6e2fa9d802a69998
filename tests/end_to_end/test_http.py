"""A browser reaches a process: real nodes as processes of their own, real guests, real sockets."""

from __future__ import annotations

import http.client
import json
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.nectar_node.cli.terminal import ROOT, read_until
from tests.waiting import until
from tests.web_site import EARLY, LATE, SITE, tell_to_bind, write_site

NODE = "web.nec"
MOVIE = bytes(range(256)) * 65_536


class Browser:
    """One node's HTTP server, as browsers see it, and what its process is told to bind."""

    def __init__(self, network: LocalTestnet, name: str) -> None:
        self.network = network
        self.name = name

    @property
    def url(self) -> str:
        return str(self.network.status(self.name)["http"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def bind(self, path: str, server: str = LATE, text: str | None = None, **flags: bool | str) -> Any:
        tell = tell_to_bind(f"{self.name}@{server}", path, text, **flags)
        answer = self.network.message(self.name, SITE, tell)
        return json.loads(answer["body"]) if "body" in answer else answer

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = self.connect()
        try:
            connection.request(method, f"/web:site:local{path}", body, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    folder = tmp_path_factory.mktemp("http")
    site = write_site(folder / "site")
    (site / "movie.webm").write_bytes(MOVIE)
    with LocalTestnet(folder / "testnet") as network:
        network.boot({NODE: BootOptions(packages=(site,), http=(LOOPBACK, 0))})
        yield network


@pytest.fixture
def browser(network: LocalTestnet) -> Browser:
    return Browser(network, NODE)


@pytest.mark.parametrize("server", [EARLY, LATE])
def test_a_browser_reaches_a_process_under_the_name_of_either_generation(browser: Browser, server: str) -> None:
    assert browser.bind("/games/:id", server) == {"Ok": None}
    status, headers, body = browser.ask("GET", "/games/7?x=1", headers={"Accept": "text/plain"})
    assert (status, headers["content-type"]) == (200, "text/plain")
    source, _, seen = body.decode().partition(" ")
    assert f"{source}:distro:sys" == server
    told = json.loads(seen)
    assert told["url"] == f"http://{LOOPBACK}:{browser.port}/web:site:local/games/7"
    assert (told["method"], told["url_params"], told["query_params"]) == ("GET", {"id": "7"}, {"x": "1"})
    assert told["headers"]["accept"] == "text/plain"


def test_a_large_body_goes_to_the_process_and_back(browser: Browser) -> None:
    browser.bind("/upload")
    sent = bytes(range(256)) * 16_384
    status, headers, body = browser.ask("POST", "/upload", sent)
    assert (status, headers["x-made"], body == sent) == (201, "yes", True)


def test_a_cached_page_a_range_of_it_and_that_it_has_not_changed(browser: Browser) -> None:
    browser.bind("/page", text="0123456789")
    status, headers, body = browser.ask("GET", "/page")
    assert (status, headers["content-type"], body) == (200, "text/html", b"0123456789")
    assert browser.ask("GET", "/page", headers={"Range": "bytes=2-3"})[::2] == (206, b"23")
    assert browser.ask("GET", "/page", headers={"If-None-Match": headers["etag"]})[::2] == (304, b"")
    assert browser.ask("HEAD", "/page")[1]["content-length"] == "10"


def test_a_folder_of_the_package_is_served_from_the_disk(browser: Browser) -> None:
    assert browser.bind("/films", folder="/site:local/pkg") == {"Ok": None}
    status, headers, body = browser.ask("GET", "/films/movie.webm")
    assert (status, headers["content-type"], body == MOVIE) == (200, "video/webm", True)
    status, said, part = browser.ask("GET", "/films/movie.webm", headers={"Range": "bytes=9000000-9999999"})
    assert (status, said["content-range"]) == (206, f"bytes 9000000-9999999/{len(MOVIE)}")
    assert part == MOVIE[9_000_000:10_000_000]
    assert browser.ask("GET", "/films/movie.webm", headers={"If-None-Match": headers["etag"]})[::2] == (304, b"")
    assert browser.ask("HEAD", "/films/movie.webm")[1]["content-length"] == str(len(MOVIE))
    assert browser.ask("GET", "/films/none")[0] == 404


def test_what_goes_wrong_has_a_status_of_its_own(browser: Browser) -> None:
    for path in ("/nonsense", "/end", "/mine", "/secret"):
        bound = browser.bind(path, local_only=path == "/mine", authenticated=path == "/secret")
        assert bound == {"Ok": None}
    assert browser.ask("GET", "/none")[0] == 404
    assert browser.ask("GET", "/nonsense")[0] == 500
    assert browser.ask("GET", "/secret")[0] == 401
    assert browser.ask("GET", "/mine")[0] == 200
    assert browser.ask("GET", "/mine", headers={"X-Forwarded-For": "1.2.3.4"})[0] == 403
    assert browser.ask("GET", "/mine", headers={"Host": "evil.example"})[0] == 421
    assert browser.ask("GET", "/end")[0] == 500
    assert browser.ask("GET", "/mine")[0] == 404, "bindings end with their process"


def test_the_user_opens_a_page_signed_in_and_ends_the_session(browser: Browser) -> None:
    until(lambda: browser.bind("/secret", authenticated=True) == {"Ok": None})
    where = ("--node", NODE, "--dir", str(browser.network.folder))
    opened = nectar("open", "site:local", *where)
    assert opened.out.startswith(f"{browser.url}/login?link="), opened
    link = opened.out.strip().removeprefix(browser.url)
    connection = browser.connect()
    connection.request("GET", link)
    answer = connection.getresponse()
    connection.close()
    assert (answer.status, answer.headers["location"]) == (303, "/web:site:local/")
    cookie = {"Cookie": answer.headers.get_all("set-cookie", [])[1].partition(";")[0]}
    assert browser.ask("GET", "/secret")[0] == 401
    assert browser.ask("GET", "/secret", headers=cookie)[0] == 200
    (session,) = json.loads(nectar("sessions", "list", "--json", *where).out)["sessions"]
    assert session["source"] == LOOPBACK
    assert session["id"] in nectar("sessions", "list", *where).out
    ended = nectar("sessions", "revoke", session["id"], *where)
    assert (ended.code, ended.out) == (0, "1 session has ended.\n")
    assert browser.ask("GET", "/secret", headers=cookie)[0] == 401
    for words in (("sessions", "revoke"), ("open", "nothing:local"), ("open", "x")):
        refused = nectar(*words, *where)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1), refused
    assert nectar("sessions", "revoke", "none", *where).code == 1
    none = nectar("open", "--node", "registrar.nec", "--dir", str(browser.network.folder))
    assert (none.code, none.err) == (1, "registrar.nec serves no browsers: boot it with --http PORT.\n")


_STARTED = """#!{python} -P
import json, pathlib, re, sys, urllib.parse
file = pathlib.Path(urllib.parse.unquote(urllib.parse.urlsplit(sys.argv[1]).path))
link = re.search('href="([^"]*)"', file.read_text())[1].replace("&amp;", "&")
modes = [oct(each.stat().st_mode & 0o777) for each in (file, file.parent)]
pathlib.Path({told!r}).write_text(json.dumps([sys.argv[1:], modes, link]))
"""


def on_a_terminal(browser: Browser, program: str) -> tuple[subprocess.Popen[bytes], int]:
    """`nectar open` where a person is, with that browser; and what the person sees."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"BROWSER": program, "PYTHONPATH": str(ROOT)}
    where = ("--node", NODE, "--dir", str(browser.network.folder))
    words = [sys.executable, "-P", "-m", "nectar_node", "open", *where]
    opening = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    return opening, ours


def test_a_browser_is_started_with_a_private_file_and_not_with_the_link(browser: Browser, tmp_path: Path) -> None:
    program, told = tmp_path / "browser", tmp_path / "told"
    program.write_text(_STARTED.format(python=sys.executable, told=str(told)))
    program.chmod(0o700)
    before = set(browser.network.folder.iterdir())
    opening, terminal = on_a_terminal(browser, str(program))
    with opening, os.fdopen(terminal, "rb", 0):
        shown = read_until(terminal, b"\r\n").decode().strip()
        until(lambda: told.exists() and bool(told.read_text()))
        (address,), modes, link = json.loads(told.read_text())
        assert (address.startswith("file:///"), modes, link) == (True, ["0o600", "0o700"], shown)
        with pytest.raises(subprocess.TimeoutExpired):
            opening.wait(0.3)  # the file stays while the browser may still read it
        connection = browser.connect()
        connection.request("GET", link.removeprefix(browser.url))
        assert connection.getresponse().status == 303
        connection.close()
        assert opening.wait(30) == 0
    assert set(browser.network.folder.iterdir()) == before


def test_without_a_browser_the_link_is_printed_and_nothing_is_left(browser: Browser, tmp_path: Path) -> None:
    before = set(browser.network.folder.iterdir())
    opening, terminal = on_a_terminal(browser, str(tmp_path / "none"))
    with opening, os.fdopen(terminal, "rb", 0):
        assert read_until(terminal, b"\r\n").decode().startswith(f"{browser.url}/login?link=")
        assert opening.wait(30) == 0
    assert set(browser.network.folder.iterdir()) == before


def test_a_page_is_opened_by_its_package_alone_and_what_does_not_run_is_named_with_how_to_start_it(
    browser: Browser,
) -> None:
    where = ("--node", NODE, "--dir", str(browser.network.folder))
    for name in ("site", "site:local", "web:site:local"):
        assert nectar("open", name, *where).out.strip().endswith("&to=%2Fweb%3Asite%3Alocal%2F")
    until(lambda: browser.bind("/secret", authenticated=True) == {"Ok": None})
    assert json.loads(nectar("ps", "web:site:local", "--json", *where).out)["page"] is None
    assert browser.bind("/", cache=False) == {"Ok": None}
    assert json.loads(nectar("ps", "web:site:local", "--json", *where).out)["page"] == "/web:site:local/"
    absent = nectar("open", "web_chat", *where)
    assert absent.err == f"web_chat does not run on {NODE}: start it with `nectar start web_chat --node {NODE}`.\n"
    assert nectar("open", "no such", *where).code == 2


def test_many_browsers_at_once_each_get_their_own_answer(browser: Browser) -> None:
    until(lambda: browser.bind("/upload") == {"Ok": None})
    with ThreadPoolExecutor(16) as browsers:
        bodies = [f"{number}".encode() * 500 for number in range(100)]
        answers = list(browsers.map(lambda body: browser.ask("POST", "/upload", body), bodies))
    assert [answer[::2] for answer in answers] == [(201, body) for body in bodies]


def test_a_node_that_goes_down_keeps_no_browser_waiting_and_its_pages_come_back(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site")
    with LocalTestnet(tmp_path / "testnet") as network:
        network.boot({NODE: BootOptions(packages=(site,), http=(LOOPBACK, 0))})
        browser = Browser(network, NODE)
        browser.bind("/never")
        connection = browser.connect()
        connection.request("GET", "/web:site:local/never")
        answers: list[int] = []
        waiting = threading.Thread(target=lambda: answers.append(connection.getresponse().status))
        waiting.start()
        until(lambda: "asked for /never" in network.log(NODE))
        network.stop(NODE)
        waiting.join(20)
        connection.close()
        assert answers == [503]
        network.add(NODE)
        assert browser.bind("/page", text="again") == {"Ok": None}
        assert browser.ask("GET", "/page")[::2] == (200, b"again")
        assert "failed at" not in network.log(NODE)


def test_the_commands_say_where_browsers_go_and_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    folder = ("--dir", str(tmp_path / "net"))
    try:
        up = nectar("testnet", "up", "--nodes", NODE, "--direct", "--http", "--detach", *folder)
        assert up.code == 0, up
        status = json.loads(nectar("testnet", "status", "--json", *folder).out)
        places = {node["name"]: node["http"] for node in status["nodes"]}
        assert places["registrar.nec"] is None
        assert f"Browsers reach {NODE} at {places[NODE]}." in up.out
        assert places[NODE] in nectar("testnet", "status", *folder).out
        assert "http\t127.0.0.1:0" in nectar("config", "list", "--node", NODE, *folder).out
        with socket.create_server((LOOPBACK, 0)) as taken:
            port = taken.getsockname()[1]
            failed = nectar("boot", "two.nec", "--http", str(port), "--detach", *folder)
        assert (failed.code, failed.err.count("\n")) == (1, 1), failed
        assert f"cannot listen on 127.0.0.1:{port}, which is in use" in failed.err
        for words in (("--http", "x"), ("--http", "70000"), ("--http", "1", "--tls", "one"), ("--tls", "a,b")):
            refused = nectar("boot", "two.nec", *words, "--detach", *folder)
            assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1), refused
    finally:
        nectar("testnet", "down", *folder)
