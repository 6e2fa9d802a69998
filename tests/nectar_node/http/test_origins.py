"""Which origin is whose, and what a browser says of where a request comes from."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import ProcessId
from nectar_node.http.origins import (
    is_foreign,
    is_navigation,
    is_untold,
    label_of,
    place_untrusted,
    process_of,
    serves,
)

NAMES = st.text("abxn019-_.", min_size=1, max_size=12)
LABELS = st.from_regex(r"[abxn09](?:[abxn09-]{0,4}[abxn09])?", fullmatch=True)
IDS = st.builds(ProcessId, NAMES, NAMES, st.lists(LABELS, min_size=1, max_size=2).map(".".join))


@pytest.mark.parametrize(
    ("process", "label"),
    [
        ("chess:chess:sys", "chess--chess--sys"),
        ("my-chat:my-chat:template.os", "my-chat--my-chat--template-1os"),
        ("http_server:distro:sys", "http-2server--distro--sys"),
        ("xn:foo:sys", "e-9xn--foo--sys"),
        (".a:-b:c", "e-9-1a---0b--c"),
        ("e-9:a:b", "e-09--a--b"),
    ],
)
def test_a_process_is_served_under_a_label_that_reads_like_its_id(process: str, label: str) -> None:
    assert label_of(ProcessId.parse(process)) == label
    assert process_of(label) == ProcessId.parse(process)


@given(IDS, IDS)
def test_no_two_processes_have_the_same_label_unless_they_share_a_package(one: ProcessId, other: ProcessId) -> None:
    label = label_of(one)
    assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", label), label
    assert not label.startswith("xn--"), "browsers take it for an international name"
    assert process_of(label) in (one, None)
    assert serves(label, one)
    assert serves(label, other) == (one.package_id == other.package_id)
    assert one.package_id == other.package_id or label_of(other) != label


@given(st.text("ab-0129e", max_size=20))
def test_what_is_not_written_as_the_node_would_is_no_label(label: str) -> None:
    process = process_of(label)
    assert process is None or label_of(process) == label


def test_an_id_that_is_too_long_for_a_label_has_a_digest_of_its_package() -> None:
    one, other = (ProcessId(name * 30, "b" * 40, "some-user.os") for name in "ac")
    label = label_of(one)
    assert (len(label), label[:3]) == (43, "e-8")
    assert (label_of(other), serves(label, other), process_of(label)) == (label, True, None)
    assert not serves(label, ProcessId("a" * 30, "b" * 41, "some-user.os"))


@pytest.mark.parametrize(
    ("host", "name", "port", "label"),
    [
        ("localhost:8080", "localhost", ":8080", None),
        ("LOCALHOST.", "localhost", "", None),
        ("chess--chess--sys.localhost:80", "localhost", ":80", "chess--chess--sys"),
        ("x.node.example.org", "node.example.org", "", "x"),
        ("node.example.org:1", "node.example.org", ":1", None),
    ],
)
def test_a_host_header_names_the_node_or_a_package_on_it(host: str, name: str, port: str, label: str | None) -> None:
    place = place_untrusted(host, {"node.example.org"})
    assert place is not None
    assert (place.name, place.port, place.label, place.has_labels) == (name, port, label, True)
    assert place.at("p") == f"p.{name}{port}"


def test_an_address_has_no_names_below_it() -> None:
    for host in ("127.0.0.1:8080", "127.3.2.1", "[::1]:8080"):
        place = place_untrusted(host, ())
        assert place is not None
        assert (place.label, place.has_labels) == (None, False)
    assert place_untrusted("192.0.2.1", ()) is None
    assert place_untrusted("192.0.2.1", {"192.0.2.1"}) is not None
    assert place_untrusted("192.0.2.1:5", {"0.0.0.0"}) is not None, "listening everywhere"


@pytest.mark.parametrize(
    "host",
    [
        *("", ".", "evil.example", "evil.example:8080", "localhost:x", "localhost:", "a.b.localhost", ".localhost"),
        *(
            "evillocalhost",
            "localhost.evil.example",
            "192.0.2.1",
            "x.127.0.0.1",
            "a@localhost",
            "localhost/",
            "ü.localhost",
        ),
        *("node.example.org.evil.example", "example.org", "[::1", "localhost:80:80", "a b.localhost", "%6c.localhost"),
    ],
)
def test_a_name_that_the_node_does_not_have_is_not_its_name(host: str) -> None:
    assert place_untrusted(host, {"node.example.org"}) is None


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "http://a.localhost:8080"}, False),
        ({"origin": "http://localhost:8080"}, True),
        ({"origin": "http://b.localhost:8080"}, True),
        ({"origin": "http://a.localhost:8081"}, True),
        ({"origin": "https://a.localhost:8080"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://a.localhost:8080", "sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
    ],
)
def test_a_page_of_another_origin_is_told_by_what_the_browser_says(headers: dict[str, str], foreign: bool) -> None:
    assert is_foreign("GET", headers, "a.localhost:8080", secure=False) == foreign


@pytest.mark.parametrize(
    ("method", "told", "foreign"),
    [
        ("GET", {"referer": "http://a.one.lan/page"}, False),
        ("GET", {"referer": "http://b.one.lan/page", "accept": "text/html"}, True),
        ("GET", {"referer": "http://a.one.lan.evil.example/"}, True),
        ("GET", {"referer": "https://a.one.lan/page"}, True),
        ("GET", {"accept": "text/html"}, False),
        ("GET", {"accept": "image/*"}, True),
        ("HEAD", {}, True),
        ("POST", {"origin": "http://a.one.lan"}, False),
        ("POST", {"referer": "http://a.one.lan/page"}, True),
        ("DELETE", {}, True),
    ],
)
def test_a_browser_that_sends_no_fetch_metadata_tells_by_origin_and_referer(
    method: str, told: dict[str, str], foreign: bool
) -> None:
    assert is_foreign(method, {"user-agent": "Mozilla/5.0", **told}, "a.one.lan", secure=False) == foreign


def test_what_a_browser_opens_is_told_from_what_it_may_show_in_a_frame_by_what_leads_there() -> None:
    browser = {"user-agent": "Mozilla/5.0", "accept": "text/html"}
    for told, untold in (
        ({}, True),
        ({"referer": "http://b.one.lan/"}, True),
        ({"referer": "http://a.one.lan/"}, False),
        ({"sec-fetch-dest": "document"}, False),
        ({"origin": "http://a.one.lan"}, False),
    ):
        assert is_untold("GET", browser | told, "a.one.lan", secure=False) == untold, told
    assert not is_untold("GET", {"accept": "text/html"}, "a.one.lan", secure=False), "a program"
    assert not is_untold("POST", browser, "a.one.lan", secure=False)


def test_a_frame_or_a_part_of_a_page_is_no_navigation() -> None:
    assert is_navigation({"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"})
    assert not is_navigation({"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"})
    assert not is_navigation({"sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "accept": "text/html"})
    assert is_navigation({"accept": "text/html,*/*"})
    assert not is_navigation({"accept": "*/*"})
