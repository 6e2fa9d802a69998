"""Processes ask servers: whole simulated nodes with real guests, and an internet in virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kernel.contract.guest import Arrival
from kernel.wasm.canonical.wit import INTERFACES
from nectar_node.base.errors import BadInput
from nectar_node.http.fetching.addresses import AddressReach, reach
from nectar_node.http.fetching.hops import BadUrl, Hop, url_untrusted
from testnet.faults.latency import Latency
from testnet.faults.partition import Partition
from testnet.model.internet import ServedSocket, WebAnswer, WebRequest
from testnet.model.lab import Level
from testnet.model.where import Where
from testnet.sim.node import NodeSpec
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from testnet.testing.networks import open_run
from testnet.testing.package_lab import PackageLab
from tests.kernel.wasm.official import component
from tests.kernel.wasm.puppet import Script, dumped, imports_of, puppet
from tests.nectar_node.puppet_guest import EARLY, LATE
from tests.seeds import seeds
from tests.web_site import write_guests

NODE = "a.nec"
PROBE = Path(__file__).resolve().parents[2] / "guests" / "probe.wasm"
SHOPPER = PROBE.parent / "shopper.wasm"
EARLY_NAME, LATE_NAME = "http_client:distro:sys", "http-client:distro:sys"
URL = "https://api.example.com"


def package(folder: Path, wasm: bytes, *, name: str = "web", asks: bool = True) -> Path:
    """A package of one process, which may ask servers if it `asks`."""
    return write_guests(folder, wasm, ["main"], [EARLY_NAME, LATE_NAME] if asks else [], name, "x.nec")


class Web:
    """A node with probes, and the internet around it."""

    def __init__(self, simulation: Simulation) -> None:
        self.sim = simulation

    def run(self, *steps: object, process: str = "main:web:x.nec", seconds: int = 100) -> list[dict[str, Any]]:
        """What a probe sees when it does that."""
        target = f"our@{process}"
        self.sim.ask(NODE, target, "Forget", 10)
        done = self.sim.begin(NODE, target, [*steps, {"Respond": {"body": "[]"}}], seconds)
        self.sim.wait(lambda: done.outcome is not None, seconds + 1.0)
        return self.report(process)

    def report(self, process: str = "main:web:x.nec") -> list[dict[str, Any]]:
        answer = self.sim.ask(NODE, f"our@{process}", "Report", 10)
        assert answer.kind == "response"
        seen: list[dict[str, Any]] = answer.body
        return [each for each in seen if each["kind"] in ("response", "request", "error", "blob")]

    def ask(
        self, body: object, *, server: str = LATE_NAME, blob: str | None = None, expects: int = 30, **more: Any
    ) -> Any:
        """The JSON that a process gets as the answer, or the kind of the error."""
        carried = None if blob is None else {"text": blob}
        step = {"Await": {"to": f"our@{server}", "body": json.dumps(body), "expects": expects, "blob": carried}}
        (seen,) = [each for each in self.run(step, **more) if each["kind"] in ("response", "error")]
        return json.loads(seen["body"]) if seen["kind"] == "response" else seen["failure"]

    def get(self, url: str = URL, **more: Any) -> Any:
        return self.ask(http(url), **more)


def http(url: str, method: str = "GET", headers: object = None, version: object = None) -> object:
    return {"Http": {"method": method, "version": version, "url": url, "headers": headers or {}}}


@pytest.fixture
def web(tmp_path: Path, nectar_programs: Programs) -> Iterator[Web]:
    with closing(Simulation(1, nectar_programs)) as simulation:
        wasm = PROBE.read_bytes()
        packages = (
            package(tmp_path / "web", wasm),
            package(tmp_path / "other", wasm, name="other"),
            package(tmp_path / "mute", wasm, name="mute", asks=False),
        )
        simulation.boot_node(NodeSpec(NODE, packages, http_client_private=("other:x.nec",)))
        simulation.settle()
        yield Web(simulation)


def hello(request: WebRequest) -> WebAnswer:
    return WebAnswer(201, {"Content-Type": "text/plain", "X-A": "1"}, f"{request.method} {request.url}".encode())


# --- the generations ------------------------------------------------------------------------------------------------


class Guest:
    """A puppet of one interface that sends what it is told to."""

    def __init__(self, folder: Path, programs: Programs, module: str) -> None:
        self.interface = INTERFACES[module]
        self.late = module in LATE
        self.name = "http-client" if self.late else "http_client"
        self.sim = Simulation(1, programs)
        wasm = component(module, puppet(imports_of(self.interface)))
        self.node = self.sim.boot_node(NodeSpec(NODE, (package(folder / "guest", wasm),)))
        self.sim.settle()

    def ask(self, body: object, blob: bytes | None = None) -> tuple[Any, bytes | None]:
        script = Script(self.interface)
        carried = None if blob is None else (None, blob)
        target, request = (NODE, (self.name, "distro", "sys")), (False, 20, json.dumps(body).encode(), None, ())
        script.call("send-and-await-response", target, request, carried, slot=0)
        script.call("get-blob", slot=1)
        answer = self.node.ask("our@main:web:x.nec", script.dump().body(), 60)
        assert isinstance(answer, Arrival)
        memory = answer.message.body
        outcome: Any = dumped(memory, script.function("send-and-await-response"), 0)
        found: Any = dumped(memory, script.function("get-blob"), 1)
        failed, (_, (_, (response, _))) = outcome
        assert not failed
        return json.loads(bytes(response[1])), None if found is None else bytes(found[1])


@pytest.mark.parametrize("module", EARLY + LATE)
def test_a_guest_of_each_interface_gets_answers_and_errors_in_its_own_shapes(
    tmp_path: Path, nectar_programs: Programs, module: str
) -> None:
    guest = Guest(tmp_path, nectar_programs, module)
    late = guest.late
    with closing(guest.sim):
        guest.sim.serve_http(URL, hello)
        guest.sim.serve_websocket("wss://chat.example.com", lambda socket, message: socket.send(message))
        value, blob = guest.ask(http(f"{URL}/x", "PUT"), b"body")
        assert value == {"Ok": {"Http": {"status": 201, "headers": {"content-type": "text/plain", "x-a": "1"}}}}
        assert blob == b"PUT https://api.example.com/x"

        def err(body: object, blob: bytes | None = None) -> Any:
            return guest.ask(body, blob)[0]["Err"]

        assert err(http("ftp://x/")) == {"BadUrl": {"url": "ftp://x/"}}
        assert err(http(URL, "CONNECT")) == {"BadMethod": {"method": "CONNECT"}}
        assert err(http(URL, version="HTTP/3.0")) == {"BadVersion": {"version": "HTTP/3.0"}}
        why = "there is no request 'What': expected Http or one of WebSockets"
        assert err("What") == ("MalformedRequest" if late else {"BadRequest": {"req": why}})
        why = "'a b' is no header of HTTP"
        built = {"BuildRequestFailed": why} if late else {"RequestFailed": {"error": why}}
        assert err(http(URL, headers={"a b": "c"})) == built
        why = "the name nowhere.example is not known"
        executed = {"ExecuteRequestFailed": why} if late else {"RequestFailed": {"error": why}}
        assert err(http("http://nowhere.example")) == executed

        open_it = {"WebSocketOpen": {"url": "wss://chat.example.com", "headers": {}, "channel_id": 3}}
        push = {"WebSocketPush": {"channel_id": 3, "message_type": "Text"}}
        unknown = err(push, b"x")
        if late:
            assert unknown == {"WsPushUnknownChannel": {"channel_id": 3}}
        else:
            assert unknown == {"WsPushFailed": {"req": "there is no channel 3"}}
        assert err({"WebSocketClose": {"channel_id": 3}}) == {"WsCloseFailed": {"channel_id": 3}}
        nowhere = {"WebSocketOpen": {"url": "ws://nowhere.example", "headers": {}, "channel_id": 3}}
        assert err(nowhere) == {"WsOpenFailed": {"url": "ws://nowhere.example"}}
        assert guest.ask(open_it) == ({"Ok": "WebSocketAck"}, None)
        assert err(push) == ("WsPushNoBlob" if late else {"WsPushFailed": {"req": "there is no blob"}})
        assert err(push, b"\xff") == ("WsPushBadText" if late else {"WsPushFailed": {"req": "a text is not UTF-8"}})
        assert guest.ask(push, b"hi") == ({"Ok": "WebSocketAck"}, None)
        assert guest.ask({"WebSocketClose": {"channel_id": 3}}) == ({"Ok": "WebSocketAck"}, None)


# --- rights ---------------------------------------------------------------------------------------------------------


def test_who_may_not_message_the_client_reaches_nobody(web: Web) -> None:
    asked: list[WebRequest] = []
    web.sim.serve_http(URL, asked.append)
    assert web.get(process="main:mute:x.nec", expects=5) == "timeout"
    assert not asked


def test_a_private_server_answers_the_packages_that_the_user_allows_and_no_others(web: Web) -> None:
    web.sim.serve_http("http://printer.lan", hello, address="192.168.1.9")
    web.sim.serve_http("http://mapped.example", hello, address="::ffff:10.0.0.1")
    web.sim.serve_http("http://nobody.example", hello, address="0.0.0.0")
    for url, address in (("http://printer.lan", "192.168.1.9"), ("http://mapped.example", "::ffff:10.0.0.1")):
        why = web.get(url)["Err"]["ExecuteRequestFailed"]
        assert why.startswith(f"{address} is this machine's or a private network's, which the node's user has not")
        assert web.get(url, process="main:other:x.nec")["Ok"]["Http"]["status"] == 201
    assert "Err" in web.get("http://nobody.example", process="main:other:x.nec")
    assert "http-client-private" in web.get("http://127.0.0.1:8080")["Err"]["ExecuteRequestFailed"]


def test_a_redirect_to_a_private_server_is_refused_like_a_request_to_it(web: Web) -> None:
    asked: list[WebRequest] = []
    web.sim.serve_http("http://metadata.example", lambda request: asked.append(request), address="169.254.169.254")
    web.sim.serve_http(URL, lambda _: WebAnswer(302, {"Location": "http://metadata.example/secret"}))
    assert "has not allowed" in web.get()["Err"]["ExecuteRequestFailed"]
    assert not asked


# --- the internet's faults ------------------------------------------------------------------------------------------


def test_the_time_of_the_message_is_the_limit_and_the_server_sees_the_end(web: Web) -> None:
    web.sim.serve_http(URL, lambda _: None)
    began = web.sim.now
    assert web.get(expects=7) == "timeout"
    assert web.sim.now - began == pytest.approx(7, abs=0.2)
    web.sim.rest(0)
    assert [*web.sim.nodes[NODE].core.http_client.queue.figures()] == [0, 0, 0]
    assert not web.sim.internet._lines


def test_a_server_that_breaks_off_is_an_error_at_once(web: Web) -> None:
    def breaks(_: WebRequest) -> WebAnswer:
        raise ConnectionResetError

    web.sim.serve_http(URL, breaks)
    assert web.get() == {"Err": {"ExecuteRequestFailed": "the connection has broken"}}


def test_a_partition_from_a_server_is_waited_out(web: Web) -> None:
    web.sim.serve_http(URL, hello)
    fault = Partition(Where(NODE, "api.example.com"))
    with web.sim.apply(fault):
        assert web.get(expects=3) == "timeout"
    assert web.get()["Ok"]["Http"]["status"] == 201


def test_requests_end_with_their_process(web: Web) -> None:
    web.sim.serve_http(URL, lambda _: None)
    ask = {"Send": {"to": f"our@{LATE_NAME}", "body": json.dumps(http(URL)), "expects": 600}}
    web.run(*[ask] * 40)
    client = web.sim.nodes[NODE].core.http_client
    assert [*client.queue.figures()][:2] == [32, 8]
    web.sim.begin(NODE, "our@main:web:x.nec", ["Return"], 5)
    web.sim.rest(1)
    assert [*client.queue.figures()] == [0, 0, 0]
    assert not web.sim.internet._lines


def test_a_package_at_its_bounds_leaves_the_others_theirs(web: Web) -> None:
    web.sim.serve_http(URL, lambda _: None)
    web.sim.serve_http("https://other.example.com", hello)
    ask = {"Send": {"to": f"our@{LATE_NAME}", "body": json.dumps(http(URL)), "expects": 600}}
    web.run(*[ask] * 300)
    refusals = [json.loads(each["body"]) for each in web.report() if each["kind"] == "response"]
    assert refusals == [{"Err": {"ExecuteRequestFailed": "too many requests of this package are under way"}}] * 12
    assert web.get("https://other.example.com", process="main:other:x.nec")["Ok"]["Http"]["status"] == 201


def test_a_websocket_carries_messages_until_the_server_closes_it(web: Web) -> None:
    sockets: list[ServedSocket] = []

    def answer(socket: ServedSocket, message: str | bytes) -> None:
        sockets.append(socket)
        socket.send(f"{message!r}")
        if message == "bye":
            socket.close()

    web.sim.serve_websocket("ws://chat.example.com", answer)
    assert web.ask({"WebSocketOpen": {"url": "ws://chat.example.com", "headers": {}, "channel_id": 1}}) == {
        "Ok": "WebSocketAck"
    }
    assert web.ask({"WebSocketPush": {"channel_id": 1, "message_type": "Text"}}, blob="bye") == {"Ok": "WebSocketAck"}
    web.sim.rest(1)
    seen = [each for each in web.report() if each["kind"] == "request" and each["source"].endswith(LATE_NAME)]
    assert [json.loads(each["body"]) for each in seen] == [
        {"WebSocketPush": {"channel_id": 1, "message_type": "Text"}},
        {"WebSocketClose": {"channel_id": 1}},
    ]
    assert not sockets[0].is_open
    assert [*web.sim.nodes[NODE].core.http_client.queue.figures()] == [0, 0, 0]


def test_a_websocket_that_floods_a_process_that_sleeps_is_held_at_its_inbox(web: Web) -> None:
    def flood(socket: ServedSocket, _: str | bytes) -> None:
        for number in range(5_000):
            socket.send(f"{number}")

    web.sim.serve_websocket("ws://flood.example.com", flood, latency=(0.0, 0.0))
    open_it = {"WebSocketOpen": {"url": "ws://flood.example.com", "headers": {}, "channel_id": 1}}
    push = {"WebSocketPush": {"channel_id": 1, "message_type": "Text"}}
    to = {"to": f"our@{LATE_NAME}", "expects": 60}
    steps = (
        {"Await": {**to, "body": json.dumps(open_it)}},
        {"Send": {**to, "body": json.dumps(push), "blob": {"text": "go"}}},
        {"Await": {"to": "our@timer:distro:sys", "body": '{"SetTimer": 3000}', "expects": 60}},
    )
    began = web.sim.begin(NODE, "our@main:web:x.nec", [*steps, {"Respond": {"body": "1"}}], 60)
    web.sim.rest(2)
    (mailbox,) = [
        each.mailbox for id, each in web.sim.nodes[NODE].core.kernel.processes.items() if str(id) == "main:web:x.nec"
    ]
    assert 4000 <= len(mailbox) <= 4100
    web.sim.wait(lambda: began.outcome is not None, 60)
    web.sim.rest(5)
    assert len(mailbox) == 0
    pushes = [each for each in web.report() if each["kind"] == "request" and "WebSocketPush" in each["body"]]
    assert len(pushes) == 5_000


def test_what_a_simulation_asks_is_the_same_for_the_same_seed(tmp_path: Path, nectar_programs: Programs) -> None:
    def run(folder: Path) -> str:
        with closing(Simulation(7, nectar_programs)) as simulation:
            simulation.boot_node(NodeSpec(NODE, (package(folder, PROBE.read_bytes()),)))
            simulation.settle()
            simulation.serve_http(URL, hello)
            assert Web(simulation).get()["Ok"]
            return simulation.digest()

    assert run(tmp_path / "one") == run(tmp_path / "two")


# --- addresses and URLs ---------------------------------------------------------------------------------------------


def test_no_address_counts_as_public_that_the_registries_do_not_call_global() -> None:
    chance = Random(1)
    fours = [10, 127, 169, 172, 192, 100, 198, 203, 224, 0, 255, 8]
    sixes = [0x2000, 0x2001, 0x2002, 0x3FFF, 0xFC00, 0xFE80, 0xFEC0, 0xFF00, 0]
    nat64 = int(IPv6Address("64:ff9b::"))
    for _ in range(3_000):
        four = IPv4Address(chance.choice(fours) << 24 | chance.getrandbits(24))
        six = IPv6Address(chance.choice(sixes) << 112 | chance.getrandbits(112))
        if reach(str(six)) is AddressReach.PUBLIC:
            assert six.is_global, six
        is_public = reach(str(four)) is AddressReach.PUBLIC
        assert not is_public or (four.is_global and not four.is_multicast), four
        for inside in (IPv6Address(f"::ffff:{four}"), IPv6Address(nat64 | int(four))):
            assert (reach(str(inside)) is AddressReach.PUBLIC) == is_public, inside
    for text in ("8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"):
        assert reach(text) is AddressReach.PUBLIC
    assert reach("fe80::1%eth0") is AddressReach.PRIVATE
    assert reach("localhost") is AddressReach.NEVER
    assert reach("2002:7f00:1::") is AddressReach.NEVER  # 6to4, with loopback inside


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "//host/",
        "http://",
        "http:///path",
        "http://a b/",
        "http://a\\@b/",
        "http://user:password@host/",
        "http://host:99999/",
        "http://host:25/",
        "http://host:6667/",
        "http://host:0/",
        "http://[::1%25eth0]/",
        "http://[1.2.3.4]/",
        "http://[::1/",
        "http://ho%73t/",
        "http://a..b/",
        "http://host/\r\nX: y",
        "http://host/" + "a" * 9000,
        "file:///etc/passwd",
        "ws://host/",
        "http://\u200b.com/",
        "http://\udcff/",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(BadUrl):
        url_untrusted(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("https://example.com:443/a?b=c#d", "https://example.com/a?b=c"),
        ("http://example.com:8080?q", "http://example.com:8080/?q"),
        ("http://bücher.example/ü?ö=%41", "http://xn--bcher-kva.example/%C3%BC?%C3%B6=%41"),
        ("http://[2606:4700:0::1]/", "http://[2606:4700::1]/"),
        ('http://h/a"b<c>', "http://h/a%22b%3Cc%3E"),
    ],
)
def test_a_url_is_read_once_into_what_is_asked_for(text: str, url: str) -> None:
    read = url_untrusted(text)
    assert str(read) == url
    assert url_untrusted(str(read)) == read


@pytest.mark.parametrize(
    ("status", "method", "location", "expected"),
    [
        (301, "POST", "/b", ("GET", "http://h/b", b"", ["X-A"])),
        (303, "PUT", "/b", ("GET", "http://h/b", b"", ["Authorization", "X-A"])),
        (308, "POST", "b?c", ("POST", "http://h/a/b?c", b"body", ["Authorization", "Content-Type", "X-A"])),
        (307, "POST", "https://h/", ("POST", "https://h/", b"body", ["Content-Type", "X-A"])),
        (302, "GET", "//other", ("GET", "http://other/", b"body", ["Content-Type", "X-A"])),
        (302, "GET", "ftp://h/", None),
        (302, "GET", "http://h:25/", None),
        (304, "GET", "/b", None),
    ],
)
def test_where_a_redirect_leads_and_what_it_takes_along(
    status: int, method: str, location: str, expected: tuple[str, str, bytes, list[str]] | None
) -> None:
    headers = (("Authorization", "k"), ("Content-Type", "t"), ("X-A", "1"))
    hop = Hop(method, url_untrusted("http://h/a/"), headers, b"body").after(status, (("location", location),))
    if expected is None:
        assert hop is None
        return
    assert hop is not None
    names = [name for name, _ in hop.headers]
    if status == 301:
        names.remove("Authorization")  # it stays with the same server
    assert (hop.method, str(hop.url), hop.body, names) == expected


@pytest.mark.parametrize("seed", seeds(8, 200))
def test_whatever_a_guest_asks_it_gets_one_answer_and_nothing_is_held(web: Web, seed: int) -> None:
    """Requests that are drawn: most are none, and the servers break off, never answer, or redirect in circles."""
    chance = Random(seed)

    def server(request: WebRequest) -> WebAnswer | None:
        match chance.randrange(5):
            case 0:
                raise OSError
            case 1:
                return None
            case 2:
                return WebAnswer(302, {"Location": chance.choice(["/", "http://lan.example/", "http://[", "x" * 9000])})
            case 3:
                return WebAnswer(200, {"X": "y" * chance.choice([1, 40_000])}, bytes(chance.choice([0, 1, 200_000])))
        return WebAnswer(chance.choice([200, 204, 304, 500]))

    web.sim.serve_http(URL, server)
    web.sim.serve_http("http://lan.example", hello, address="10.0.0.1")
    web.sim.serve_websocket("ws://chat.example", lambda socket, _: socket.close() if chance.random() < 0.5 else None)
    values: list[object] = [
        None,
        "",
        "GET",
        URL,
        {},
        [],
        1,
        -1,
        1 << 40,
        {"A": "b"},
        {"a\r\n": "b"},
        "Text",
        "ws://chat.example",
    ]

    def drawn() -> object:
        names = ["method", "version", "url", "headers", "channel_id", "message_type"]
        fields = {name: chance.choice(values) for name in names if chance.random() < 0.8}
        sound: dict[str, object] = {"method": "GET", "version": None, "url": URL, "headers": {}}
        sound |= {"channel_id": 1, "message_type": "Text"}
        if chance.random() < 0.7:
            fields = {**sound, **dict(chance.sample(sorted(fields.items()), min(1, len(fields))))}
        if chance.random() < 0.3:
            fields["url"] = "ws://chat.example"
        name = chance.choice(["Http", "Http", "WebSocketOpen", "WebSocketPush", "WebSocketClose", "Nonsense"])
        return {name: fields}

    asks = [
        {
            "Send": {
                "to": f"our@{chance.choice([EARLY_NAME, LATE_NAME])}",
                "body": json.dumps(drawn()),
                "expects": 5,
                "blob": chance.choice([None, {"text": "x"}]),
            }
        }
        for _ in range(60)
    ]
    web.run(*asks)
    web.sim.rest(10)
    seen = [each for each in web.report() if each["kind"] in ("response", "error")]
    assert len(seen) == 60
    client = web.sim.nodes[NODE].core.http_client
    web.sim.begin(NODE, "our@main:web:x.nec", ["Return"], 5)
    web.sim.rest(1)
    assert [*client.queue.figures()] == [0, 0, 0]
    assert not web.sim.internet._lines
    assert not web.sim.nodes[NODE].core.failures.get("http_client:distro:sys")


def prices(request: WebRequest) -> WebAnswer:
    assert request.headers["x-wants"] == '"tea"'
    return WebAnswer(200, {"Content-Type": "text/plain"}, request.body + b" 3")


def test_a_package_lab_plays_servers_and_their_faults_for_a_process_in_zig(
    tmp_path: Path, nectar_programs: Programs
) -> None:
    folder = package(tmp_path / "pkg", SHOPPER.read_bytes(), name="shop")
    with open_run(Level.SIMULATION, 3, tmp_path, nectar_programs) as run:
        sim = PackageLab(run, (tmp_path,))
        sim.boot(NODE, packages=[folder])
        shop = "our@main:shop:x.nec"
        sim.serve_http(URL, prices, latency=(0.1, 0.2))
        assert sim.ask(NODE, shop, f"{URL}/x").body == "200 text/plain how much? 3"
        with sim.apply(Partition(Where(NODE, "api.example.com"))):
            assert sim.ask(NODE, shop, URL, timeout=20).body == "timeout"
        with sim.apply(Latency(1.0, where=Where(NODE, "api.example.com"))):
            assert sim.ask(NODE, shop, URL, timeout=20).body == "200 text/plain how much? 3"
        assert sim.ask(NODE, shop, "http://x.example").body == (
            '{"RequestFailed":{"error":"the name x.example is not known"}}'
        )
        with pytest.raises(BadInput, match="takes all paths"):
            sim.serve_http(f"{URL}/path", prices)
