"""What the HTTP client says of real servers that do their worst, as guests of wasi:http read it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from kernel.contract.address import Address
from kernel.contract.guest import Arrival, Failure
from kernel.contract.http import HttpCall, HttpFailure, ServerAnswer
from kernel.contract.message import LazyLoadBlob, Reason, Request, Response, SendError, SendErrorKind
from kernel.wasm.wasi.http_errors import KNOWN, error_code
from kernel.wasm.wasi.interfaces import wasi_interface
from nectar_node.base.system_processes import HTTP_CLIENT
from nectar_node.contract.config import LOOPBACK
from nectar_node.http.fetching import requests as fetch_requests
from nectar_node.http.fetching.hops import MAX_HEADER_CHARACTERS
from nectar_node.http.fetching.wasi_client import WasiHttpClient
from tests.nectar_node.driver.certificates import Authority
from tests.nectar_node.driver.test_http_client import OUR, STRANGER, Rig, always, head_of, rigged, server, with_body

CLIENT = WasiHttpClient()
SOURCE = Address(OUR, HTTP_CLIENT)


def arrival(value: object, blob: bytes | None = None) -> Arrival:
    carried = None if blob is None else LazyLoadBlob(None, blob)
    return Arrival(SOURCE, Response(False, json.dumps(value).encode()), None, carried)


async def code(rig: Rig, url: str, method: str = "GET", fields: tuple[tuple[str, bytes], ...] = (), **how: Any) -> str:
    """The name of the error-code for a call; "": an answer."""
    _, body, blob = CLIENT.request(HttpCall(method, url, fields, how.pop("content", b"")))
    value, found = await rig.ask(json.loads(body), None if blob is None else bytes(blob.bytes), late=False, **how)
    answer = CLIENT.answer(arrival(value, found))
    return answer.code if isinstance(answer, HttpFailure) else ""


async def test_what_a_server_or_the_network_refuses_has_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.socket()
    listener.bind((LOOPBACK, 0))  # and does not listen
    with listener:
        async with rigged() as rig:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert await code(rig, url) == "connection-refused"
            assert await code(rig, url, by=STRANGER) == "destination-IP-prohibited"
            assert await code(rig, "http://0.0.0.0/") == "destination-IP-prohibited"
            assert await code(rig, url, "TRACE") == "HTTP-request-method-invalid"
            assert await code(rig, "http://127.0.0.1:25/") == "HTTP-request-URI-invalid"
            assert await code(rig, "ftp://127.0.0.1/") == "HTTP-request-URI-invalid"
            many = tuple((f"x-{n}", b"1") for n in range(101))
            assert await code(rig, url, fields=many) == "HTTP-request-header-section-size"
            monkeypatch.setattr(fetch_requests, "MAX_BODY_BYTES", 3)
            assert await code(rig, url, "POST", content=b"four") == "HTTP-request-body-size"

            def unknown(*_: object, **__: object) -> Any:
                raise socket.gaierror

            monkeypatch.setattr(socket, "getaddrinfo", unknown)
            assert await code(rig, "http://unknown.example/") == "DNS-error"


async def plain(stream: trio.abc.Stream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def test_a_certificate_that_is_not_trusted_and_a_server_without_tls_have_codes(tmp_path: Path) -> None:
    trusted, strange = Authority(tmp_path / "trusted"), Authority(tmp_path / "strange")
    async with rigged(trusted.trust()) as rig:
        async with server(always(with_body(b"")), strange.serving("localhost")) as port:
            assert await code(rig, f"https://localhost:{port}/") == "TLS-certificate-error"
        async with server(plain) as port:
            assert await code(rig, f"https://localhost:{port}/") == "TLS-protocol-error"


async def test_an_answer_that_breaks_off_or_is_too_much_has_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs_up(stream: trio.abc.Stream) -> None:
        await head_of(stream)

    monkeypatch.setattr(fetch_requests, "MAX_BODY_BYTES", 3)
    long_header = with_body(b"", f"X: {'x' * (MAX_HEADER_CHARACTERS + 1)}")
    round_and_round = with_body(b"", "Location: /", status="302 Found")
    for serve, name in (
        (hangs_up, "connection-terminated"),
        (always(with_body(b"four")), "HTTP-response-body-size"),
        (always(long_header), "HTTP-response-header-section-size"),
        (always(round_and_round), "loop-detected"),
        (always(b"no HTTP\r\n\r\n"), "internal-error"),
        (always(with_body(b"abc")), ""),
    ):
        async with rigged() as rig, server(serve) as port:
            assert await code(rig, f"http://127.0.0.1:{port}/") == name


def test_every_code_is_a_case_of_the_specification() -> None:
    interface = wasi_interface("wasi:http/types@0.2.3")
    assert interface is not None
    cases: Any = interface.types["error-code"]
    assert {name: number for number, (name, _) in enumerate(cases.cases) if name in KNOWN} == KNOWN
    assert error_code(HttpFailure("no such case", "why")) == (KNOWN["internal-error"], "why")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.NO_CAPABILITY, "HTTP-request-denied"),
        (Reason.EXPIRED, "HTTP-response-timeout"),
        (Reason.INBOX_FULL, "internal-error"),
    ],
)
def test_a_request_that_reaches_nobody_has_a_code(reason: Reason, code: str) -> None:
    error = SendError(SendErrorKind.TIMEOUT, SOURCE, Request(False, 1, b""), None, reason)
    answer = CLIENT.answer(Failure(error, None))
    assert isinstance(answer, HttpFailure)
    assert answer.code == code


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "Ok",
        {"Ok": 1},
        {"Ok": {"Http": {"status": "200", "headers": {}}}},
        {"Ok": {"Http": {"status": True, "headers": []}}},
        {"Ok": {"Http": {"status": 70000, "headers": {}}}},
        {"Ok": {"Http": {"status": 200, "headers": {"a": 1}}}},
        {"Ok": {"Http": {"status": 200, "headers": {"a": "\u0100"}}}},
        {"Err": None},
        {"Err": {}},
        {"Err": {"RequestFailed": {"error": 1}}},
        {"Err": [1]},
    ],
)
def test_an_answer_that_nobody_understands_is_an_error(value: object) -> None:
    answer = CLIENT.answer(arrival(value))
    assert isinstance(answer, HttpFailure)
    assert answer.code == "internal-error"


def test_several_headers_of_one_name_are_one() -> None:
    fields = (("a", b"1"), ("a", b"2"), ("cookie", b"b=1"), ("cookie", b"c=2"), ("x", b"\xff"))
    _, body, blob = CLIENT.request(HttpCall("GET", "http://x/", fields, b""))
    assert json.loads(body)["Http"]["headers"] == {"a": "1, 2", "cookie": "b=1; c=2", "x": "\xff"}
    assert blob is None
    answer = CLIENT.answer(arrival({"Ok": {"Http": {"status": 200, "headers": {"A": "\xff"}}}}, b"body"))
    assert answer == ServerAnswer(200, (("a", b"\xff"),), b"body")
