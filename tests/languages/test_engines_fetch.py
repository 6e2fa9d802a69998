"""The `fetch` of a JavaScript engine, which asks by wasi:http, in a guest without our SDK."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kernel.contract.guest import Arrival
from nectar_node.toolchains import javascript
from testnet.model.internet import WebAnswer, WebRequest
from testnet.sim.node import NodeSpec
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.guests.build import WIT
from tests.web_site import write_guests

NODE = "a.nec"
HERE = Path(__file__).parent / "javascript"
CLIENT = "http_client:distro:sys"
URL = "https://api.example.com"
NETWORK_ERROR = {"error": "TypeError: NetworkError when attempting to fetch resource"}
Fetch = Callable[..., Any]


@pytest.fixture(scope="module")
def wasm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    tools, folder = javascript.tools(), tmp_path_factory.mktemp("fetcher")
    command: list[Path | str] = [(tools / "node").read_text(), HERE / "with_http.mjs", tools]
    command += [HERE / "fetcher.js", WIT, folder / "made"]
    subprocess.run(command, env={"TMPDIR": "."}, cwd=folder, check=True, timeout=300)
    return (folder / "made").read_bytes()


def answer(request: WebRequest) -> WebAnswer | None:
    path = request.url.removeprefix(URL)
    if path == "/never":
        return None
    if path.startswith("/size/"):
        return WebAnswer(200, {}, b"z" * int(path.removeprefix("/size/")))
    return WebAnswer(201, {"X-A": request.headers.get("x-b", "")}, request.method.encode() + request.body[:3])


@pytest.fixture
def fetch(wasm: bytes, tmp_path: Path, nectar_programs: Programs) -> Iterator[Fetch]:
    """Let the guest of a package ask for some orders at once: fetch({"url": …}, …)."""
    with closing(Simulation(1, nectar_programs)) as sim:
        packages = (
            write_guests(tmp_path / "may", wasm, ["main"], [CLIENT], "may", "x.nec"),
            write_guests(tmp_path / "mute", wasm, ["main"], [], "mute", "x.nec"),
        )
        node = sim.boot_node(NodeSpec(NODE, packages))
        sim.settle()
        sim.serve_http(URL, answer)

        def asked(*orders: object, package: str = "may") -> Any:
            outcome = node.ask(f"our@main:{package}:x.nec", json.dumps(orders).encode(), 100)
            assert isinstance(outcome, Arrival), outcome
            return json.loads(outcome.message.body)

        yield asked


def test_it_sends_and_gets_methods_headers_and_bodies(fetch: Fetch) -> None:
    order = {"url": f"{URL}/", "method": "POST", "headers": {"x-b": "given"}, "body": "abcdef"}
    assert fetch(order) == [{"status": 201, "header": "given", "size": 7, "start": "POSTabc"}]


def test_several_are_under_way_at_once_and_one_that_fails_is_an_error(fetch: Fetch) -> None:
    never, found, unknown = {"url": f"{URL}/never"}, {"url": f"{URL}/"}, {"url": "https://nowhere.example.com/"}
    answers = fetch(never, found, unknown)
    assert answers == [NETWORK_ERROR, {"status": 201, "header": "", "size": 3, "start": "GET"}, NETWORK_ERROR]


def test_who_lacks_the_capability_gets_an_error_and_runs_on(fetch: Fetch) -> None:
    for _ in range(2):
        assert fetch({"url": f"{URL}/"}, package="mute") == [NETWORK_ERROR]


def test_a_body_of_the_largest_size_is_read_piece_by_piece(fetch: Fetch) -> None:
    assert fetch({"url": f"{URL}/size/{32 << 20}"})[0]["size"] == 32 << 20
