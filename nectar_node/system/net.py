"""net:distro:sys: what this node knows of others, and the "hi" of one node to another.

Any process of another node may say hello to this one, without further capability, and nothing else. Whatever the body,
it is shown in the log as a line `<node>: <text>`, cut short, its control characters made harmless, and answered `ack`.

Local processes with its messaging capability send questions in JSON: "GetPeers" is answered {"Peers": [peer, …]},
{"GetPeer": name} {"Peer": peer or null}, {"GetName": name} {"Name": record or null} from the name records that are
known here, and "GetDiagnostics" {"Diagnostics": text}; errors are {"Err": …}.

The existing node's net speaks MessagePack, and so do packages for it: the same questions are answered in MessagePack
in that node's shapes, where a peer is [name, key, routing]. A signature is never verified ({"Verified": false}): that
node says so of signers whom it does not know. What indexers of names tell ("KnsBatchUpdate" and its like), "Sign" and
all else is answered {"Err": text}, which no answer of that node's is, so that whoever waits goes on: names come from
this network's registrar, and a process signs nothing in the node's name.

Another body is a hello to oneself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from kernel.contract.message import Envelope
from nectar_node.base.system_processes import NET
from nectar_node.contract.actions import LogLine
from nectar_node.contract.json_shapes import RequestRefused, bad_request, dump, text_untrusted, variant_untrusted
from nectar_node.system.process import SORRY, Cause, SystemProcess, reply
from net.names.directory import NameRecord

MAX_QUESTION_BYTES = 4096
"""Bytes of a local question; a longer body is a hello."""
_NO_CHAIN = "this node takes names from its network's registrar, and none from a chain"
_NO_ACTION = "this node's net does not know that"
_TEXTS = frozenset(("ConnectionRequest", "GetPeer", "GetName"))
"""The actions in MessagePack that hold one text."""
_TOLD = frozenset(("KnsUpdate", "KnsBatchUpdate", "HnsUpdate", "HnsBatchUpdate"))
"""The actions in which indexers tell names."""
MAX_HELLO_CHARACTERS = 1000
"""Characters of one hello, as it is shown."""
MAX_HELLOS = 60
"""Hellos of one node that are shown within `WINDOW_SECONDS`: anybody can send them, and a log is finite."""
MAX_STRANGERS = 10_000
"""Nodes whose hellos are counted within that time; those of further nodes are not shown."""
WINDOW_SECONDS = 60.0

Peer = dict[str, object]
"""A peer as the status page shows it, with its name under "name"."""


class Net(SystemProcess):
    """The net, as processes reach it by message."""

    id = NET
    remote = True

    def __init__(
        self,
        our: str,
        peers: Callable[[], list[Peer]],
        record: Callable[[str], NameRecord | None],
        statistics: Callable[[], dict[str, int]],
    ) -> None:
        """`peers` returns the nodes there is a session with; `record` a name's record, if it is known here;
        `statistics` the net's figures.
        """
        super().__init__()
        self._our = our
        self._peers = peers
        self._record = record
        self._statistics = statistics
        self._hellos: Counter[str] = Counter()
        self._window_ends = 0.0

    def receive(self, envelope: Envelope, now: float) -> None:
        """Show a hello, or answer a question."""
        body = envelope.message.body
        if envelope.source.node == self._our and _is_message_pack(body):
            self._answer(envelope, msgspec.msgpack.encode(self._look_packed_untrusted(body)))
            return
        if envelope.source.node != self._our or len(body) > MAX_QUESTION_BYTES:
            self._hello(envelope, now)
            return
        try:
            question = json.loads(body)
        except (ValueError, RecursionError):
            self._hello(envelope, now)
            return
        try:
            value = self._look_untrusted(question)
        except RequestRefused as refused:
            value = {"Err": refused.value}
        self._answer(envelope, dump(value))

    def recover(self, cause: Cause, now: float) -> None:
        """Answer a request whose handling has failed."""
        if isinstance(cause, Envelope):
            self._answer(cause, dump({"Err": SORRY}))

    # --- hello ------------------------------------------------------------------------------------------------------

    def _hello(self, envelope: Envelope, now: float) -> None:
        node = envelope.source.node
        if now >= self._window_ends:
            self._hellos.clear()
            self._window_ends = now + WINDOW_SECONDS
        if self._hellos[node] >= MAX_HELLOS or len(self._hellos) > MAX_STRANGERS:
            self._answer(envelope, dump({"Err": "too many hellos within a minute"}))
            return
        self._hellos[node] += 1
        self._out.append(LogLine("net", 0, f"{node}: {presentable_untrusted(envelope.message.body)}"))
        self._answer(envelope, b"ack")

    # --- questions --------------------------------------------------------------------------------------------------

    def _look_untrusted(self, question: object) -> object:
        match variant_untrusted(question):
            case "GetPeers", None:
                return {"Peers": [self._describe(peer) for peer in self._peers()]}
            case "GetPeer", name:
                wanted = text_untrusted(name)
                found = [self._describe(peer) for peer in self._peers() if peer["name"] == wanted]
                return {"Peer": found[0] if found else None}
            case "GetName", name:
                return {"Name": _record_json(self._record(text_untrusted(name)))}
            case "GetDiagnostics", None:
                return {"Diagnostics": self._diagnostics()}
        raise bad_request('expected "GetPeers", {"GetPeer": name}, {"GetName": name} or "GetDiagnostics"')

    def _diagnostics(self) -> str:
        figures = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in self._statistics().items())
        states = (f"{peer['name']} {peer['state']}" for peer in self._peers())
        return "\n".join((f"{self._our}: {figures}", *states))

    def _look_packed_untrusted(self, body: bytes) -> object:
        """Return the answer to a question in MessagePack."""
        match _packed_untrusted(body):
            case "GetPeers", _:
                return {
                    "Peers": [_identity(str(peer["name"]), self._record(str(peer["name"]))) for peer in self._peers()]
                }
            case "GetPeer", name if name is not None:
                record = self._record(name)
                return {"Peer": None if record is None else _identity(name, record)}
            case "GetName", name if name is not None:  # there it is a hash, here the name itself
                return {"Name": None if self._record(name) is None else name}
            case "GetDiagnostics", _:
                return {"Diagnostics": self._diagnostics()}
            case "ConnectionRequest", name if name is not None:
                return {"Rejected": name}
            case "Verify", _:
                return {"Verified": False}
            case action, _ if action in _TOLD:
                return {"Err": _NO_CHAIN}
        return {"Err": _NO_ACTION}

    def _describe(self, peer: Peer) -> dict[str, Any]:
        return {**peer, "record": _record_json(self._record(str(peer["name"])))}

    def _answer(self, envelope: Envelope, body: bytes) -> None:
        answer = reply(NET, envelope, body)
        if answer is not None:
            self._out.append(answer)


def _is_message_pack(body: bytes) -> bool:
    """Whether a body is a variant in MessagePack, a short text or a map with one of these as its only key: no text in
    UTF-8 begins with such a byte.
    """
    return len(body) > 1 and (0xA1 <= body[0] <= 0xBF or (body[0] == 0x81 and 0xA1 <= body[1] <= 0xBF))


def _packed_untrusted(body: bytes) -> tuple[str, str | None]:
    """Return the name of a variant, and its argument if that is one text; of other arguments nothing is read, however
    long they are.
    """
    start = 1 if body[0] != 0x81 else 2
    name = body[start : start + (body[start - 1] & 0x1F)].decode(errors="replace")
    if name not in _TEXTS or len(body) > MAX_QUESTION_BYTES:
        return name, None
    try:
        return name, msgspec.msgpack.decode(body, type=dict[str, str]).get(name)
    except (msgspec.DecodeError, UnicodeDecodeError):  # which is also raised for another type
        return name, None


def _identity(name: str, record: NameRecord | None) -> list[object]:
    """Return a node as the existing node's net describes one: how it is routed is a variant, too."""
    if record is None:
        return [name, "", {"Routers": []}]
    key = f"0x{record.public_key.hex()}"
    if not record.endpoints:
        return [name, key, {"Routers": list(record.routers)}]
    host, port = record.endpoints[0].host, record.endpoints[0].port
    return [name, key, {"Direct": [host, {"tcp": port}]}]


def presentable_untrusted(body: bytes) -> str:
    """Return a text from somebody else, made fit for a terminal: cut short, in one line, without control characters."""
    text = body[: 4 * MAX_HELLO_CHARACTERS].decode(errors="replace")
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return shown if len(shown) <= MAX_HELLO_CHARACTERS else f"{shown[:MAX_HELLO_CHARACTERS]}…"


def _record_json(record: NameRecord | None) -> dict[str, object] | None:
    if record is None:
        return None
    return {
        "name": record.name,
        "public_key": record.public_key.hex(),
        "endpoints": [{"host": endpoint.host, "port": endpoint.port} for endpoint in record.endpoints],
        "routers": list(record.routers),
        "sequence": record.sequence,
    }
