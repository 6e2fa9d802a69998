"""Real S3 servers by two authors, for tests of backups: they listen on free ports, and have one bucket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import until

KEY = "a-test-key"
BUCKET = "some-bucket"


def use_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients sign as the servers expect it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, KEY)


def url(endpoint: str, prefix: str) -> str:
    """The URL of a remote in the bucket."""
    return f"s3://{BUCKET}/{prefix}?endpoint={endpoint}&region=us-east-1"


@contextmanager
def moto() -> Iterator[str]:
    """Yield the endpoint of moto's server, which knows conditional puts."""
    from moto.server import ThreadedMotoServer  # takes a second

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")).close()
        yield endpoint
    finally:
        server.stop()


@contextmanager
def nanio(folder: Path) -> Iterator[str]:
    """Yield the endpoint of nanio, which checks signatures, and ignores the conditions of puts."""
    (folder / BUCKET).mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", "--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    environment = os.environ | {"NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": KEY}
    command = [str(Path(sys.executable).with_name("nanio")), *words]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until(lambda: _listens(port) or server.poll() is not None)
            assert server.poll() is None
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
