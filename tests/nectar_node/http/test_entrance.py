"""Who may come in, and at which origin: a whole simulated node with a real guest, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from kernel.contract.address import ProcessId
from nectar_node.contract.http import HttpAnswer, HttpGone, HttpRequest
from nectar_node.http.bindings import Access
from nectar_node.http.entrance import Entrance
from nectar_node.http.origins import SANDBOX, OurNames, label_of
from nectar_node.http.requests import HttpRefused, ReadRequest, read_untrusted
from nectar_node.http.sessions import CODE_SECONDS, MAX_CODES, WebSessions
from testnet.sim.programs import Programs
from testnet.sim.simulation import NodeSpec, Simulation
from tests.nectar_node.system.test_http_server import BASE, NODE, Site, site

HOME = "localhost:8080"
WEB, OTHER = "web--site--local.localhost:8080", "web--else--local.localhost:8080"
OPENS = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none"}
PASSWORD = b"correct horse"


@pytest.fixture
def web(tmp_path: Path, nectar_programs: Programs) -> Iterator[Site]:
    with closing(Simulation(1, nectar_programs)) as simulation:
        node = simulation.boot_node(NodeSpec(NODE, (site(tmp_path / "pkg", "web", "other"),), password=PASSWORD))
        simulation.settle()
        yield Site(simulation, node)


def cookie_of(answer: HttpAnswer) -> str:
    told = dict(answer.headers)["set-cookie"]
    assert "; HttpOnly; SameSite=Strict" in told
    assert "domain" not in told.lower(), "it is for one host alone"
    return told.partition(";")[0]


def opens(web: Site, host: str, path: str, **headers: str) -> HttpAnswer:
    """What a browser gets in which a person opens that."""
    return web.browse("GET", path, {**OPENS, "host": host, **headers})


def signed_in(web: Site) -> str:
    """The cookie of the node's own origin."""
    return cookie_of(opens(web, HOME, f"/login?link={web.link()}"))


def led_to(answer: HttpAnswer) -> tuple[str, str]:
    """Where a browser is sent: host, and path with query."""
    assert answer.status in (303, 307), (answer.status, bytes(answer.body))
    url = urlsplit(dict(answer.headers)["location"])
    return url.netloc, f"{url.path}?{url.query}" if url.query else url.path


def entered(web: Site, cookie: str, path: str) -> tuple[str, str]:
    """Where a signed-in browser is led from a path of the node's origin, and the cookie that it gets there."""
    host, onward = led_to(opens(web, HOME, path, cookie=cookie))
    return host, cookie_of(opens(web, host, onward))


def said(answer: HttpAnswer) -> str:
    return bytes(answer.body).decode()


def refusal(entrance: Entrance, read: ReadRequest, access: Access, now: float) -> int | None:
    """The status with which a handshake for a WebSocket is refused; None: it may pass."""
    try:
        entrance.admit_websocket(read, access, now)
    except HttpRefused as refused:
        return refused.status
    return None


# --- origins ----------------------------------------------------------------------------------------------------------


def test_a_browser_is_sent_to_the_origin_of_the_package_and_signed_in_there(web: Site) -> None:
    web.bind("/games", authenticated=True)
    host, onward = led_to(opens(web, HOME, f"{BASE}/games?x=1", cookie=signed_in(web)))
    assert host == WEB
    arrived = opens(web, host, onward)
    assert f'content="0;url={BASE}/games?x=1"' in said(arrived), "a redirect would leave the new cookie out"
    answer = opens(web, host, f"{BASE}/games?x=1", cookie=cookie_of(arrived))
    assert answer.status == 200
    seen = json.loads(said(answer).partition(" ")[2])
    assert seen["url"] == f"http://{WEB}{BASE}/games"
    assert "cookie" not in seen["headers"], "no process sees it"


def test_an_open_page_is_at_the_packages_origin_for_who_is_not_signed_in_too(web: Site) -> None:
    web.bind("/games")
    assert led_to(opens(web, HOME, f"{BASE}/games?a=b")) == (WEB, f"{BASE}/games?a=b")
    assert opens(web, WEB, f"{BASE}/games").status == 200
    part = web.browse("GET", f"{BASE}/games", {"host": HOME, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"})
    assert (part.status, led_to(part)) == (307, (WEB, f"{BASE}/games")), "a picture, without a code"


def test_all_processes_of_a_package_are_served_at_the_origin_of_each_and_no_others(web: Site) -> None:
    web.bind("/games")
    for host, status in ((WEB, 200), ("other--site--local.localhost:8080", 200), (OTHER, 404)):
        assert opens(web, host, f"{BASE}/games").status == status, host
    assert opens(web, WEB, "/").status == 303
    assert led_to(opens(web, WEB, "/"))[1] == "/web:site:local/"
    assert opens(web, WEB, "/assets/x.js").status == 404


def test_the_homepage_is_at_the_root_of_its_own_origin_and_the_nodes_page_at_the_bare_one() -> None:
    entrance = Entrance(NODE, OurNames(), WebSessions(lambda: 1), has_password=False)

    def whom(host: str, path: str) -> object:
        return entrance.whom(
            read_untrusted(HttpRequest(0, "GET", path, "", (("host", host),), b"", ("127.0.0.1", 1)), OurNames())
        )

    homepage = ProcessId("homepage", "homepage", "sys")
    for path in ("/", "/apps", "/homepage:homepage:sys/apps"):
        assert whom("homepage--homepage--sys.localhost", path) == homepage
    assert whom(HOME, "/") is whom(HOME, "/assets/x.js") is whom("127.0.0.1", "/api/ps") is None


def test_a_program_that_is_no_browser_is_served_at_the_bare_origin_under_a_policy_that_makes_it_harmless(
    web: Site,
) -> None:
    web.bind("/games", authenticated=True)
    cookie = signed_in(web)
    answer = web.get(f"{BASE}/games", host=HOME, cookie=cookie)
    assert (answer.status, ("content-security-policy", SANDBOX) in answer.headers) == (200, True)
    web.cache("/page", "<script></script>")
    assert ("content-security-policy", SANDBOX) in web.get(f"{BASE}/page", host=HOME).headers
    named = web.get(f"{BASE}/games", host=HOME, cookie=cookie, **{"user-agent": "Mozilla/5.0 (X11)"})
    assert named.status == 307, "who says that it is a browser is one"
    at_home = web.get(f"{BASE}/page", host=WEB)
    assert ("content-security-policy", SANDBOX) not in at_home.headers


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:8080"])
def test_below_an_address_pages_are_shown_in_nobodys_origin_and_those_of_the_user_not_at_all(
    web: Site, host: str
) -> None:
    web.bind("/open")
    web.bind("/mine", authenticated=True)
    answer = opens(web, host, f"{BASE}/open")
    assert (answer.status, ("content-security-policy", SANDBOX) in answer.headers) == (200, True)
    cookie = cookie_of(opens(web, host, f"/login?link={web.link()}"))
    refused = opens(web, host, f"{BASE}/mine", cookie=cookie)
    assert (refused.status, f"open http://localhost:8080{BASE}/mine" in said(refused)) == (403, True)
    part = {"host": host, "sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}
    assert web.browse("GET", f"{BASE}/open", part).status == 403, "no script of a process in the node's own page"


def test_what_is_bound_securely_is_served_at_its_own_origin_to_who_is_signed_in_there(web: Site) -> None:
    assert web.tell({"SecureBind": {"path": "/x"}}) == {"Ok": None}
    cookie = signed_in(web)
    program = web.get(f"{BASE}/x", host=HOME, cookie=cookie)
    assert (program.status, f"served at http://{WEB}{BASE}/x alone" in said(program)) == (403, True)
    assert opens(web, WEB, f"{BASE}/x").status == 401
    assert opens(web, WEB, f"{BASE}/x", cookie=cookie).status == 401, "the node's own cookie is none there"
    host, own = entered(web, cookie, f"{BASE}/x")
    assert (host, opens(web, host, f"{BASE}/x", cookie=own).status) == (WEB, 200)


def test_the_cookie_of_one_origin_opens_no_other(web: Site) -> None:
    web.bind("/x", authenticated=True)
    _, own = entered(web, signed_in(web), f"{BASE}/x")
    other = "other--site--local.localhost:8080"
    for host in (HOME, other, "127.0.0.1:8080"):
        assert web.get(f"{BASE}/x", host=host, cookie=own).status == 401, host
    assert web.get(f"{BASE}/x", host=WEB, cookie=own).status == 200
    tossed = f"kinode-auth_{NODE}=nonsense; {own}"
    assert web.get(f"{BASE}/x", host=WEB, cookie=tossed).status == 200, "one from a host beside it does not shadow it"


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("HEAD", {}),
        ("GET", {"sec-purpose": "prefetch"}),
        ("GET", {"sec-purpose": "prefetch;prerender"}),
        ("GET", {"purpose": "prefetch"}),
        ("GET", {"x-moz": "prefetch"}),
        ("GET", {"x-purpose": "preview"}),
    ],
)
def test_who_only_looks_at_a_link_or_fetches_it_ahead_does_not_use_it_up(
    web: Site, method: str, told: dict[str, str]
) -> None:
    link = f"/login?link={web.link()}"
    looked = web.browse(method, link, {**OPENS, "host": HOME, **told})
    assert "set-cookie" not in dict(looked.headers)
    assert looked.status == (303 if method == "HEAD" else 503)
    assert cookie_of(opens(web, HOME, link)), "it is as good as before"
    assert opens(web, HOME, link).status == 401


def test_a_link_that_a_page_or_file_leads_to_goes_on_by_a_page_of_the_nodes(web: Site) -> None:
    link = f"/login?link={web.link()}&to=%2Fx%3Fa%3D%22"
    arrived = opens(web, HOME, link, **{"sec-fetch-site": "cross-site"})
    assert cookie_of(arrived)
    assert (arrived.status, '<a rel=next href="/x?a=&quot;">' in said(arrived)) == (200, True), (
        "a redirect would not do"
    )
    unsaid = {"host": HOME, "user-agent": "Mozilla/5.0", "accept": "text/html"}
    assert web.browse("GET", f"/login?link={web.link()}", unsaid).status == 200


# --- browsers that do not say which page is behind a request ----------------------------------------------------------


def test_without_fetch_metadata_a_package_can_only_make_a_browser_open_pages_of_others_in_a_window(web: Site) -> None:
    web.bind("/mine", authenticated=True)
    host, own = entered(web, signed_in(web), f"{BASE}/mine")
    browser = {"host": host, "cookie": own, "user-agent": "Mozilla/5.0"}
    text, picture, inner = {"accept": "text/html"}, {"accept": "image/*"}, {"referer": f"http://{host}{BASE}/"}
    outer = {"referer": f"http://{OTHER}/"}
    for told in (inner, text | inner, picture | inner):
        assert web.browse("GET", f"{BASE}/mine", browser | told).status == 200, "the page's own parts"
    for told in (picture, picture | outer, outer, {}):
        assert web.browse("GET", f"{BASE}/mine", browser | told).status == 403, told
    for method in ("POST", "DELETE"):
        assert web.browse(method, f"{BASE}/mine", browser | inner).status == 403, "these have an Origin"
        assert web.browse(method, f"{BASE}/mine", browser | {"origin": f"http://{host}"}).status == 200
    for told in (text, text | outer):
        opened = web.browse("GET", f"{BASE}/mine?a=%22%3E", browser | told)
        assert f'<a rel=next href="{BASE}/mine?a=%22%3E">' in said(opened), "which no frame shows"
        assert "frame-ancestors 'none'" in dict(opened.headers)["content-security-policy"]


def test_without_fetch_metadata_pages_that_are_open_to_all_stay_so(web: Site) -> None:
    web.bind("/open")
    for told in ({"accept": "text/html"}, {"accept": "image/*"}, {"referer": f"http://{OTHER}/"}):
        answer = web.browse("GET", f"{BASE}/open", {"host": WEB, "user-agent": "Mozilla/5.0", **told})
        assert bytes(answer.body).startswith(b"http-server "), told


# --- codes ------------------------------------------------------------------------------------------------------------


def test_a_code_signs_in_once_at_one_origin_within_its_time(web: Site) -> None:
    web.bind("/x", authenticated=True)
    cookie = signed_in(web)

    def code() -> str:
        return led_to(opens(web, HOME, f"{BASE}/x", cookie=cookie))[1]

    onward = code()
    assert opens(web, WEB, onward).status == 200
    assert opens(web, WEB, onward).status == 401, "once"
    onward = code()
    assert opens(web, OTHER, onward).status == 401, "nowhere else"
    assert opens(web, WEB, onward).status == 401, "and who has tried has used it up"
    onward = code()
    web.simulation.rest(CODE_SECONDS + 1)
    assert opens(web, WEB, onward).status == 401, "in time"
    onward = code()
    web.node.core.sessions.revoke(web.node.core.sessions.all(web.simulation.now)[0].id)
    assert opens(web, WEB, onward).status == 401, "as long as its session goes on"


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_a_page_of_another_origin_gets_no_code_for_its_visitor(web: Site, site: str) -> None:
    web.bind("/x", authenticated=True)
    web.bind("/open")
    cookie = signed_in(web)
    asked = opens(web, HOME, f"{BASE}/x", cookie=cookie, **{"sec-fetch-site": site})
    assert (asked.status, "Go on to web:site:local?" in said(asked)) == (401, True)
    assert led_to(opens(web, HOME, f"{BASE}/open", cookie=cookie, **{"sec-fetch-site": site}))[1] == f"{BASE}/open"


def test_codes_are_bounded_and_lead_nowhere_else(web: Site) -> None:
    sessions = web.node.core.sessions
    cookie = signed_in(web).partition("=")[2]
    codes = [sessions.make_code(cookie, "web--site--local", 0.0) or "" for _ in range(MAX_CODES + 1)]
    assert sessions.use_code(codes[0], "web--site--local", 1.0) is None
    arrived = opens(web, WEB, f"/login?code={codes[1]}&to=//evil.example")
    assert (arrived.status, 'content="0;url=/"' in said(arrived)) == (200, True)


# --- pages of others --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["authenticated", "local_only"])
def test_a_page_of_another_site_changes_nothing_where_not_all_may_come_in(web: Site, flag: str) -> None:
    web.bind("/x", authenticated=True)
    _, cookie = entered(web, signed_in(web), f"{BASE}/x")
    assert web.tell({"Bind": {"path": "/x", flag: True}}) == {"Ok": None}
    for sent, status in (
        ({"origin": f"http://{WEB}"}, 200),
        ({"origin": f"http://{HOME}"}, 403),
        ({"origin": "http://web--site--local.localhost:81"}, 403),
        ({"origin": f"https://{WEB}"}, 403),
        ({"origin": "http://other--site--local.localhost:8080"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({}, 200),
    ):
        for method in ("POST", "GET", "DELETE"):
            asked = web.browse(method, f"{BASE}/x", {"host": WEB, "cookie": cookie, **sent})
            assert asked.status == status, (method, sent)
    framed = {**OPENS, "sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe", "host": WEB, "cookie": cookie}
    assert web.browse("GET", f"{BASE}/x", framed).status == 403
    assert opens(web, WEB, f"{BASE}/x", cookie=cookie, **{"sec-fetch-site": "cross-site"}).status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"host": WEB, "origin": f"http://{WEB}"}, None),
        ({"host": WEB, "origin": f"http://{HOME}"}, 403),
        ({"host": WEB, "origin": "http://evil.example"}, 403),
        ({"host": WEB, "origin": "null"}, 403),
        ({"host": WEB, "sec-fetch-site": "cross-site"}, 403),
        ({"host": HOME, "origin": f"http://{HOME}"}, 403),
        ({"host": HOME}, None),
        ({"host": "127.0.0.1:1"}, None),
        ({"host": "127.0.0.1:1", "origin": "null"}, 403),
    ],
)
def test_no_page_of_another_origin_opens_a_websocket(sent: dict[str, str], status: int | None) -> None:
    entrance = Entrance(NODE, OurNames(), WebSessions(lambda: 1), has_password=False)
    request = HttpRequest(0, "GET", f"{BASE}/chat", "", tuple(sent.items()), b"", ("127.0.0.1", 1))
    access = Access(ProcessId("web", "site", "local"), authenticated=False, local_only=False)
    assert refusal(entrance, read_untrusted(request, OurNames()), access, 0.0) == status


def test_a_websocket_for_the_user_wants_the_cookie_of_its_origin(web: Site) -> None:
    web.bind("/x", authenticated=True)
    home = signed_in(web)
    _, own = entered(web, home, f"{BASE}/x")
    entrance = Entrance(NODE, OurNames(), web.node.core.sessions, has_password=False)
    access = Access(ProcessId("web", "site", "local"), authenticated=True, local_only=False)
    for cookie, enters in ((own, True), (home, False), ("", False)):
        headers = (("host", WEB), ("origin", f"http://{WEB}"), ("cookie", cookie))
        read = read_untrusted(HttpRequest(0, "GET", BASE, "", headers, b"", ("127.0.0.1", 1)), OurNames())
        assert refusal(entrance, read, access, web.simulation.now) == (None if enters else 401)


# --- a domain of the node's own ---------------------------------------------------------------------------------------


def test_what_comes_to_a_proxied_name_came_by_tls_and_is_never_local() -> None:
    names = OurNames(frozenset({"192.0.2.1"}), frozenset({"example.org"}))
    process = ProcessId("web", "site", "local")

    def read(host: str, **headers: str) -> tuple[bool, bool, bool]:
        told = (("host", host), *headers.items())
        found = read_untrusted(HttpRequest(0, "POST", BASE, "", told, b"", ("127.0.0.1", 1)), names)
        return found.secure, found.is_local, found.is_foreign

    assert read("example.org", origin="https://example.org") == (True, False, False)
    assert read(f"{label_of(process)}.example.org", origin="https://example.org") == (True, False, True)
    assert read("example.org", origin="http://example.org") == (True, False, True)
    assert read("localhost") == (False, True, False)


def test_a_name_is_answered_to_pages_that_ask_who_serves_them(web: Site) -> None:
    assert said(opens(web, WEB, "/our")) == NODE
    assert said(opens(web, WEB, "/our.js")) == f'window.our = {{}}; window.our.node = "{NODE}";\n'


# --- the password -----------------------------------------------------------------------------------------------------


def give(web: Site, password: bytes, to: str = "/", source: str = "127.0.0.1", **headers: str) -> HttpAnswer:
    """What a browser gets that sends the form."""
    form = f"password={quote(password)}&to={quote(to, safe='')}".encode()
    sent = {"host": HOME, "origin": f"http://{HOME}", "content-type": "application/x-www-form-urlencoded", **headers}
    return web.browse("POST", "/login", sent, form, (source, 1))


def test_a_page_of_the_users_asks_for_the_password_and_leads_back(web: Site) -> None:
    web.bind("/mine", authenticated=True)
    asked = opens(web, HOME, f"{BASE}/mine?a=b&c=d")
    assert asked.status == 401
    assert f'name=to value="{BASE}/mine?a=b&amp;c=d"' in said(asked)
    policy = dict(asked.headers)["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    answer = give(web, PASSWORD, f"{BASE}/mine?a=b&c=d")
    assert led_to(answer) == ("", f"{BASE}/mine?a=b&c=d")
    host, own = entered(web, cookie_of(answer), f"{BASE}/mine")
    assert opens(web, host, f"{BASE}/mine", cookie=own).status == 200
    again = opens(web, HOME, "/login?to=%2Fx", cookie=cookie_of(answer))
    assert led_to(again) == ("", "/x"), "who is signed in is not asked again"


def test_the_password_is_asked_for_at_no_packages_origin(web: Site) -> None:
    web.bind("/mine", authenticated=True)
    asked = opens(web, WEB, f"{BASE}/mine")
    assert (asked.status, f'href="http://{HOME}{BASE}/mine"' in said(asked)) == (401, True)
    assert "<form" not in said(asked)
    assert give(web, PASSWORD, host=WEB, origin=f"http://{WEB}").status == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": f"http://{WEB}"},
        {"origin": "null"},
        {"content-type": "text/plain"},
    ],
)
def test_no_other_page_signs_its_visitor_in(web: Site, headers: dict[str, str]) -> None:
    answer = give(web, PASSWORD, **headers)
    assert answer.status in (400, 403)
    assert "set-cookie" not in dict(answer.headers)


def test_a_password_does_not_cross_a_network_in_the_clear(web: Site) -> None:
    for answer in (give(web, PASSWORD, source="192.0.2.7"), give(web, PASSWORD, **{"x-forwarded-for": "192.0.2.7"})):
        assert (answer.status, "in the clear" in said(answer), "<form" in said(answer)) == (403, True, False)


def test_a_wrong_password_is_asked_for_again_and_later_each_time(web: Site) -> None:
    began = web.simulation.now
    statuses = [give(web, b"wrong").status for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert web.simulation.now - began == pytest.approx(3 * 0.75), "a guess that comes too early is not looked at"
    web.simulation.rest(1.1)
    assert give(web, b"wrong").status == 401
    web.simulation.rest(1.1)
    early = give(web, PASSWORD)
    assert (early.status, dict(early.headers)["retry-after"]) == (429, "1")
    web.simulation.rest(1.0)
    assert give(web, PASSWORD).status == 303, "and the right one begins anew"
    assert give(web, b"wrong").status == 401


def test_one_password_is_checked_at_a_time(web: Site) -> None:
    form = b"password=wrong"
    headers = (("host", HOME), ("content-type", "application/x-www-form-urlencoded"))
    first = web.node.door.request("POST", "/login", headers, form, ("127.0.0.1", 1))
    assert give(web, PASSWORD).status == 429
    web.simulation.rest(1)
    assert web.node.door.answers[first].status == 401
    assert give(web, PASSWORD).status == 303


def test_a_browser_that_goes_away_during_the_check_keeps_nobody_out(web: Site) -> None:
    headers = (("host", HOME), ("content-type", "application/x-www-form-urlencoded"))
    first = web.node.door.request("POST", "/login", headers, b"password=x", ("127.0.0.1", 1))
    web.simulation.rest(0.1)
    web.node.core.http(HttpGone(first), web.simulation.now)
    web.simulation.rest(1)
    assert first not in web.node.door.answers
    assert give(web, PASSWORD).status == 303


def test_a_node_without_a_password_says_how_to_get_in(tmp_path: Path, nectar_programs: Programs) -> None:
    with closing(Simulation(1, nectar_programs)) as simulation:
        node = simulation.boot_node(NodeSpec(NODE, ()))
        simulation.settle()
        web = Site(simulation, node)
        asked = opens(web, HOME, "/login")
        assert ("<form" in said(asked), "nectar open" in said(asked)) == (False, True)
        assert give(web, b"").status == give(web, b"x").status == 403


def test_signing_out_ends_the_session_at_all_origins_and_only_the_nodes_page_does(web: Site) -> None:
    web.bind("/x", authenticated=True)
    cookie = signed_in(web)
    host, own = entered(web, cookie, f"{BASE}/x")
    assert opens(web, HOME, "/logout", cookie=cookie).status == 200, "a link does not sign out, it asks"
    assert led_to(opens(web, WEB, "/logout", cookie=own)) == (HOME, "/logout")
    foreign = {"host": HOME, "cookie": cookie, "origin": f"http://{WEB}"}
    assert web.browse("POST", "/logout", foreign).status == 403
    assert opens(web, host, f"{BASE}/x", cookie=own).status == 200
    left = web.browse("POST", "/logout", {**foreign, "origin": f"http://{HOME}"})
    assert (left.status, "Max-Age=0" in dict(left.headers)["set-cookie"]) == (303, True)
    assert opens(web, host, f"{BASE}/x", cookie=own).status == 401
    assert not web.node.core.sessions.all(web.simulation.now)
