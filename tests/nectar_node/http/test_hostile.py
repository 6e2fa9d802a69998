"""Requests that no browser and no program would send: each gets an answer of the node's, and opens nothing."""

from __future__ import annotations

import json
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.contract.address import ProcessId
from nectar_node.contract.http import CheckPassword, HttpRequest, StartUpload
from nectar_node.http import rpc
from nectar_node.http.bindings import Access
from nectar_node.http.entrance import Entrance
from nectar_node.http.origins import OurNames, serves
from nectar_node.http.pages import PageAnswer
from nectar_node.http.requests import HttpRefused, read_untrusted
from nectar_node.http.sessions import WebSessions
from nectar_node.http.uploads import Uploads
from tests.seeds import examples

NAMES = OurNames(frozenset({"my.lan"}), frozenset({"example.org"}))
WEB = ProcessId("web", "site", "local")
HOSTS = st.sampled_from(
    [
        *("localhost:8080", "web--site--local.localhost:8080", "x--y--z.localhost", "127.0.0.1", "[::1]:1", "my.lan"),
        *("example.org", "web--site--local.example.org", "evil.example", "localhost.evil.example", "", "localhost\x00"),
        *("homepage--homepage--sys.localhost", "e-8" + "a" * 40 + ".localhost", "xn--a.localhost", "localhost:8080@x"),
    ]
)
PIECES = st.sampled_from(
    [
        *("/", "//", "/login", "/logout", "/our.js", "/web:site:local", "/other:site:local", "/rpc:distro:sys/message"),
        *(
            "/web:else:local",
            "/..",
            "/%2e%2e",
            "%0d%0a",
            "\r\n",
            "?",
            "&",
            "\\",
            "@evil.example",
            "é",
            "%ff",
            "x",
            ":",
            ";",
        ),
    ]
)
QUERIES = st.sampled_from(
    ["", "to=//evil.example", "to=/\\evil&code=x", "link=x&to=%0d%0aa:b", "a=%ff", "to=/x\r\nb:c", "&&"]
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("origin", "cookie", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "user-agent", "accept"),
            *("authorization", "x-forwarded-for", "content-type", "range"),
        ]
    ),
    st.sampled_from(
        [
            *("", "null", "http://localhost:8080", "https://example.org", "same-origin", "cross-site", "navigate"),
            *("document", "Mozilla/5.0", "text/html", "application/json", "application/x-www-form-urlencoded"),
            *(
                "kinode-auth_a.nec=x; kinode-auth_a.nec=",
                "Bearer x",
                "Basic !!",
                "Basic eDp4",
                "\r\nset-cookie: a",
                "☃",
            ),
        ]
    ),
    max_size=6,
)
BODIES = st.one_of(
    st.binary(max_size=60), st.sampled_from([b"password=x&to=//evil", b"password=%ff&to=%0a", b"{}", b"[" * 99])
)


@settings(max_examples=examples(200))
@given(
    st.sampled_from(["GET", "HEAD", "POST", "DELETE", "OPTIONS", "get", ""]),
    HOSTS,
    st.lists(PIECES, min_size=1, max_size=4).map("".join),
    QUERIES,
    HEADERS,
    BODIES,
    st.sampled_from(["127.0.0.1", "::1", "192.0.2.1", "fe80::1%eth0"]),
)
def test_nothing_opens_what_is_for_the_user_or_leads_elsewhere(
    method: str, host: str, path: str, query: str, headers: dict[str, str], body: bytes, source: str
) -> None:
    numbers = count(1)
    sessions = WebSessions(lambda: next(numbers))
    sessions.begin(source, 0.0)
    sessions.make_token(0.0)
    entrance = Entrance("a.nec", NAMES, sessions, has_password=True)
    request = HttpRequest(0, method, path, query, (("host", host), *headers.items()), body, (source, 1))
    access = Access(WEB, authenticated=True, local_only=False)
    try:
        read = read_untrusted(request, NAMES)
        own = entrance.own(0, read, body, 1.0)
        if read.path == rpc.RPC_PATH:
            rpc.check_program(read, sessions, 1.0, is_open=False)
        process = entrance.whom(read) if own is None else own
        answer = entrance.admit(read, access, 1.0) if isinstance(process, ProcessId) else process
    except HttpRefused:
        return
    if isinstance(answer, CheckPassword):
        assert not read.is_foreign
        assert read.secure or read.is_local
        assert read.place.label is None
    elif isinstance(answer, PageAnswer):
        told = dict(answer.headers)
        assert all(value.isprintable() for value in told.values()), told
        assert "set-cookie" not in told or (read.path == "/logout" and "=; " in told["set-cookie"])
        assert told["x-content-type-options"] == "nosniff"
        assert answer.status != 200 or read.path in ("/login", "/logout", "/our", "/our.js")
        to = told.get("location", "/")
        home = f"{'https' if read.secure else 'http'}://"
        ours = to.startswith("/") and not to.startswith(("//", "/\\"))
        assert ours or (to.startswith(home) and to.removeprefix(home).split("/")[0].endswith(read.place.at(None)))
    else:
        assert answer is None
        assert not isinstance(process, ProcessId), "nobody is signed in"


@settings(max_examples=examples(50))
@given(
    st.one_of(
        st.binary(max_size=80),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda each: (
                st.lists(each, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["process", "node", "body", "expects_response", "data", "mime", "metadata", "x"]),
                    each,
                    max_size=6,
                )
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_what_is_no_message_of_a_program_is_refused(body: bytes) -> None:
    try:
        message = rpc.message_untrusted(body, "a.nec")
    except HttpRefused:
        return
    assert message.target.validate()


@settings(max_examples=examples(50))
@given(
    st.sampled_from(["NewPackage", "Install", "x"]),
    st.recursive(
        st.none() | st.sampled_from(["a", "b.os", "", "A B"]),
        lambda each: st.dictionaries(
            st.sampled_from(["package_id", "package", "package_name", "publisher_node", "version_hash"]),
            each,
            max_size=4,
        ),
    ),
)
def test_what_is_no_order_of_a_kit_starts_nothing(name: str, fields: object) -> None:
    message = {"process": "main:app_store:sys", "body": json.dumps({name: fields})}
    answer = Uploads("a.nec").take(0, rpc.message_untrusted(json.dumps(message).encode(), "a.nec"))
    assert not isinstance(answer, StartUpload)
    assert b"Success" not in bytes(json.loads(bytes(answer.body))["body"])


def test_a_package_is_served_at_no_label_of_another() -> None:
    assert not any(
        serves(label, WEB) for label in ("", "x", "web--site", "web--site--local--x", "web--else--local", "e-8")
    )
