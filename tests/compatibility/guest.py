"""A simulated node for each interface, and on each the guest `tester` of that interface (tests/guests/tester.c)."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kernel.contract.guest import Arrival
from testnet.sim.node import NodeSpec, SimNode
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.compatibility.browser import Browser
from tests.compatibility.case import INTERFACES

GUESTS = Path(__file__).resolve().parents[1] / "guests"
SYSTEM = (
    *("vfs", "http_server", "http-server", "http_client", "http-client", "kv", "sqlite", "timer", "kernel", "net"),
    *("eth", "state", "fd-manager", "notifications"),
)
PASSWORD = "sesame"
"""Of each node."""
ASKED = (*(f"{name}:distro:sys" for name in SYSTEM), "terminal:terminal:sys", "homepage:homepage:sys")
"""What the manifest of each guest asks for."""


class Got(NamedTuple):
    """What a guest has got."""

    kind: str
    """`q` a request, `r` a response, `o` Offline, `t` Timeout."""
    source: str = ""
    body: bytes = b""
    mime: str | None = None
    blob: bytes | None = None

    def shown(self) -> str:
        """It as a text."""
        return {"o": "Offline", "t": "Timeout"}.get(self.kind) or self.body.decode(errors="replace")


class Guest:
    """One guest, told by its user what to do."""

    def __init__(self, lab: Simulation, interface: str, next_node: str, process: str = "main") -> None:
        self.lab = lab
        self.interface = interface
        self.generation = INTERFACES[interface]
        self.node = node_of(interface)
        self.package = f"tester:{self.node}"
        self.id = f"{process}:{self.package}"
        self.next_node = next_node
        """Another node."""
        self.browser = Browser(lab, self.node)
        """A browser on its machine, which has not signed in."""
        self.names = {"PKG": self.package, "NODE": self.node, "NEXT": next_node, "ID": self.id}

    @property
    def core(self) -> SimNode:
        """The node that it runs on."""
        return self.lab.nodes[self.node]

    def _tell(self, letter: bytes, *fields: bytes | str | None) -> bytes:
        body = letter + b"".join(map(_field, fields))
        answer = self.core.ask(f"our@{self.id}", body, 600)
        assert isinstance(answer, Arrival), (self.interface, letter, fields, answer.error.kind, self.core.log[-4:])
        return bytes(answer.message.body)

    def ask(
        self,
        to: str,
        body: bytes,
        blob: bytes | None = None,
        mime: str | None = None,
        seconds: int = 60,
        node: str = "",
    ) -> Got:
        """Send a request and wait for its outcome."""
        answer = self._tell(b"A", node or self.node, *to.split(":"), body, mime, blob, bytes([seconds]))
        return next(_read(answer))

    def send(self, to: str, body: bytes, blob: bytes | None = None, mime: str | None = None) -> None:
        """Send a request without expecting a response."""
        self._tell(b"S", self.node, *to.split(":"), body, mime, blob, b"\1")

    def came(self) -> list[Got]:
        """What has come to it since it was last asked this."""
        return list(_read(self._tell(b"T")))

    def will(self, how: str, answer: object = None, blob: bytes | None = None, mime: str | None = None) -> None:
        """How it meets others' requests from now on: `answer`, `silence`, `end` or `trap`."""
        self._tell(b"R", how[:1], json.dumps(answer), mime, blob)

    def capabilities(self) -> list[tuple[str, Any]]:
        """What it holds: issuers and params."""
        fields = list(_fields(self._tell(b"C")))
        return [
            (_text(issuer), json.loads(_text(params))) for issuer, params in zip(fields[::2], fields[1::2], strict=True)
        ]

    def spawn(self, path: str) -> bool:
        """Spawn a process from a file."""
        return self._tell(b"P", path) == b"r"

    def script(self, line: str) -> str:
        """What the node's user is told who types a line."""
        token = self.core.begin_script(line, 60)
        self.lab.wait(lambda: self.core.answer(token) is not None, 60.0)
        answer = self.core.answer(token)
        assert isinstance(answer, Arrival), line
        return bytes(answer.message.body).decode()


def node_of(interface: str) -> str:
    """The name of the node of an interface."""
    return f"{interface.replace('.', '').replace('-', '')}.nec"


@contextmanager
def guests(
    folder: Path, programs: Programs, packages: tuple[Path, ...] = (), interfaces: Sequence[str] = tuple(INTERFACES)
) -> Iterator[list[Guest]]:
    """Yield the guests, their nodes booted. Each node runs `packages`, too."""
    lab = Simulation(1, programs)
    nodes = [node_of(interface) for interface in interfaces]
    for interface in interfaces:
        made = _package(folder / interface, interface)
        lab.boot_node(NodeSpec(node_of(interface), (*packages, made), password=PASSWORD.encode()))
    lab.wait(lambda: all(map(lab.ready, nodes)), 60.0)
    yield [Guest(lab, each, nodes[(n + 1) % len(nodes)]) for n, each in enumerate(interfaces)]
    lab.close()


def _package(folder: Path, interface: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "main.wasm").write_bytes((GUESTS / f"tester.{interface}.wasm").read_bytes())
    own = {"properties": {"package_name": "tester", "publisher": node_of(interface)}}
    (folder / "metadata.json").write_text(json.dumps(own))
    entry = {
        "process_name": "main",
        "process_wasm_path": "/main.wasm",
        "on_exit": "Restart",
        "request_networking": True,
        "request_capabilities": ASKED,
        "public": True,
    }
    (folder / "manifest.json").write_text(json.dumps([entry]))
    return folder


def _field(value: bytes | str | None) -> bytes:
    if value is None:
        return b"\xff\xff\xff\xff"
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def _fields(data: bytes) -> Iterator[bytes | None]:
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        if size == 0xFFFFFFFF:
            yield None
        else:
            yield data[at : at + size]
            at += size


def _read(data: bytes) -> Iterator[Got]:
    at = 0
    while at < len(data):
        kind, at = chr(data[at]), at + 1
        if kind in "ot":
            yield Got(kind)
            continue
        found: list[bytes | None] = []
        for _ in range(4):
            (size,) = struct.unpack_from("<I", data, at)
            at += 4
            found.append(None if size == 0xFFFFFFFF else data[at : at + size])
            at += 0 if size == 0xFFFFFFFF else size
        source, body, mime, blob = found
        yield Got(kind, _text(source), body or b"", None if mime is None else mime.decode(), blob)


def _text(data: bytes | None) -> str:
    return (data or b"").decode()
