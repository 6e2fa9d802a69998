"""A process asks servers: a real node as a process of its own, a real guest, and servers on this machine."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.nectar_node.driver.certificates import Authority
from tests.nectar_node.system.test_http_client import LATE_NAME, PROBE, http, package

NODE = "asks.nec"
FETCHER = PROBE.parent / "wasip2" / "fetcher.wasm"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on this machine; its port."""
    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def ask(network: LocalTestnet, process: str, url: str) -> tuple[Any, str]:
    """The answer that a probe gets, and its blob."""
    body = json.dumps(http(url, "POST"))
    wait = {"Await": {"to": f"our@{LATE_NAME}", "body": body, "expects": 20, "blob": {"text": "abc"}}}
    for steps in ('"Forget"', json.dumps([wait, "GetBlob", {"Respond": {"body": "[]"}}])):
        assert "body" in network.message(NODE, f"our@{process}", steps)
    seen = json.loads(network.message(NODE, f"our@{process}", '"Report"')["body"])
    (answer,) = [json.loads(each["body"]) for each in seen if each["kind"] == "response"]
    (blob,) = [each["blob"] or "" for each in seen if each["kind"] == "blob"]
    return answer, blob


def test_a_process_asks_a_server_by_tls_if_its_user_allows_private_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    packages = [package(tmp_path / name, PROBE.read_bytes(), name=name) for name in ("web", "other")]
    packages.append(package(tmp_path / "wasi", FETCHER.read_bytes(), name="wasi"))
    options = BootOptions(packages=tuple(packages), http_client_private=("web:x.nec", "wasi:x.nec"))
    testnet = LocalTestnet(tmp_path / "testnet")
    with served(authority.serving("localhost")) as port, served() as plain, testnet as network:
        network.boot({NODE: options})
        url = f"https://localhost:{port}/"
        answer, blob = ask(network, "main:web:x.nec", url)
        assert (answer["Ok"]["Http"]["status"], blob) == (200, "cba")
        assert ask(network, "main:web:x.nec", f"http://127.0.0.1:{plain}/")[1] == "cba"
        answer, _ = ask(network, "main:other:x.nec", url)
        assert "nectar config set http-client-private" in answer["Err"]["ExecuteRequestFailed"]
        words = f"ask POST https localhost:{port} / 20000 content-length=100000 100000"
        by_wasi = network.message(NODE, "our@main:wasi:x.nec", words)["body"]
        assert by_wasi.split()[:3] == ["200", "100000", str(ord("x") * 100_000)]
