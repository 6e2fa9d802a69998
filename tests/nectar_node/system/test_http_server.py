"""Processes answer browsers: a whole simulated node with a real guest, in virtual time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kernel.contract.address import ProcessId
from nectar_node.base.system_processes import HOMEPAGE
from nectar_node.contract.http import HttpAnswer, HttpGone
from nectar_node.http.bindings import (
    MAX_CACHED_BYTES_OF_ONE,
    MAX_PARTS_OF_ONE,
    MAX_PATH_CHARACTERS,
    MAX_PATHS_OF_ONE,
    Binding,
    Bindings,
    CannotBind,
)
from nectar_node.http.pages import static_page
from nectar_node.http.sessions import LINK_SECONDS, MAX_LINKS, MAX_SESSIONS, SESSION_SECONDS, WebSessions
from nectar_node.system import http_server
from testnet.model.lab import Level
from testnet.sim.programs import Programs
from testnet.sim.simulation import NodeSpec, SimNode, Simulation
from testnet.testing.networks import open_run
from testnet.testing.package_lab import PackageLab
from tests.web_site import WEB, write_guests

NODE = "a.nec"
BASE = "/web:site:local"
EARLY, LATE = "http_server:distro:sys", "http-server:distro:sys"


def site(folder: Path, *names: str, homepage: bool = False) -> Path:
    """A package whose processes have pages when they are told so, and may speak to the homepage."""
    asks = [EARLY, LATE, *([str(HOMEPAGE)] if homepage else [])]
    return write_guests(folder, WEB.read_bytes(), names or ["web"], asks, on_exit="None")


class Site:
    """A node with the package `site`, and what browsers and the package's processes can do."""

    def __init__(self, simulation: Simulation, node: SimNode) -> None:
        self.simulation = simulation
        self.node = node

    def tell(self, request: object, *, server: str = LATE, process: str = "web", **blob: str) -> Any:
        """What the server answers when a process asks it that."""
        body = {"Tell": {"to": f"{NODE}@{server}", "body": json.dumps(request), **blob}}
        outcome = self.simulation.ask(NODE, f"our@{process}:site:local", body, 20)
        assert outcome.kind == "response", outcome
        return outcome.body

    def bind(self, path: str, *, server: str = LATE, **flags: bool) -> None:
        fields = {"path": path, "authenticated": False, "local_only": False, "cache": False, **flags}
        assert self.tell({"Bind": fields}, server=server) == {"Ok": None}

    def cache(self, path: str, text: str, mime: str = "text/html") -> None:
        fields = {"path": path, "authenticated": False, "local_only": False, "cache": True}
        assert self.tell({"Bind": fields}, mime=mime, blob=text) == {"Ok": None}

    def get(self, path: str, **headers: str) -> HttpAnswer:
        return self.browse("GET", path, headers)

    def browse(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        source: tuple[str, int] = ("127.0.0.1", 40_000),
    ) -> HttpAnswer:
        answer = self.simulation.browse(NODE, method, path, headers or {}, body, source)
        assert answer is not None
        return answer

    def link(self) -> str:
        return self.node.core.sessions.make_link(self.simulation.now)

    def sign_in(self) -> str:
        """The cookie of a new session."""
        told = dict(self.get(f"/login?link={self.link()}").headers)["set-cookie"]
        return told.partition("=")[2].partition(";")[0]

    def seen(self, path: str, **headers: str) -> tuple[str, dict[str, Any]]:
        """What a process was sent for a page: from whom, and what."""
        answer = self.get(path, **headers)
        assert answer.status == 200, bytes(answer.body)
        source, _, text = bytes(answer.body).decode().partition(" ")
        return source, json.loads(text)


@pytest.fixture
def web(tmp_path: Path, nectar_programs: Programs) -> Iterator[Site]:
    with closing(Simulation(1, nectar_programs)) as simulation:
        node = simulation.boot_node(NodeSpec(NODE, (site(tmp_path / "pkg", "web", "other"),)))
        simulation.settle()
        yield Site(simulation, node)


def test_a_process_answers_the_browser_that_asks_for_its_path(web: Site) -> None:
    web.bind("/games/:id")
    source, seen = web.seen("/web:site:local/games/7%20a?x=1&y=%C3%A9+b", accept="*/*")
    assert source == "http-server"
    assert seen == {
        "source_socket_addr": "127.0.0.1:40000",
        "method": "GET",
        "url": "http://localhost/web:site:local/games/7%20a",
        "bound_path": "/web:site:local/games/:id",
        "headers": {"host": "localhost", "accept": "*/*"},
        "url_params": {"id": "7 a"},
        "query_params": {"x": "1", "y": "é b"},
    }


@pytest.mark.parametrize("server", [EARLY, LATE])
def test_a_process_is_called_by_the_name_under_which_it_has_bound(web: Site, server: str) -> None:
    web.bind("page", server=server)
    source, _ = web.seen(f"{BASE}/page")
    assert f"{source}:distro:sys" == server


def test_what_a_browser_sends_and_what_it_gets_are_blobs(web: Site) -> None:
    web.bind("/upload")
    sent = bytes(range(256)) * 1000
    answer = web.browse("POST", f"{BASE}/upload", {"content-type": "a/b"}, sent)
    assert (answer.status, bytes(answer.body)) == (201, sent)
    headers = dict(answer.headers)
    assert headers["x-made"] == "yes"
    assert "connection" not in headers, "that is between the browser and the node"
    assert headers["x-content-type-options"] == "nosniff"
    assert ("content-security-policy", "frame-ancestors 'self'") in answer.headers


def test_a_path_that_nobody_has_bound_goes_to_the_base_path_if_that_is_bound(web: Site) -> None:
    assert web.get(f"{BASE}/what").status == 404
    web.bind("/")
    assert web.seen(f"{BASE}/what/ever")[1]["bound_path"] == "/web:site:local/"
    assert web.get("/other:site:local/what").status == 404
    assert web.get("/").status == 404, "the root belongs to the homepage alone"


def test_a_path_without_parameters_comes_first_then_the_one_with_the_later_parameter(web: Site) -> None:
    for path in ("/:a/:b", "/x/:b", "/:a/y", "/x/y"):
        web.bind(path)
    found = [web.seen(f"{BASE}/{path}")[1]["bound_path"] for path in ("x/y", "x/z", "z/y", "z/z")]
    assert found == [BASE + path for path in ("/x/y", "/x/:b", "/:a/y", "/:a/:b")]


def test_a_page_is_served_without_waking_its_process(web: Site) -> None:
    web.cache("/page.html", "<h1>hello</h1>")
    process = web.node.core.kernel.processes[ProcessId("web", "site", "local")]
    before = process.messages
    answer = web.get(f"{BASE}/page.html")
    assert (answer.status, bytes(answer.body)) == (200, b"<h1>hello</h1>")
    assert dict(answer.headers)["content-type"] == "text/html"
    assert web.browse("HEAD", f"{BASE}/page.html").status == 200
    assert process.messages == before
    assert web.browse("POST", f"{BASE}/page.html").status == 200, "all but GET and HEAD is the process's"
    assert process.messages == before + 1


def test_a_page_that_has_not_changed_is_not_sent_again(web: Site) -> None:
    web.cache("/page", "one")
    etag = dict(web.get(f"{BASE}/page").headers)["etag"]
    same = web.get(f"{BASE}/page", **{"if-none-match": f'"x", W/{etag}'})
    assert (same.status, same.body) == (304, b"")
    web.cache("/page", "two")
    assert web.get(f"{BASE}/page", **{"if-none-match": etag}).body == b"two"


@pytest.mark.parametrize(
    ("asked", "status", "body", "said"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=0-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=5-3", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_range_of_a_page_is_what_was_asked_for(
    web: Site, asked: str, status: int, body: bytes, said: str | None
) -> None:
    web.cache("/page", "0123456789")
    answer = web.get(f"{BASE}/page", range=asked)
    assert (answer.status, bytes(answer.body), dict(answer.headers).get("content-range")) == (status, body, said)


def test_a_process_that_does_not_answer_gets_its_browser_408_after_exactly_its_time(web: Site) -> None:
    web.bind("/never")
    before = web.simulation.now
    assert web.get(f"{BASE}/never").status == 408
    assert web.simulation.now - before == pytest.approx(http_server.ANSWER_SECONDS)


def test_a_process_that_answers_nonsense_gets_its_browser_500_and_the_log_says_why(web: Site) -> None:
    web.bind("/nonsense")
    assert web.get(f"{BASE}/nonsense").status == 500
    assert any("what is no answer" in line for line in web.node.log)


def test_a_process_that_ends_gets_its_browser_500_at_once_and_nothing_is_bound_any_more(web: Site) -> None:
    web.bind("/end")
    before = web.simulation.now
    assert web.get(f"{BASE}/end").status == 500
    assert web.simulation.now == before
    assert web.get(f"{BASE}/end").status == 404


def test_a_path_can_be_unbound_and_bound_again(web: Site) -> None:
    web.cache("/page", "old")
    web.cache("/page/", "new")
    assert web.get(f"{BASE}/page").body == b"new", "the same path, bound twice: the later one holds"
    assert web.tell({"Unbind": {"path": "page"}}) == {"Ok": None}
    assert web.get(f"{BASE}/page").status == 404
    assert web.tell({"Unbind": {"path": "page"}}) == {"Ok": None}


@pytest.mark.parametrize(
    ("request_", "early", "late"),
    [
        ({"Bind": {"path": "/x", "cache": True}}, "NoBlob", "NoBlob"),
        ({"Bind": {}}, "BadRequest", "MalformedRequest"),
        ({"Bind": {"path": 3}}, "BadRequest", "MalformedRequest"),
        ({"Bind": {"path": "/x", "cache": 1}}, "BadRequest", "MalformedRequest"),
        ({"Bind": {"path": "/../x"}}, "PathBindError", "MalformedRequest"),
        ({"Bind": {"path": "/" + "x" * 2000}}, "PathBindError", "MalformedRequest"),
        ({"Unbind": "x"}, "BadRequest", "MalformedRequest"),
        ({"Bake": {"path": "/x"}}, "BadRequest", "MalformedRequest"),
        ({"WebSocketBind": {"authenticated": False}}, "BadRequest", "MalformedRequest"),
        ({"WebSocketBind": {"path": "/x", "extension": 1}}, "BadRequest", "MalformedRequest"),
        ({"WebSocketBind": {"path": "/../x"}}, "PathBindError", "MalformedRequest"),
        ({"WebSocketClose": "x"}, "BadRequest", "MalformedRequest"),
        ({"WebSocketPush": {"channel_id": 1, "message_type": "Text"}}, "WebSocketPushError", "WsChannelNotFound"),
        ({"WebSocketPush": {"channel_id": 1, "message_type": "Song"}}, "BadRequest", "MalformedRequest"),
        ({"WebSocketPush": {"message_type": "Text"}}, "BadRequest", "MalformedRequest"),
        ({"WebSocketExtPushData": {"id": 1}}, "BadRequest", "MalformedRequest"),
        (7, "BadRequest", "MalformedRequest"),
    ],
)
def test_a_refusal_has_the_shape_that_the_packages_of_its_name_can_parse(
    web: Site, request_: object, early: str, late: str
) -> None:
    found = web.tell(request_, server=EARLY)["Err"]
    assert (found if isinstance(found, str) else next(iter(found))) == early
    assert web.tell(request_, server=LATE) == {"Err": late}


@pytest.mark.parametrize("name", ["kinode-auth", "hyperware-auth"])
def test_what_is_for_those_who_have_signed_in_is_for_nobody_else(web: Site, name: str) -> None:
    web.bind("/x", authenticated=True)
    cookie = web.sign_in()
    assert web.get(f"{BASE}/x").status == 401
    assert web.get(f"{BASE}/x", cookie=f"{name}_a.nec={cookie}").status == 200
    for wrong in (f"{name}_b.nec={cookie}", f"{name}_a.nec={cookie[:-1]}", f"{name}_a.nec=", f"x={cookie}"):
        assert web.get(f"{BASE}/x", cookie=wrong).status == 401


def test_a_link_signs_in_once_and_within_its_time(web: Site) -> None:
    link = web.link()
    answer = web.get(f"/login?link={link}&to=%2Fweb%3Asite%3Alocal%2F")
    told = [value for name, value in answer.headers if name == "set-cookie"]
    assert (answer.status, dict(answer.headers)["location"]) == (303, "/web:site:local/")
    assert [each.split("=")[0] for each in told] == ["kinode-auth_a.nec", "hyperware-auth_a.nec"]
    assert all("; HttpOnly; SameSite=Strict" in each for each in told)
    assert web.get(f"/login?link={link}").status == 401, "once"
    late = web.link()
    web.simulation.rest(LINK_SECONDS + 1)
    assert web.get(f"/login?link={late}").status == 401
    assert "set-cookie" not in dict(web.browse("POST", f"/login?link={web.link()}").headers)


def test_who_is_signed_in_gives_commands_which_the_driver_answers(web: Site) -> None:
    """Here the driver is a simulation, which has no control socket and says so."""
    asked = {"content-type": "application/json"}
    assert web.browse("POST", "/api/df", headers=asked, body=b"{}").status == 401
    assert (
        web.browse(
            "POST", "/api/df", headers=asked | {"cookie": f"hyperware-auth_{NODE}={web.sign_in()}"}, body=b"{}"
        ).status
        == 501
    )


@pytest.mark.parametrize("to", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a b", "/a\nb: c"])
def test_a_link_leads_nowhere_else(web: Site, to: str) -> None:
    answer = web.get(f"/login?link={web.link()}&to={quote(to, safe='')}")
    assert (answer.status, dict(answer.headers)["location"]) == (303, "/")


def test_a_session_ends_when_it_is_revoked_and_after_its_time(web: Site) -> None:
    web.bind("/x", authenticated=True)
    sessions = web.node.core.sessions
    first, second = (f"kinode-auth_a.nec={web.sign_in()}" for _ in range(2))
    one, other = sessions.all(web.simulation.now)
    assert one.source == "127.0.0.1"
    assert sessions.revoke(one.id) == 1
    assert [web.get(f"{BASE}/x", cookie=each).status for each in (first, second)] == [401, 200]
    cookie = second.partition("=")[2]
    assert [sessions.holds(cookie, other.began + each) for each in (SESSION_SECONDS - 1, SESSION_SECONDS)] == [
        True,
        False,
    ]
    assert not sessions.all(other.ends), "and it is forgotten then"


def test_sessions_and_links_are_bounded_the_oldest_goes() -> None:
    numbers = count(1)
    sessions = WebSessions(lambda: next(numbers))
    links = [sessions.make_link(0.0) for _ in range(MAX_LINKS + 1)]
    assert sessions.sign_in(links[0], "", 1.0) is None
    cookies = [sessions.sign_in(sessions.make_link(0.0), "", 1.0) for _ in range(MAX_SESSIONS + 1)]
    assert [sessions.holds(each or "", 2.0) for each in (cookies[0], cookies[1], cookies[-1])] == [False, True, True]
    assert sessions.revoke(None) == MAX_SESSIONS
    assert sessions.sign_in(links[-1], "", 1.0) is None, "links too"


def test_the_cookie_of_a_session_is_no_processs_business(web: Site) -> None:
    web.bind("/x", authenticated=True)
    session = f"hyperware-auth_a.nec={web.sign_in()}"
    assert web.seen(f"{BASE}/x", cookie=f"a=1; {session}; b=2")[1]["headers"]["cookie"] == "a=1; b=2"
    assert "cookie" not in web.seen(f"{BASE}/x", cookie=session)[1]["headers"]


def test_a_page_for_the_machine_alone_is_neither_for_others_nor_for_a_proxy(web: Site) -> None:
    web.bind("/x", local_only=True)
    assert web.get(f"{BASE}/x").status == 200
    assert web.browse("GET", f"{BASE}/x", source=("::1", 1)).status == 200
    assert web.browse("GET", f"{BASE}/x", source=("10.1.2.3", 1)).status == 403
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        assert web.get(f"{BASE}/x", **{header: "127.0.0.1"}).status == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("LOCALHOST.", 200),
        ("127.0.0.1:1", 200),
        ("127.1.2.3", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("10.0.0.1", 421),
        ("", 421),
        ("localhost:8080:9", 421),
        ("localhost:x", 421),
        ("evil@localhost", 421),
    ],
)
def test_a_name_that_is_not_ours_is_refused_whatever_its_dns_says(web: Site, host: str, status: int) -> None:
    web.bind("/x")
    assert web.get(f"{BASE}/x", host=host).status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/web:site:local/%2e%2e/x", 400),
        ("/web:site:local/a%00b", 400),
        ("/web:site:local/%ff", 400),
        ("/web:site:local/?a=%ff", 400),
        ("http://localhost/web:site:local/", 400),
        ("/web:site:local/" + "x" * 9000, 414),
        ("/web:site:local/?" + "a&" * 300, 414),
        ("/we%20b:site:local/", 404),
        ("/a:b:c:d/", 404),
    ],
)
def test_a_path_that_no_process_should_see_is_refused(web: Site, path: str, status: int) -> None:
    web.bind("/")
    assert web.get(path).status == status


def test_headers_that_are_none_never_reach_a_process(web: Site) -> None:
    web.bind("/x")
    for name in ("a b", "a:b", "a\r\nb", "é", ""):
        assert web.get(f"{BASE}/x", **{name: "1"}).status == 400
    for value in ("a\r\nb: c", "\x00", "\x7f", "☃"):
        assert web.get(f"{BASE}/x", a=value).status == 400
    assert web.get(f"{BASE}/x", **{f"h{n}": "1" for n in range(200)}).status == 431
    assert web.get(f"{BASE}/x", a="x" * 40_000).status == 431


def test_a_package_has_so_many_requests_under_way_and_others_are_served_meanwhile(web: Site) -> None:
    web.bind("/never")
    headers = (("host", "localhost"),)
    tokens = [
        web.node.door.request("GET", f"{BASE}/never", headers, b"", ("127.0.0.1", 1))
        for _ in range(http_server.MAX_UNDER_WAY_OF_ONE)
    ]
    refused = web.get(f"{BASE}/never")
    assert (refused.status, dict(refused.headers)["retry-after"]) == (503, "1")
    web.simulation.rest(http_server.ANSWER_SECONDS + 1)
    assert {web.node.door.answers[token].status for token in tokens} == {408}
    web.bind("/x")
    assert web.get(f"{BASE}/x").status == 200


def test_a_browser_that_has_gone_gets_no_answer_and_counts_until_its_process_is_done(web: Site) -> None:
    web.bind("/never")
    token = web.node.door.request("GET", f"{BASE}/never", (("host", "localhost"),), b"", ("127.0.0.1", 1))
    web.node.core.http(HttpGone(token), web.simulation.now)
    web.node.go_on()
    web.simulation.rest(http_server.ANSWER_SECONDS + 1)
    assert token not in web.node.door.answers
    assert not web.node.core._http_server._under_way
    assert not web.node.core._http_server._gone
    assert not web.node.core._http_server._count
    assert not web.node.core._http_server._bytes


def test_a_failure_of_our_own_code_is_one_browsers_500(web: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    web.bind("/x")
    web.simulation.contained = []
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise ZeroDivisionError

        broken.setattr("nectar_node.system.http_server.HttpServer._ask", fail)
        assert web.get(f"{BASE}/x").status == 500
    assert web.get(f"{BASE}/x").status == 200
    assert [each.what for each in web.simulation.contained] == [EARLY]


def test_a_process_without_the_capability_binds_nothing(tmp_path: Path, nectar_programs: Programs) -> None:
    folder = site(tmp_path / "pkg")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest[0]["request_capabilities"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with closing(Simulation(1, nectar_programs)) as simulation:
        web = Site(simulation, simulation.boot_node(NodeSpec(NODE, (folder,))))
        simulation.settle()
        assert web.tell({"Bind": {"path": "/x"}}) == "failed"
        assert web.get(f"{BASE}/x").status == 404


def test_paths_and_cached_bytes_of_a_package_are_bounded_and_end_with_its_processes() -> None:
    bindings, one = Bindings(), ProcessId("a", "app", "local")
    other, server = ProcessId("b", "app", "local"), ProcessId("http_server", "distro", "sys")
    page = static_page("a/b", bytes(MAX_CACHED_BYTES_OF_ONE // 2))
    for process in (one, other):
        bindings.bind(Binding(process, server, "/page", False, False, page))
    with pytest.raises(CannotBind, match="cached pages"):
        bindings.bind(Binding(one, server, "/more", False, False, static_page("a/b", b"x")))
    for number in range(MAX_PATHS_OF_ONE - 2):
        bindings.bind(Binding(other, server, f"/{number}", False, False, None))
    with pytest.raises(CannotBind, match="paths"):
        bindings.bind(Binding(one, server, "/more", False, False, None))
    bindings.bind(Binding(one, server, "/page", False, False, None))
    bindings.ended(other)
    assert bindings.find(other, ("3",)) is None
    bindings.bind(Binding(one, server, "/more", False, False, page))


def test_the_paths_with_parameters_of_a_process_have_so_many_parts_and_others_do_not_count() -> None:
    bindings, one, server = Bindings(), ProcessId("a", "app", "local"), ProcessId("http_server", "distro", "sys")

    def bind(path: str) -> None:
        bindings.bind(Binding(one, server, path, False, False, None))

    long = MAX_PATH_CHARACTERS // 2 - 10
    for number in range(MAX_PARTS_OF_ONE // long):
        bind("/".join([f":{number}"] + [":"] * (long - 1)))
    with pytest.raises(CannotBind, match="parts"):
        bind("/".join(["a"] + [":"] * (long - 1)))
    bind("/".join(["a"] * long))
    bind(":0/" + "/".join([":"] * (long - 1)))  # it is bound again
    bindings.unbind(one, "/".join([":0"] + [":"] * (long - 1)))
    bind("/".join(["a"] + [":"] * (long - 1)))
    found = bindings.find(one, ("a", *("b" for _ in range(long - 1))))
    assert found is not None
    assert found[0].path.startswith("a/:")
    bindings.ended(one)
    assert not bindings._patterns


def test_random_requests_of_browsers_are_all_answered_and_leave_nothing(web: Site) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    web.bind("/a/:b")
    web.cache("/page", "0123456789")
    pieces = [
        "/",
        "web:site:local",
        "a",
        "%",
        "%2f",
        "%00",
        "..",
        ":",
        "?",
        "&",
        "=",
        "page",
        "é",
        "\n",
        "\ud800",
        "a" * 99,
    ]
    names = ["host", "range", "if-none-match", "cookie", "x-forwarded-for", "Content-Length", "é", "", "a\n"]
    values = ["localhost", "bytes=1-2", "bytes=" + "9" * 30 + "-", "*", "", "\x00", "é", "☃", "x" * 999]
    for _ in range(300):
        path = "".join(chance.choices(pieces, k=chance.randrange(8)))
        prefix = chance.choice(["", "/", "/web:site:local/", "/web:site:local/a/", "/web:site:local/page"])
        headers = {chance.choice(names): chance.choice(values) for _ in range(chance.randrange(4))}
        answer = web.browse(chance.choice(["GET", "HEAD", "POST", "get", "", "A B"]), prefix + path, headers)
        assert answer.status in (200, 206, 304, 400, 404, 414, 416, 421, 431), f"seed {seed}: {prefix + path!r}"
        for name, value in answer.headers:
            (name + value).encode("latin-1")
    assert not web.node.core.failures.get(EARLY), f"seed {seed}"


def test_a_package_lab_opens_pages_in_virtual_time(tmp_path: Path, nectar_programs: Programs) -> None:
    folder = site(tmp_path / "pkg")
    with open_run(Level.SIMULATION, 3, tmp_path, nectar_programs) as run:
        sim = PackageLab(run, (tmp_path,))
        sim.boot(NODE, packages=[folder])
        sim.ask(NODE, "our@web:site:local", {"Tell": {"to": f"{NODE}@{LATE}", "body": '{"Bind":{"path":"/upload"}}'}})
        answer = sim.post(NODE, f"{BASE}/upload", b"sent")
        assert answer is not None
        assert bytes(answer.body) == b"sent"
        missing = sim.get(NODE, "/")
        assert missing is not None
        assert missing.status == 404
        sim.crash(NODE)
        assert sim.get(NODE, "/") is None


def test_what_is_asked_while_the_node_is_paused_is_answered_when_it_goes_on(web: Site) -> None:
    web.bind("/x")
    web.simulation.pause(NODE)
    web.simulation.at(5.0, lambda: web.simulation.resume(NODE))
    before = web.simulation.now
    assert web.get(f"{BASE}/x").status == 200
    assert web.simulation.now - before == pytest.approx(5.0)
