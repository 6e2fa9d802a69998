"""Components ask servers by wasi:http: whole simulated nodes with a guest in C++, and an internet in virtual time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernel.contract.address import ProcessId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.process import Waiting
from nectar_node.base.system_processes import HTTP_CLIENT
from nectar_node.http.fetching import requests as fetch_requests
from nectar_node.system.http_client import HttpClient
from testnet.faults.refusal import Refusal
from testnet.model.internet import WebAnswer, WebRequest
from testnet.model.where import Where
from testnet.sim.node import NodeSpec, SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.web_site import write_guests

NODE = "a.nec"
WASM = Path(__file__).resolve().parents[2] / "guests" / "wasip2" / "fetcher.wasm"
CLIENT = "http_client:distro:sys"
DNS_ERROR, PROHIBITED, CONNECTION_REFUSED, TERMINATED, DENIED, BODY_SIZE, METHOD_INVALID, URI_INVALID = (
    *(1, 4, 6, 7, 15, 17, 18, 19),
)
RESPONSE_BODY_SIZE, RESPONSE_TIMEOUT, INTERNAL_ERROR = 28, 33, 38
"""Cases of error-code."""


def package(folder: Path, name: str, *, asks: bool = True) -> Path:
    return write_guests(folder / name, WASM.read_bytes(), ["main"], [CLIENT] if asks else [], name, "x.nec")


class Web:
    """A node with a fetcher that may ask servers, and one that may not."""

    def __init__(self, sim: Simulation, node: SimNode) -> None:
        self.sim = sim
        self.node = node
        self.seen: list[WebRequest] = []

    def tell(self, words: str, *, process: str = "main:web:x.nec", seconds: int = 100) -> str:
        answer = self.node.ask(f"our@{process}", words.encode(), seconds)
        assert isinstance(answer, Arrival), answer
        return answer.message.body.decode()

    def ask(self, path: str = "/", *, method: str = "GET", scheme: str = "https", **more: object) -> str:
        """What a call of the fetcher's gets: see `fetcher.cpp`."""
        server = more.get("server", "api.example.com")
        words = f"ask {method} {scheme} {server} {path} {more.get('ms', 0)} {more.get('headers', '')}"
        return self.tell(f"{words} {more.get('size', '-')}", process=str(more.get("process", "main:web:x.nec")))

    def answer(self, request: WebRequest) -> WebAnswer | None:
        self.seen.append(request)
        path = request.url.removeprefix("https://api.example.com").removeprefix("http://api.example.com")
        if path == "/never":
            return None
        if path == "/broken":
            raise OSError
        if path.startswith("/size/"):
            return WebAnswer(200, {}, b"\2" * int(path.removeprefix("/size/")))
        return WebAnswer(201, {"X-A": "1"}, b"\1\2\3")


@pytest.fixture
def web(tmp_path: Path, nectar_programs: Programs) -> Iterator[Web]:
    with closing(Simulation(1, nectar_programs)) as sim:
        packages = package(tmp_path, "web"), package(tmp_path, "mute", asks=False)
        node = sim.boot_node(NodeSpec(NODE, packages))
        sim.settle()
        found = Web(sim, node)
        for scheme in ("http", "https"):
            sim.serve_http(f"{scheme}://api.example.com", found.answer)
        sim.serve_http("http://slow.example.com", lambda _: WebAnswer(202, {}, b""), latency=(2.0, 2.0))
        yield found


def test_an_answer_comes_with_its_status_its_headers_and_its_body(web: Web) -> None:
    assert web.ask("/path?of=tea", headers="x-b=2,x-b=3") == "201 3 6 x-a=1"
    (request,) = web.seen
    assert (request.method, request.url) == ("GET", "https://api.example.com/path?of=tea")
    assert request.headers["x-b"] == "2, 3"
    assert request.headers["host"] == "api.example.com"


def test_without_a_scheme_it_is_https(web: Web) -> None:
    web.ask(scheme="-")
    assert web.seen[0].url == "https://api.example.com/"


def test_a_body_that_is_written_after_the_request_is_sent_whole(web: Web) -> None:
    assert web.ask(method="POST", size=200_000).startswith("201 ")
    assert web.seen[0].body == b"x" * 200_000
    assert web.ask(method="PUT", size=0, headers="content-length=0").startswith("201 ")
    assert web.seen[1].body == b""


def test_a_body_of_another_length_than_its_header_says_is_not_sent(web: Web) -> None:
    assert web.ask(method="POST", size=9, headers="content-length=10") == f"error {BODY_SIZE}"
    assert web.tell("late api.example.com /") == f"error {BODY_SIZE}"
    assert web.seen == []


def test_g19_who_lacks_the_capability_is_denied_and_runs_on(web: Web) -> None:
    assert web.ask(process="main:mute:x.nec") == f"error {DENIED}"
    assert web.ask(process="main:mute:x.nec", method="POST", size=5) == f"error {DENIED}"
    assert web.seen == []


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ({"server": "unknown.example.com"}, DNS_ERROR),
        ({"server": "127.0.0.1"}, PROHIBITED),
        ({"server": "224.0.0.1"}, PROHIBITED),
        ({"path": "/broken"}, TERMINATED),
        ({"path": "/never", "ms": 1500}, RESPONSE_TIMEOUT),
        ({"path": "/never"}, RESPONSE_TIMEOUT),
        ({"method": "TRACE"}, METHOD_INVALID),
        ({"scheme": "ftp"}, URI_INVALID),
        ({"server": "api.example.com:25"}, URI_INVALID),
    ],
)
def test_each_failure_is_an_error_code(web: Web, how: dict[str, object], outcome: int) -> None:
    assert web.ask(**how) == f"error {outcome}"  # type: ignore[arg-type]
    assert web.ask() == "201 3 6 x-a=1"


def test_a_server_that_refuses_the_connection_is_said_so(web: Web) -> None:
    with web.sim.apply(Refusal(Where(NODE, "api.example.com"))):
        assert web.ask() == f"error {CONNECTION_REFUSED}"
    assert web.ask() == "201 3 6 x-a=1"


def test_a_request_to_no_server_is_refused_at_once(web: Web) -> None:
    assert web.tell("odd http") == f"error {URI_INVALID}"


@pytest.mark.parametrize("header", ["host=a", "connection=close", "transfer-encoding=chunked", "Upgrade=x"])
def test_headers_of_the_connection_are_forbidden(web: Web, header: str) -> None:
    assert web.ask(headers=header) == "refused 1"


@pytest.mark.parametrize("header", ["x=a\r\nx-y: b", "x=\0", "x y=a", "=a", "x:=a", "é=a"])
def test_a_header_that_would_be_two_is_none(web: Web, header: str) -> None:
    assert web.tell(f"ask GET https api.example.com / 0 {header.replace(' ', chr(9))} -") == "refused 0"
    assert web.seen == []


def test_a_timer_and_an_answer_race_in_one_poll(web: Web) -> None:
    began = web.sim.now
    assert web.tell("race 1000 api.example.com /") == "answer 201 3 6 x-a=1"
    assert web.sim.now - began == pytest.approx(1.0, abs=0.1), "then it waits for the time, too"
    began = web.sim.now
    assert web.tell("race 1000 slow.example.com /") == "time 202 0 0"
    assert web.sim.now - began == pytest.approx(6.0, abs=2.1)


def test_two_requests_are_under_way_at_once_and_come_as_they_are_done(web: Web) -> None:
    began = web.sim.now
    assert re.fullmatch(f"201 3 6 x-a=1 \\| error {RESPONSE_TIMEOUT}", web.tell("two api.example.com /never /"))
    assert web.sim.now - began == pytest.approx(30.0, abs=1.0)


def test_one_that_only_looks_gets_the_answer_too_and_time_passes_meanwhile(web: Web) -> None:
    assert web.tell("spin slow.example.com /") == "202"


def test_what_is_taken_twice_is_there_once(web: Web) -> None:
    assert web.tell("twice api.example.com /") == "1111"


def test_requests_that_are_forgotten_leave_nothing(web: Web) -> None:
    for _ in range(20):
        assert web.tell("leave api.example.com /") == "left"
    assert web.ask() == "201 3 6 x-a=1"
    web.sim.rest(60.0)
    process = web.node.core.kernel.processes[ProcessId("main", "web", "x.nec")]
    assert (process.asks, process.outstanding, len(process.mailbox)) == ({}, set(), 0)


def test_a_request_that_is_forgotten_ends_at_the_client_too(web: Web) -> None:
    client = web.node.core._system.by_id[HTTP_CLIENT]
    assert isinstance(client, HttpClient)
    assert web.tell("leave api.example.com /never") == "left"
    assert (client._calls, client._of) == ({}, {})
    assert client.next_deadline() is None


def test_a_request_that_is_forgotten_leaves_its_turn_to_the_next(web: Web) -> None:
    began = web.sim.now
    for _ in range(200):
        assert web.tell("leave api.example.com /never") == "left"
    assert web.ask() == "201 3 6 x-a=1"
    assert web.sim.now - began < 20.0


def test_a_body_at_the_clients_limit_comes_whole_and_one_beyond_is_an_error(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_requests, "MAX_BODY_BYTES", 1 << 20)
    assert web.ask(f"/size/{1 << 20}") == f"200 {1 << 20} {2 << 20}"
    assert web.ask(f"/size/{(1 << 20) + 1}") == f"error {RESPONSE_BODY_SIZE}"
    assert web.ask(method="POST", size=1 << 20).startswith("201 ")
    assert web.ask(method="POST", size=(1 << 20) + 1) == f"error {BODY_SIZE}"


def test_answers_that_are_kept_unread_are_bounded(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel.wasm.wasi.state.MAX_HELD_BYTES", 1 << 20)
    assert web.tell(f"keep api.example.com /size/{700 << 10}") == "kept"
    assert web.tell(f"keep api.example.com /size/{700 << 10}") == f"error {INTERNAL_ERROR}"
    assert web.tell(f"keep api.example.com /size/{200 << 10}") == "kept"


def test_g22_one_that_waits_for_a_server_is_killed_at_once(web: Web) -> None:
    asked = web.node.begin_to_ask("our@main:web:x.nec", b"ask GET https api.example.com /never 0  -", 60)
    web.sim.wait(lambda: bool(web.seen), 5.0)
    process = ProcessId("main", "web", "x.nec")
    assert web.node.core.kernel.processes[process].waiting is Waiting.SLEEP, "it takes no time of the node's"
    web.node.core.kill(process, web.sim.now)
    web.node.go_on()
    assert isinstance(web.node.answer(asked), Failure)
    assert process not in web.node.core.kernel.processes


def test_the_same_seed_gives_the_same_run(tmp_path: Path, nectar_programs: Programs) -> None:
    def journal(folder: Path) -> object:
        with closing(Simulation(7, nectar_programs)) as sim:
            node = sim.boot_node(NodeSpec(NODE, (package(folder, "web"),)))
            sim.settle()
            web = Web(sim, node)
            sim.serve_http("http://api.example.com", web.answer)
            web.tell("race 1 api.example.com /")
            web.tell("spin api.example.com /")
            return sim.now

    assert journal(tmp_path / "a") == journal(tmp_path / "b")
