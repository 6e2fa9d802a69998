"""What a guest's requests and answers of wasi:http take of the node is bounded, whatever it makes, keeps or drops."""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from kernel.contract.address import Address
from kernel.contract.errors import BadModule, GuestLimit, GuestTrap
from kernel.contract.guest import Arrival, Failure, SendAndHear, StopHearing
from kernel.contract.http import HttpCall, HttpFailure, ServerAnswer
from kernel.contract.limits import MAX_BLOB_BYTES
from kernel.contract.message import LazyLoadBlob, Reason, Request, Response, SendError, SendErrorKind
from kernel.wasm.engine import Engine
from kernel.wasm.wasi import http, io
from kernel.wasm.wasi.exchanges import Exchanges
from kernel.wasm.wasi.http import (
    FutureIncomingResponse,
    FutureTrailers,
    HeaderFields,
    IncomingBody,
    IncomingResponse,
    OutgoingBody,
    OutgoingRequest,
    RequestOptions,
)
from kernel.wasm.wasi.http_errors import error_code
from kernel.wasm.wasi.state import MAX_HELD_BYTES, InputStream, IoError, OutputStream, Pollable, WasiState
from tests.kernel.wasm import component_texts
from tests.kernel.wasm.component_texts import guest_component, trap_of
from tests.kernel.wasm.guests import OUR

TYPES, HANDLE = http.ACTS["wasi:http/types"], http.ACTS["wasi:http/outgoing-handler"]["handle"]
STREAMS = io.ACTS["wasi:io/streams"]
SECOND = 1_000_000_000
FORBIDDEN, IMMUTABLE, INVALID = (1, (1, None)), (1, (2, None)), (1, (0, None))
FAILED, CLOSED = 0, 1


class Servers:
    """Answers with the blob of what it is told."""

    def request(self, call: HttpCall) -> tuple[Address, bytes, LazyLoadBlob | None]:
        return OUR, f"{call.method} {call.url}".encode(), LazyLoadBlob(None, call.body)

    def answer(self, outcome: Arrival | Failure) -> ServerAnswer | HttpFailure:
        if isinstance(outcome, Failure):
            return HttpFailure("internal-error", "why")
        assert outcome.blob is not None
        return ServerAnswer(200, (("x", b"y"),), outcome.blob.bytes)


class Guest:
    """What a guest has, and its calls by their names."""

    def __init__(self) -> None:
        self.now = 5
        self.asked: list[SendAndHear] = []
        self.forgotten: list[int] = []
        """What it does not want any more, by the numbers of what it has asked."""
        self.exchanges = Exchanges(Servers(), self._send)
        self.state = WasiState(
            lambda _verbosity, _data: None, bytes, lambda: 1, lambda: self.now, None, 16, self.exchanges
        )

    def _send(self, effect: SendAndHear | StopHearing) -> None:
        if isinstance(effect, SendAndHear):
            self.asked.append(effect)
        else:
            self.forgotten.append(effect.number)

    def new(self, kind: type, name: str, *parameters: Any) -> Any:
        """The resource that a call makes."""
        made = TYPES[name](self.state, *parameters)
        if isinstance(made, tuple):
            case, made = made
            assert case == 0, made
        return self.state.get(made, kind.kind)  # type: ignore[attr-defined]

    def request(self) -> OutgoingRequest:
        found: OutgoingRequest = self.new(OutgoingRequest, "[constructor]outgoing-request", HeaderFields())
        assert TYPES["[method]outgoing-request.set-authority"](self.state, found, "example.com") == (0, None)
        return found

    def handle(self, request: OutgoingRequest) -> FutureIncomingResponse:
        """Ask; the guest gives the request away."""
        self.state.take(self.handle_of(request), OutgoingRequest.kind)
        case, future = HANDLE(self.state, request, None)
        assert case == 0
        found: FutureIncomingResponse = self.state.get(future, FutureIncomingResponse.kind)
        return found

    def handle_of(self, resource: object) -> int:
        return next(handle for handle, each in self.state._resources.items() if each is resource)

    def tell(self, number: int, size: int) -> None:
        self.exchanges.hear(number, Arrival(OUR, Response(False, b""), None, LazyLoadBlob(None, bytes(size))))

    def get(self, future: FutureIncomingResponse) -> Any:
        return TYPES["[method]future-incoming-response.get"](self.state, future)

    def drop_all(self) -> None:
        for handle, resource in list(self.state._resources.items()):
            while handle in self.state._resources:
                self.state.drop(handle, resource.kind)


@pytest.fixture
def guest() -> Guest:
    return Guest()


def test_headers_are_bounded_and_those_of_a_request_do_not_change(guest: Guest) -> None:
    fields = guest.new(HeaderFields, "[constructor]fields")
    append, put = TYPES["[method]fields.append"], TYPES["[method]fields.set"]
    assert append(guest.state, fields, "X-Long", b"v" * 60_000) == (0, None)
    assert append(guest.state, fields, "x-more", b"v" * 6000) == FORBIDDEN
    assert put(guest.state, fields, "x-long", (b"1", b"2")) == (0, None)
    assert TYPES["[method]fields.get"](guest.state, fields, "X-LONG") == (b"1", b"2")
    assert append(guest.state, fields, "a", b"line\r\nb: 1") == INVALID
    request = guest.new(OutgoingRequest, "[constructor]outgoing-request", fields)
    kept = guest.new(HeaderFields, "[method]outgoing-request.headers", request)
    assert append(guest.state, kept, "a", b"1") == IMMUTABLE
    copied = guest.new(HeaderFields, "[method]fields.clone", kept)
    assert append(guest.state, copied, "a", b"1") == (0, None)


def test_headers_that_a_guest_copies_without_end_end_it(guest: Guest) -> None:
    entries = tuple((f"x-{n}", b"v" * 600) for n in range(90))
    fields = guest.new(HeaderFields, "[static]fields.from-list", entries)
    while guest.state.has_space(fields.held):
        guest.new(HeaderFields, "[method]fields.clone", fields)
    with pytest.raises(GuestLimit, match=f"hold more than {MAX_HELD_BYTES} bytes"):
        guest.new(HeaderFields, "[method]fields.clone", fields)


def test_a_body_beyond_the_largest_blob_fails_and_its_request_with_it(guest: Guest) -> None:
    request = guest.request()
    body = guest.new(OutgoingBody, "[method]outgoing-request.body", request)
    stream = guest.new(OutputStream, "[method]outgoing-body.write", body)
    future = guest.handle(request)
    write = STREAMS["[method]output-stream.write"]
    for _ in range(MAX_BLOB_BYTES >> 16):
        assert write(guest.state, stream, bytes(1 << 16)) == (0, None)
    case, (kind, error) = write(guest.state, stream, b"x")
    assert (case, kind) == (1, FAILED)
    code = TYPES["http-error-code"](guest.state, guest.state.get(error, IoError.kind))
    assert code == (17, None), "HTTP-request-body-size"
    guest.state.take(guest.handle_of(body), OutgoingBody.kind)
    assert TYPES["[static]outgoing-body.finish"](guest.state, body, None) == (1, code)
    assert write(guest.state, stream, b"x") == (1, (CLOSED, None))
    assert guest.get(future) == (0, (1, code))
    assert guest.asked == []


def test_trailers_are_refused_and_the_request_is_not_sent(guest: Guest) -> None:
    request = guest.request()
    body = guest.new(OutgoingBody, "[method]outgoing-request.body", request)
    future = guest.handle(request)
    trailers = TYPES["[constructor]fields"](guest.state)
    assert TYPES["[static]outgoing-body.finish"](guest.state, body, trailers) == (1, (23, None))
    assert guest.get(future) == (0, (1, (23, None)))
    assert guest.asked == []


def test_a_body_that_is_never_finished_keeps_nobody_waiting_for_ever(guest: Guest) -> None:
    request = guest.request()
    guest.new(OutgoingBody, "[method]outgoing-request.body", request)
    future = guest.handle(request)
    pollable = guest.new(Pollable, "[method]future-incoming-response.subscribe", future)
    assert not guest.state.is_ready(pollable)
    guest.now += 30 * SECOND
    assert guest.state.is_ready(pollable)
    assert guest.get(future) == (0, (1, (33, None))), "HTTP-response-timeout"
    assert guest.get(future) == (1, None)


def test_the_time_that_a_guest_gives_is_the_requests(guest: Guest) -> None:
    options = guest.new(RequestOptions, "[constructor]request-options")
    for name, seconds in (("connect", 1), ("first-byte", 2), ("between-bytes", 1 << 40)):
        assert TYPES[f"[method]request-options.set-{name}-timeout"](guest.state, options, seconds * SECOND) == (0, None)
        assert TYPES[f"[method]request-options.{name}-timeout"](guest.state, options) == seconds * SECOND
    HANDLE(guest.state, guest.request(), guest.handle_of(options))
    assert guest.asked[0].request.expects_response == 3600, "an hour at most"
    with pytest.raises(StopIteration):
        guest.handle_of(options)


def test_answers_that_nobody_takes_are_bounded(guest: Guest) -> None:
    futures = [guest.handle(guest.request()) for _ in range(3)]
    for ask, size in zip(guest.asked, (MAX_BLOB_BYTES - 1000, 1001, 900), strict=True):
        guest.tell(ask.number, size)
    outcomes = [guest.get(future) for future in futures]
    assert [outcome[1][0] for outcome in outcomes] == [0, 1, 1], "the third is one that the guest cannot hold"
    assert outcomes[1][1][1] == (38, f"more than {MAX_BLOB_BYTES} bytes of answers have not been taken")


def test_an_answer_to_a_request_that_was_forgotten_is_forgotten(guest: Guest) -> None:
    future = guest.handle(guest.request())
    guest.tell(guest.asked[0].number, 100)
    guest.state.drop(guest.handle_of(future), FutureIncomingResponse.kind)
    guest.tell(guest.asked[0].number, 100)
    guest.tell(77, 100)
    future = guest.handle(guest.request())
    guest.tell(guest.asked[1].number, MAX_BLOB_BYTES - 1000)
    assert guest.get(future)[1][0] == 0, "nothing of the first one counts"


def test_a_body_that_is_read_to_its_end_is_held_no_longer(guest: Guest) -> None:
    future = guest.handle(guest.request())
    guest.tell(guest.asked[0].number, 100_000)
    response = guest.state.get(guest.get(future)[1][1], IncomingResponse.kind)
    body = guest.new(IncomingBody, "[method]incoming-response.consume", response)
    stream = guest.new(InputStream, "[method]incoming-body.stream", body)
    read = STREAMS["[method]input-stream.read"]
    assert [len(read(guest.state, stream, 1 << 40)[1]) for _ in range(2)] == [1 << 16, 100_000 - (1 << 16)]
    assert read(guest.state, stream, 0) == read(guest.state, stream, 1) == (1, (CLOSED, None))
    trailers = guest.new(FutureTrailers, "[static]incoming-body.finish", body)
    get = TYPES["[method]future-trailers.get"]
    assert [get(guest.state, trailers) for _ in range(2)] == [(0, (0, None)), (1, None)]
    assert guest.state.has_space(MAX_HELD_BYTES - 1000)


@pytest.mark.parametrize(
    ("name", "numbers", "call", "kind"),
    [
        ("[constructor]outgoing-request", "(param i32) (result i32)", "(drop (call $call (i32.const 7)))", "fields"),
        (
            "[static]outgoing-body.finish",
            "(param i32 i32 i32 i32)",
            "(call $call (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))",
            "outgoing-body",
        ),
        (
            "[method]incoming-response.status",
            "(param i32) (result i32)",
            "(drop (call $call (i32.const 1)))",
            "incoming-response",
        ),
    ],
)
def test_a_handle_of_another_kind_ends_the_guest(
    replayable: Engine, name: str, numbers: str, call: str, kind: str
) -> None:
    imports = f"""(import "wasi:http/types@0.2.0" (instance $types
      (export "{name}" (func)) (export "[constructor]request-options" (func))))"""
    lowered = (
        ("options (result i32)", '(core func $options (canon lower (func $types "[constructor]request-options")))'),
        (f"call {numbers}", f'(core func $call (canon lower (func $types "{name}") (memory $mem) (realloc $realloc)))'),
    )
    trap = trap_of(replayable, guest_component(imports, lowered, f"(drop (call $options)) {call}"))
    assert f"is no handle of wasi:http/types.{kind}" in str(trap)


def test_who_serves_by_wasi_http_is_told_that_this_is_not_offered(replayable: Engine) -> None:
    imports = '(import "wasi:http/types@0.2.0" (instance $types (export "[constructor]outgoing-response" (func))))'
    lower = '(core func $call (canon lower (func $types "[constructor]outgoing-response")))'
    wasm = guest_component(imports, (("call (param i32) (result i32)", lower),), "(drop (call $call (i32.const 1)))")
    assert "wasi:http/types is not offered by this node" in str(trap_of(replayable, wasm))


SERVES = """(instance $handler (export "handle" (func $init)))
  (export "wasi:http/incoming-handler@0.2.10" (instance $handler))"""


def test_one_that_serves_by_wasi_http_starts_if_it_is_a_process_too(
    replayable: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(component_texts, "INIT", component_texts.INIT + SERVES)
    assert trap_of(replayable, guest_component("", (), "(nop)")) is None
    monkeypatch.setattr(component_texts, "INIT", component_texts.INIT.replace('(export "init" (func $init))', ""))
    with pytest.raises(BadModule, match=r"'init'; nothing calls its wasi:http/incoming-handler$"):
        replayable.load(guest_component("", (), "(nop) (nop)"))


# --- whatever a guest does --------------------------------------------------------------------------------------------

_KINDS = {
    kind.kind: kind
    for kind in (
        *(HeaderFields, OutgoingRequest, OutgoingBody, RequestOptions, FutureIncomingResponse, IncomingResponse),
        *(IncomingBody, FutureTrailers, InputStream, OutputStream, Pollable, IoError),
    )
}


class Storm:
    """Calls from a seed with handles of all kinds."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.guest = Guest()
        self.calls: list[Callable[[], object]] = [
            *(self._make, self._ask, self._ask, self._write, self._finish, self._read, self._take, self._take),
            *(self._tell, self._tell, self._drop, self._again, self._pass),
        ]

    def any(self, kind: type) -> Any:
        found = [each for each in self.guest.state._resources.values() if type(each) is kind]
        if not found:
            raise GuestTrap("it has none")
        return self.chance.choice(found)

    def give(self, kind: type) -> Any:
        found = self.any(kind)
        return self.guest.state.take(self.guest.handle_of(found), kind.kind)  # type: ignore[attr-defined]

    def _make(self) -> object:
        state = self.guest.state
        fields = TYPES["[static]fields.from-list"](state, (("x-a", self.chance.randbytes(9)),) * 3)
        if fields[0] == 0:
            TYPES["[method]fields.append"](state, state.get(fields[1], HeaderFields.kind), "content-length", b"9")
        return TYPES["[constructor]outgoing-request"](state, self.give(HeaderFields))

    def _ask(self) -> object:
        state = self.guest.state
        request = self.guest.request() if self.chance.random() < 0.5 else self.any(OutgoingRequest)
        for _ in range(self.chance.randrange(3)):
            TYPES["[method]outgoing-request.body"](state, request)
        self.guest.state.take(self.guest.handle_of(request), OutgoingRequest.kind)
        return HANDLE(state, request, None)

    def _write(self) -> object:
        body = self.any(OutgoingBody)
        TYPES["[method]outgoing-body.write"](self.guest.state, body)
        return STREAMS["[method]output-stream.write"](self.guest.state, self.any(OutputStream), b"x" * 9)

    def _finish(self) -> object:
        return TYPES["[static]outgoing-body.finish"](self.guest.state, self.give(OutgoingBody), None)

    def _take(self) -> object:
        return self.guest.get(self.any(FutureIncomingResponse))

    def _read(self) -> object:
        state = self.guest.state
        TYPES["[method]incoming-response.consume"](state, self.any(IncomingResponse))
        TYPES["[method]incoming-body.stream"](state, self.any(IncomingBody))
        if self.chance.random() < 0.3:
            TYPES["[static]incoming-body.finish"](state, self.give(IncomingBody))
        return STREAMS["[method]input-stream.read"](state, self.any(InputStream), self.chance.randrange(80_000))

    def _tell(self) -> object:
        asked = self.guest.asked
        if asked:
            self.guest.tell(self.chance.choice(asked).number, self.chance.choice((0, 5, 70_000)))
        return None

    def _drop(self) -> object:
        handle, resource = self.chance.choice(list(self.guest.state._resources.items()) or [(0, HeaderFields())])
        self.guest.state.drop(handle, resource.kind)
        return None

    def _again(self) -> object:
        self.guest.state.drop(self.chance.randrange(40), self.chance.choice(list(_KINDS)))
        return None

    def _pass(self) -> object:
        self.guest.now += self.chance.choice((1, SECOND, 40 * SECOND))
        return None


@pytest.mark.parametrize("seed", range(30))
def test_whatever_a_guest_does_nothing_is_held_of_what_it_has_dropped(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(200):
        with suppress(GuestTrap):
            storm.chance.choice(storm.calls)()
    guest = storm.guest
    guest.drop_all()
    assert guest.state.has_space(MAX_HELD_BYTES)
    assert guest.exchanges.unheard_bytes == 0
    assert all(isinstance(each.request, Request) for each in guest.asked)
    assert sorted(guest.forgotten) == sorted(each.number for each in guest.asked), "each once"


class Memory(bytearray):
    """Bytes that can be looked for."""


def test_errors_that_nobody_has_looked_at_keep_nothing_of_what_was_asked(guest: Guest) -> None:
    future = guest.handle(guest.request())
    memory = Memory(1000)
    kept, request = weakref.ref(memory), Request(False, 5, b"ask")
    error = SendError(SendErrorKind.OFFLINE, OUR, request, LazyLoadBlob(None, memory), Reason.NO_CAPABILITY)
    guest.exchanges.hear(1, Failure(error, None))
    del memory, error
    assert kept() is None
    assert guest.get(future) == (0, (1, error_code(HttpFailure("internal-error", "why"))))
