"""`nectar testnet watch --web` as a process of its own, and somebody who asks it without a browser."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT = 60.0
"""Seconds after which something is taken to hang."""


@dataclass
class Browser:
    """Somebody who is signed in."""

    process: subprocess.Popen[str]
    url: str
    """With which somebody can sign in, once."""
    cookie: str = ""

    def ask(self, path: str, order: object = None) -> tuple[int, Any]:
        """Status and JSON of a look or an order."""
        connection = self.connect()
        headers = {"Cookie": self.cookie, "Content-Type": "application/json"}
        body = None if order is None else json.dumps(order)
        connection.request("GET" if order is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def connect(self) -> http.client.HTTPConnection:
        """Connect to the server."""
        place = re.match("http://([^/]+)/", self.url)
        assert place is not None, self.url
        return http.client.HTTPConnection(place[1], timeout=LIMIT)

    def sign_in(self) -> None:
        """Open the link."""
        connection = self.connect()
        connection.request("GET", "/login?" + self.url.partition("?")[2])
        self.cookie = (connection.getresponse().getheader("set-cookie") or "").partition(";")[0]

    def see(self, done: Callable[[dict[str, Any]], bool], what: str = "look") -> dict[str, Any]:
        """Follow until a snapshot, or another event, is as it should be."""
        connection = self.connect()
        connection.request("GET", "/api/events", headers={"Cookie": self.cookie})
        events = connection.getresponse()
        name = ""
        for line in events:
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: ") and name == what and done(look := json.loads(line[6:])):
                connection.close()
                found: dict[str, Any] = look
                return found
        raise AssertionError("the snapshots have ended")


@contextmanager
def watching(folder: Path, cwd: Path | None = None) -> Iterator[Browser]:
    """Serve the page of the testnet in `folder`, from the folder `cwd`, for somebody who has signed in."""
    command = [sys.executable, "-m", "nectar_node", "testnet", "watch", "--web", "--json", "--interval", "0.1"]
    process = subprocess.Popen(
        [*command, "--dir", str(folder if cwd is None else folder.relative_to(cwd))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )
    try:
        assert process.stdout is not None
        browser = Browser(process, json.loads(process.stdout.readline())["url"])
        browser.sign_in()
        yield browser
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT)
