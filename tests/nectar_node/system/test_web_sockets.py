"""Browsers reach processes by WebSocket: a whole simulated node with a real guest, in virtual time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nectar_node.contract.http import SocketFrame, SocketSend
from nectar_node.http import channels
from nectar_node.http.channels import MAX_UNSENT_BYTES, PING_SECONDS, SocketChannel
from nectar_node.http.extension_data import MESSAGE_TYPES, ExtensionData, decode_untrusted, encode
from nectar_node.system.web_sockets import WebSockets
from testnet.browsers.web_socket import NO_CLOSE, WINDOW_BYTES, SimWebSocket
from testnet.sim.programs import Programs
from testnet.sim.simulation import NodeSpec, SimNode, Simulation
from tests.web_site import write_guests

NODE = "a.nec"
GUEST = Path(__file__).resolve().parents[2] / "guests" / "sockets.wasm"
BASE = "/talk:site:local"
EARLY, LATE = "http_server:distro:sys", "http-server:distro:sys"
HOST = "talk--site--local.localhost"
ME = {"host": HOST, "origin": f"http://{HOST}"}


def site(folder: Path, *names: str) -> Path:
    """A package whose processes send back what comes by WebSocket."""
    asks = [EARLY, LATE, "timer:distro:sys"]
    return write_guests(folder, GUEST.read_bytes(), names or ["talk"], asks, on_exit="None")


class Talk:
    """A node with that package, and what browsers and its processes can do."""

    def __init__(self, simulation: Simulation, node: SimNode) -> None:
        self.simulation = simulation
        self.node = node

    def open(self, path: str = "/live", headers: dict[str, str] | None = None, **source: Any) -> SimWebSocket:
        return self.simulation.websocket(NODE, f"{BASE}{path}", ME if headers is None else headers, **source)

    def opened(self, path: str = "/live", headers: dict[str, str] | None = None, **source: Any) -> SimWebSocket:
        socket = self.open(path, headers, **source)
        assert socket.is_open, socket.refused
        return socket

    def refused(self, path: str = "/live", headers: dict[str, str] | None = None, **source: Any) -> int:
        socket = self.open(path, headers, **source)
        assert socket.refused is not None
        assert not socket.is_open
        return socket.refused.status

    def seen(self, process: str = "talk") -> list[str]:
        """What a process has seen, but for the ids of channels."""
        token = self.node.begin_to_ask(f"our@{process}:site:local", b'"Seen"', 60)
        self.simulation.wait(lambda: self.node.answer(token) is not None, 61)
        answer = self.node.answer(token)
        text = bytes(answer.message.body).decode(errors="replace")  # type: ignore[union-attr]
        return [re.sub(r" \d{4,}", "", line) for line in text.splitlines()]

    def tell(self, request: object, *, server: str = LATE, process: str = "talk", **blob: str) -> Any:
        """What the server answers when a process asks it that."""
        body = {"Tell": {"to": f"{NODE}@{server}", "body": json.dumps(request), **blob}}
        outcome = self.simulation.ask(NODE, f"our@{process}:site:local", body, 20)
        assert outcome.kind == "response", outcome
        return outcome.body

    @property
    def channels(self) -> channels.Channels:
        return self.node.core.web_sockets.channels

    def channel(self) -> int:
        """The id of the only channel."""
        (found,) = self.channels.by_id
        return found

    def rest(self, seconds: float) -> None:
        self.simulation.rest(seconds)


@pytest.fixture
def talk(tmp_path: Path, nectar_programs: Programs) -> Iterator[Talk]:
    with closing(Simulation(1, nectar_programs)) as simulation:
        node = simulation.boot_node(NodeSpec(NODE, (site(tmp_path / "pkg", "talk", "other"),)))
        simulation.settle()
        yield Talk(simulation, node)


def test_a_process_learns_of_a_browser_and_they_talk_in_order(talk: Talk) -> None:
    socket = talk.opened()
    sent: list[str | bytes] = ["hello", b"\x00\xff", "é" * 1000, "", b""]
    for each in sent:
        socket.send(each)
    assert [socket.receive() for _ in sent] == sent
    socket.close(1000, "done")
    talk.rest(1.0)
    assert socket.closed == (1000, "done")
    assert talk.seen() == ["open /live", "Close \x03\ufffddone", "close"]
    assert not talk.channels


def test_a_path_with_a_parameter_is_told_as_the_browser_has_it_and_no_other_path_is_served(talk: Talk) -> None:
    talk.opened("/rooms/7%20a")
    assert talk.refused("/rooms") == 404
    assert talk.refused("/live/more") == 404
    assert talk.simulation.get(NODE, f"{BASE}/live").status == 404, "a path for WebSockets is no page"  # type: ignore[union-attr]
    assert talk.tell({"WebSocketUnbind": {"path": "/rooms/:id"}}) == {"Ok": None}
    assert talk.refused("/rooms/7") == 404
    assert talk.seen() == ["open /rooms/7 a"]


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "https://localhost"}]
)
def test_a_page_of_another_site_gets_no_websocket(talk: Talk, headers: dict[str, str]) -> None:
    assert talk.refused(headers=headers) == 403
    assert talk.refused(headers={"host": "evil.example", **headers}) == 421
    talk.opened(headers={})  # what is no browser says nothing of an origin
    assert talk.seen() == ["open /live"]


def test_a_path_for_those_who_have_signed_in_is_theirs_and_only_as_long_as_they_are(talk: Talk) -> None:
    assert talk.refused("/mine") == 401
    me = talk.simulation.sign_in(NODE, "talk:site:local")
    assert talk.refused("/mine", {**me, "origin": "http://evil.example"}) == 403
    socket = talk.opened("/mine", me)
    talk.node.core.sessions.revoke(None)
    talk.rest(1.001)
    assert socket.closed == (1008, "signed out")
    assert talk.seen() == ["open /mine", "close"]


def test_a_secure_path_is_for_who_has_signed_in_at_the_origin_of_the_package(talk: Talk) -> None:
    assert talk.tell({"WebSocketSecureBind": {"path": "/safe", "extension": False}}) == {"Ok": None}
    assert talk.refused("/safe") == 401
    assert talk.refused("/safe", {"origin": "http://localhost"}) == 403
    talk.opened("/safe", talk.simulation.sign_in(NODE, "talk:site:local"))


def test_what_the_process_has_no_room_for_stays_with_the_browser_and_nothing_is_lost(talk: Talk) -> None:
    socket = talk.opened()
    socket.send("!sleep 60")
    talk.rest(1.0)
    sent = [f"{number} " + "x" * 4000 for number in range(6000)]
    for each in sent:
        socket.send(each)
    talk.rest(30.0)
    assert not socket.received
    (process,) = [each for id, each in talk.node.core.kernel.processes.items() if id.process == "talk"]
    assert process.mailbox.requests == 4096, "as many as an inbox takes"
    assert len(process.waiters) == 1, "one more waits for room, and the browser keeps the rest"
    assert socket.most_unread <= WINDOW_BYTES + 5000
    assert talk.opened(), "others are let in meanwhile"
    talk.rest(60.0)
    assert socket.received == sent


def test_a_browser_that_does_not_read_costs_the_process_an_error_and_loses_its_connection(talk: Talk) -> None:
    socket, other = talk.opened(), talk.opened()
    socket.stop_reading()
    socket.send("!flood 600 65536")
    talk.rest(1.0)
    assert talk.seen()[-1] == "close"
    channel = next(iter(talk.channels.by_id.values()))
    assert channel.unsent_bytes == 0
    other.send("still here")
    assert other.receive() == "still here"
    socket.read_on()
    talk.rest(1.0)
    got = sum(map(len, socket.received))
    assert MAX_UNSENT_BYTES // 2 < got < MAX_UNSENT_BYTES + 2 * WINDOW_BYTES
    assert socket.closed == (1008, "what is sent is read too slowly"), "the browser learns of it after what it was sent"


def test_an_error_says_why_a_push_goes_nowhere_in_the_shape_of_its_generation(talk: Talk) -> None:
    socket = talk.opened()
    push = {"channel_id": talk.channel(), "message_type": "Ping"}
    too_long = "x" * 126
    assert talk.tell({"WebSocketPush": push}, blob=too_long) == {"Err": "WsPingPongTooLong"}
    assert (
        "125 bytes"
        in talk.tell({"WebSocketPush": push}, blob=too_long, server=EARLY)["Err"]["WebSocketPushError"]["error"]
    )
    assert talk.tell({"WebSocketPush": push}) == {"Err": "NoBlob"}
    assert talk.tell({"WebSocketPush": push}, process="other", blob="x") == {"Err": "WsChannelNotFound"}
    assert talk.tell({"WebSocketClose": talk.channel()}, process="other") == {"Err": "WsChannelNotFound"}
    assert socket.is_open
    assert talk.tell({"WebSocketPush": {**push, "message_type": "Text"}}, blob="hi") == {"Ok": None}
    assert socket.receive() == "hi"
    assert talk.tell({"WebSocketPush": {**push, "message_type": "Close"}}) == {"Ok": None}
    talk.rest(1.0)
    assert socket.closed == (1000, "")
    assert talk.tell({"WebSocketPush": push}, blob="x") == {"Err": "WsChannelNotFound"}
    assert talk.tell({"WebSocketClose": push["channel_id"]}) == {"Ok": None}, "it has ended already"
    assert talk.seen() == ["open /live", "close"]


def test_pings_of_both_ends_are_answered_and_the_node_keeps_its_own_to_itself(talk: Talk) -> None:
    socket = talk.opened()
    socket.ping(b"you?")
    socket.send("!ping")
    talk.rest(3 * PING_SECONDS)
    assert socket.is_open
    assert socket.pongs == [b"you?"]
    assert talk.seen() == ["open /live", "Ping you?", "Pong from the process"]


def test_a_browser_that_answers_no_ping_has_gone(talk: Talk) -> None:
    socket = talk.opened()
    began = talk.simulation.now
    socket.stall()
    talk.simulation.wait(lambda: not talk.channels, 2 * PING_SECONDS)
    assert PING_SECONDS <= talk.simulation.now - began <= 2 * PING_SECONDS
    assert talk.seen() == ["open /live", "close"]


def test_pings_of_many_websockets_go_out_few_at_a_time_and_each_has_its_own(talk: Talk) -> None:
    """All of a second at once held up ten thousand WebSockets' node for a tenth of it."""
    emitted: list[object] = []
    sockets = WebSockets(NODE, talk.node.core.memory, 400, lambda: 1, lambda *_: True, emitted.append)
    process = talk.node.process("talk")
    for number in range(400):
        sockets.channels.add(SocketChannel(number, number * PING_SECONDS, process, process, False, "", ""))
        sockets.channels.by_token[number].reads = True  # all have their turn in the same second
    sockets._looks_at = 0.0
    now, pinged, most = 0.0, [0] * 400, 0
    while now < 3 * PING_SECONDS:
        sockets.on_timer(now)
        most = max(most, len(emitted))
        for action in emitted:
            assert isinstance(action, SocketSend)
            assert isinstance(action.token, int)
            sockets.channels.by_token[action.token].heard = True
            pinged[action.token] += 1
        emitted.clear()
        deadline = sockets.next_deadline()
        assert deadline is not None
        assert deadline > now
        now = deadline
    assert most == 8
    assert pinged == [3] * 400


@pytest.mark.parametrize("count", [10, 14, 15, 40])
def test_a_browser_that_takes_much_slowly_is_not_taken_for_gone_while_a_ping_waits_behind_that(
    talk: Talk, count: int
) -> None:
    socket = talk.opened()
    socket.slow_down(2.0)
    socket.send(f"!flood {count} 70000")
    talk.simulation.wait(lambda: len(socket.received) == count, 200)
    talk.rest(10.0)
    assert (socket.is_open, len(talk.channels)) == (True, 1)
    socket.stall()
    talk.simulation.wait(lambda: not talk.channels, 3 * PING_SECONDS)


def test_a_slow_browser_stays_and_gets_all_in_order(talk: Talk) -> None:
    socket = talk.opened()
    socket.slow_down(2.0)
    for number in range(100):
        socket.send(str(number))
    socket.stall()
    talk.rest(5.0)
    socket.go_on()
    talk.rest(2 * PING_SECONDS)
    assert socket.received == [str(number) for number in range(100)]


def test_a_browser_that_goes_away_in_the_middle_leaves_nothing_behind(talk: Talk) -> None:
    socket = talk.opened()
    socket.send("!flood 20 65536")
    socket.vanish()
    talk.rest(1.0)
    assert socket.closed == (NO_CLOSE, "")
    assert not talk.channels
    assert talk.seen()[-1] == "close"
    assert talk.seen().count("close") == 1


def test_the_end_of_a_process_ends_its_websockets_and_no_others(talk: Talk) -> None:
    socket = talk.opened()
    other = talk.simulation.websocket(NODE, "/other:site:local/live", ME)
    socket.send("!end")
    talk.rest(1.0)
    assert socket.closed == (1001, "the process has ended")
    assert other.is_open
    assert len(talk.channels) == 1
    assert talk.refused() == 404


def test_the_end_of_the_node_is_a_goodbye_to_browsers(talk: Talk) -> None:
    socket = talk.opened()
    talk.simulation.leave(NODE)
    assert socket.closed == (1001, "the node goes down")


def test_a_process_that_closes_a_websocket_is_told_of_its_end_once(talk: Talk) -> None:
    socket = talk.opened()
    socket.send("!close")
    socket.send("too late")
    talk.rest(1.0)
    assert socket.closed == (1000, "")
    assert talk.seen() == ["open /live", "close"]
    assert not talk.channels


def test_no_package_and_no_address_can_have_all_websockets(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk.node.core.web_sockets, "channels", channels.Channels(talk.node.core.memory, 32))
    far = ("10.0.0.7", 40_000)
    assert talk.opened(source=far)
    assert talk.opened(source=far)
    assert talk.refused(source=far) == 503, "two of 32 from one address of another machine"
    for _ in range(18):
        assert talk.opened()
    assert talk.refused() == 503, "twenty of 32 for one package"
    assert len(talk.channels) == 20


def test_channels_that_nobody_has_taken_the_end_of_count_still(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk.node.core.web_sockets, "channels", channels.Channels(talk.node.core.memory, 16))
    talk.opened().send("!sleep 60")
    talk.rest(1.0)
    talk.node.core.kernel.processes[talk.node.process("talk")].mailbox.requests += 4096  # it has no room
    for _ in range(9):
        talk.opened().vanish()
    talk.rest(1.0)
    assert talk.refused() == 503
    talk.node.core.kernel.processes[talk.node.process("talk")].mailbox.requests -= 4096
    talk.rest(70.0)
    assert talk.opened()


def test_a_failure_of_our_own_ends_the_websocket_at_which_it_came_up_and_no_other(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, other = talk.opened(), talk.opened()
    frame = talk.node.core.web_sockets.frame
    talk.simulation.contained = []

    def fails(event: SocketFrame) -> None:
        if not talk.simulation.contained:
            raise RuntimeError("our own")
        frame(event)

    monkeypatch.setattr(talk.node.core.web_sockets, "frame", fails)
    socket.send("one")
    talk.rest(1.0)
    assert socket.closed == (1011, "the node failed")
    other.send("two")
    assert other.receive() == "two"
    assert len(talk.channels) == 1


# --- extensions -------------------------------------------------------------------------------------------------------


def test_an_extension_answers_the_request_that_the_process_sent_it(talk: Talk) -> None:
    socket = talk.opened("/extension", {})
    fields = {"channel_id": talk.channel(), "message_type": "Binary", "desired_reply_type": "Response"}
    body = {
        "Tell": {"to": f"{NODE}@{LATE}", "body": json.dumps({"WebSocketExtPushOutgoing": fields}), "blob": "\u00ff"}
    }
    token = talk.node.begin_to_ask("our@talk:site:local", json.dumps(body).encode(), 20)
    asked = decode_untrusted(socket.receive())  # type: ignore[arg-type]
    assert asked is not None
    assert (asked.message_type, asked.blob) == ("Response", b"\xc3\xbf")
    socket.send(encode(asked._replace(blob=b"an answer")))
    talk.simulation.wait(lambda: talk.node.answer(token) is not None, 10)
    answer = talk.node.answer(token)
    assert answer is not None
    assert bytes(answer.blob.bytes) == b"an answer"  # type: ignore[union-attr]
    assert json.loads(answer.message.body) == {  # type: ignore[union-attr]
        "WebSocketPush": {"channel_id": fields["channel_id"], "message_type": "Binary"}
    }
    socket.send(encode(asked._replace(blob=b"again")))  # nobody waits for it
    socket.send(encode(ExtensionData(7, "Request", b"a request")))
    socket.send("plain text")
    assert socket.receive() == b"a request"
    assert socket.receive() == "plain text"


def test_an_extension_runs_on_the_machine_of_the_node(talk: Talk) -> None:
    assert talk.refused("/extension", {}, source=("10.0.0.7", 1)) == 403
    assert talk.refused("/extension", {"x-forwarded-for": "1.2.3.4"}) == 403
    assert talk.refused("/extension", {"origin": "http://evil.example"}) == 403


def test_what_extensions_send_is_read_as_both_generations_write_it() -> None:
    wanted = ExtensionData((1 << 64) - 1, "Response", bytes(range(256)))
    numbers, write = list(range(256)), msgspec.msgpack.encode
    for fields in (
        {"id": wanted.id, "kinode_message_type": "Response", "blob": numbers},
        {"id": wanted.id, "hyperware_message_type": "Response", "blob": wanted.blob},
        [wanted.id, "Response", numbers],
        [wanted.id, "Response", wanted.blob],
    ):
        assert decode_untrusted(write({"WebSocketExtPushData": fields})) == wanted
    assert decode_untrusted(encode(wanted)) == wanted
    for bad in (
        *(b"", b"\xc1", b"\x91" * 100_000, b"\x81\xa1x" + b"\x91" * 100_000),
        *(write("text"), write({"WebSocketExtPushData": [1, "Reply", []]}), write({"WebSocketExtPushData": {"id": 1}})),
        *(write({"WebSocketExtPushData": [1, kind, [256]]}) for kind in MESSAGE_TYPES),
    ):
        assert decode_untrusted(bad) is None
