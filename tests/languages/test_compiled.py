"""The SDKs for C and Zig in real guests on a real node: each client of a system process does as it says."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from blake3 import blake3

from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.toolchains import c, zig
from testnet.real.local import LocalTestnet
from tests.waiting import until

HERE = Path(__file__).parent / "compiled"
NODE = "one.nec"
PROCESSES = ("try_all_c", "try_all_zig")
ASKS = ("vfs", "timer", "kv", "sqlite", "http-server", "http_client")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    folder = tmp_path_factory.mktemp("compiled")
    packages = []
    private = tuple(f"{process}:local" for process in PROCESSES)
    for process in PROCESSES:
        package = folder / process
        builder, suffix = (c, "c") if process.endswith("_c") else (zig, "zig")
        builder.build(HERE / f"{process}.{suffix}", package / f"{process}.wasm")
        entry = {
            "process_name": process,
            "process_wasm_path": f"/{process}.wasm",
            "on_exit": "Restart",
            "request_capabilities": [f"{each}:distro:sys" for each in ASKS],
            "public": True,
        }
        other = {**entry, "process_name": "other"}  # changes files that the first one watches
        (package / "manifest.json").write_text(json.dumps([entry, other]))
        packages.append(package)
    with LocalTestnet(folder / "testnet") as network:
        network.boot({NODE: BootOptions(packages=tuple(packages), http=(LOOPBACK, 0), http_client_private=private)})
        yield network


def tried(network: LocalTestnet, process: str, attempt: object) -> object:
    return network.message(NODE, f"our@{process}:{process}:local", json.dumps(attempt), 30).get("body")


class Adder(BaseHTTPRequestHandler):
    """Answers with what it is sent, and with what its header has to add."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])) + self.headers["x-add"].encode()
        self.send_response(201)
        self.send_header("Content-Type", "text/x")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        pass


@pytest.fixture(scope="module")
def adder() -> Iterator[str]:
    """The URL of a server."""
    with ThreadingHTTPServer((LOOPBACK, 0), Adder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_address[1]}/"
        server.shutdown()


@pytest.mark.parametrize("process", PROCESSES)
def test_a_server_is_asked_and_one_that_may_not_be_is_refused(network: LocalTestnet, adder: str, process: str) -> None:
    assert tried(network, process, {"Internet": adder}) == '"done"', network.log(NODE)[-2000:]


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("attempt", ["Files", "Keys", "Sql", "Time", "State"])
def test_a_part_of_the_sdk_does_as_it_says(network: LocalTestnet, process: str, attempt: str) -> None:
    assert tried(network, process, attempt) == '"done"', network.log(NODE)[-2000:]


@pytest.mark.parametrize("process", PROCESSES)
def test_a_change_of_another_process_in_a_watched_folder_is_told(network: LocalTestnet, process: str) -> None:
    assert tried(network, process, "Watch") == '"done"', network.log(NODE)[-2000:]
    network.message(NODE, f"our@other:{process}:local", '"Files"', 30)
    until(lambda: tried(network, process, "Seen") == '"done"')


@pytest.mark.parametrize("process", PROCESSES)
def test_pages_are_files_and_what_browsers_send_becomes_one(network: LocalTestnet, process: str) -> None:
    assert tried(network, process, "Web") == '"done"', network.log(NODE)[-2000:]
    port = int(str(network.status(NODE)["http"]).rpartition(":")[2])

    def fetch(method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        connection.request(method, f"/{process}:{process}:local{path}", body)
        answer = connection.getresponse()
        made = answer.headers["X-Made"]
        return answer.status, answer.read() + (b" made" if made == "yes" else b"")

    assert fetch("GET", "/page") == (200, b"a page")
    assert fetch("GET", "/help") == (200, b"help!")
    assert fetch("GET", "/all/help.txt") == (200, b"help!")
    assert fetch("POST", "/sent", b"12345") == (200, f"12345 {blake3(b'12345').hexdigest()[:8]}".encode())
    assert fetch("POST", "/sent", b"123456")[0] == 413
    assert fetch("GET", "/sent") == (400, b"nothing was sent")
    assert fetch("GET", "/games/7") == (201, b"7 made")


@pytest.mark.parametrize(
    ("process", "line"),
    [("try_all_c", "logged: -1 2 -3 4 ff c 0.1 1e300 %"), ("try_all_zig", "logged: -1 ü")],
)
def test_what_is_logged_is_shown_by_its_level(network: LocalTestnet, process: str, line: str) -> None:
    network.message(NODE, f"our@{process}:{process}:local", '"Logs"', 30)
    until(lambda: line in network.log(NODE))
    assert "never shown" not in network.log(NODE)
