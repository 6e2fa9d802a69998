"""http_client:distro:sys, also http-client:distro:sys: processes ask servers of the internet.

{"Http": {"method", "version", "url", "headers"}} with the body as blob is answered {"Ok": {"Http": {"status",
"headers"}}}, the body as blob, within the time that the message waits. {"WebSocketOpen": {"url", "headers",
"channel_id"}}, {"WebSocketPush": {"channel_id", "message_type"}} with the bytes as blob, and {"WebSocketClose":
{"channel_id"}} are answered {"Ok": "WebSocketAck"}; what the server sends comes as requests WebSocketPush and
WebSocketClose of the same fields.

As with the HTTP server, the name that a process calls says which shapes of errors it parses, and is the name that it is
called by. Redirects are followed here, so each hop is decided and bounded like the first. An answer is neither
decompressed nor kept, no cookie is, and no connection serves two requests: what two packages ask is nothing to each
other. Which addresses they reach is decided by `nectar_node.http.fetching.addresses`, where they are known: by the
driver.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Inject
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from nectar_node.base.system_processes import HTTP_CLIENT, HTTP_CLIENT_LATE
from nectar_node.contract.actions import LogLine
from nectar_node.contract.http_client import (
    AnswerHead,
    AnswerPiece,
    AnswerWhole,
    CallFailed,
    HangUp,
    HttpClientConfig,
    HttpClientEvent,
    MessageType,
    ServerCall,
    SocketClosed,
    SocketOpened,
    SocketPiece,
    SocketPush,
    SocketPushed,
)
from nectar_node.contract.json_shapes import RequestRefused, dump, load_untrusted, variant_untrusted
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.http.fetching import requests as fetch_requests
from nectar_node.http.fetching.calls import IncomingMessage, PendingCall
from nectar_node.http.fetching.errors import (
    CallRefused,
    alike,
    malformed,
    not_done,
    not_opened,
    push_failed,
    unknown_channel,
)
from nectar_node.http.fetching.hops import (
    MAX_REDIRECTS,
    Hop,
    answer_headers,
)
from nectar_node.http.fetching.incoming import IncomingTurns
from nectar_node.http.fetching.queue import FetchQueue
from nectar_node.http.fetching.requests import (
    channel_untrusted,
    hop_untrusted,
    http_untrusted,
    message_untrusted,
    text_field_untrusted,
)
from nectar_node.system.process import SORRY, Cause, SystemAction, SystemProcess, SystemToken, bare, reply

MAX_REQUEST_BYTES = 128 << 10
"""Bytes of a process's request without its blob: a URL and headers, escaped."""
MAX_PUSHES = 64
"""Messages of one WebSocket that have not left."""
USUAL_SECONDS = 30.0
"""Seconds for a call of which nobody waits for the outcome, and for the opening of a WebSocket."""
MAX_SECONDS = 3600.0
"""Seconds for any call: a longer one is a connection that nobody looks after."""


class HttpClient(SystemProcess):
    """The calls of processes to servers."""

    id = HTTP_CLIENT
    other_names = (HTTP_CLIENT_LATE,)

    def __init__(
        self,
        our: str,
        config: HttpClientConfig,
        awaited_until: Callable[[ReplyTo], float | None],
        has_room: Callable[[ProcessId, int], bool],
        memory: MemoryBudget,
    ) -> None:
        """`awaited_until` returns when the requester there gets Timeout, if that is known; `has_room` whether a process
        can take one more message of so many bytes; what is under way is in `memory`.
        """
        super().__init__()
        self._our = our
        self._config = config
        self._awaited_until = awaited_until
        self.queue: FetchQueue[PendingCall] = FetchQueue(config.places, memory)
        self._ids = count(1)
        self._calls: dict[int, PendingCall] = {}
        """All that wait or are under way, by id."""
        self._of: dict[ProcessId, set[int]] = {}
        self._channels: dict[tuple[ProcessId, int], PendingCall] = {}
        self._due: list[tuple[float, int]] = []
        """A heap of deadlines and ids; those of calls that are over are still in it."""
        self._incoming = IncomingTurns(has_room)
        self._now = 0.0

    # --- requests of processes --------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, now: float) -> None:
        """Begin a call, or do something with a WebSocket."""
        try:
            self._obey_untrusted(envelope, now)
        except CallRefused as refused:
            self._refuse(envelope, refused)
        except RequestRefused as refusal:
            self._refuse(envelope, malformed(str(refusal)))

    def _obey_untrusted(self, envelope: Envelope, now: float) -> None:
        """Do what a request asks for; raises CallRefused and RequestRefused."""
        name, fields = variant_untrusted(load_untrusted(envelope.message.body, MAX_REQUEST_BYTES))
        if name == "Http":
            self._begin_untrusted(envelope, http_untrusted(fields, envelope.blob), None, now)
        elif name == "WebSocketOpen":
            self._open_untrusted(envelope, fields, now)
        elif name == "WebSocketPush":
            self._push_untrusted(envelope, fields)
        elif name == "WebSocketClose":
            self._close_untrusted(envelope, channel_untrusted(fields))
        else:
            raise malformed(f"there is no request {name[:40]!r}: expected Http or one of WebSockets")

    def _open_untrusted(self, envelope: Envelope, fields: object, now: float) -> None:
        channel = channel_untrusted(fields)
        url = text_field_untrusted(fields, "url")
        hop = hop_untrusted("GET", url, fields, b"", socket=True)
        old = self._channels.get((envelope.source.process, channel))
        if old is not None:
            self._drop(old, not_opened(old.url, "its channel is opened anew"))
        call = self._begin_untrusted(envelope, hop, channel, now)
        call.url = url
        self._channels[call.process, channel] = call

    def _begin_untrusted(self, envelope: Envelope, hop: Hop, channel: int | None, now: float) -> PendingCall:
        """Let a call begin when it is its turn; raises CallRefused."""
        call = PendingCall(next(self._ids), bare(envelope), hop, channel)
        if not self.queue.add_bytes(call.package, len(hop.body)):
            raise not_done("too many bytes of this package are under way")
        call.size = len(hop.body)
        if not self.queue.put(call):
            self.queue.remove_bytes(call.package, call.size)
            raise not_done("too many requests of this package are under way")
        self._calls[call.id] = call
        self._of.setdefault(call.process, set()).add(call.id)
        known = None if envelope.reply_to is None else self._awaited_until(envelope.reply_to)
        call.tells = known is None
        until = now + USUAL_SECONDS if known is None else min(known, now + MAX_SECONDS)
        call.tells |= until != known
        heapq.heappush(self._due, (until, call.id))
        self._begin_next()
        return call

    def _begin_next(self) -> None:
        while (call := self.queue.begin()) is not None:
            call.began = True
            self._call(call)

    def _call(self, call: PendingCall) -> None:
        hop, private = call.hop, call.package in self._config.private
        url = hop.url
        headers = hop.headers if call.is_socket else hop.all_headers()
        if call.is_socket:
            headers = (("Host", url.authority), *headers)
        self._out.append(
            ServerCall(
                call.token,
                call.package,
                url.secure,
                url.host,
                url.port,
                hop.method,
                url.target,
                headers,
                hop.body,
                private,
                call.is_socket,
            )
        )

    def _refuse(self, envelope: Envelope, refused: CallRefused) -> None:
        self._out.append(LogLine(str(envelope.source.process), 1, f"is refused by the HTTP client: {refused}"))
        late = envelope.target.process == HTTP_CLIENT_LATE
        self._reply(envelope, {"Err": refused.late if late else refused.early})

    def _reply(self, envelope: Envelope, value: object, blob: LazyLoadBlob | None = None) -> None:
        answer = reply(envelope.target.process, envelope, dump(value), blob)
        if answer is not None:
            self._out.append(answer)

    # --- the end of calls -------------------------------------------------------------------------------------------

    def abandoned(self, reply_to: ReplyTo, now: float) -> None:
        """End the call whose answer nobody wants."""
        for id in self._of.get(reply_to.address.process, ()):
            call = self._calls[id]
            if call.request is not None and call.request.reply_to == reply_to:
                call.request = None
                self._drop(call, None)
                return

    def ended(self, process: ProcessId, now: float) -> None:
        """End the calls of a process that has ended."""
        for id in tuple(self._of.get(process, ())):
            call = self._calls[id]
            call.request = None
            call.pushes.clear()
            self._drop(call, None)

    def next_deadline(self) -> float | None:
        """Return when the first call runs out of time, or a WebSocket is looked at again."""
        while self._due and (self._due[0][1] not in self._calls or self._calls[self._due[0][1]].is_open):
            heapq.heappop(self._due)
        first = self._due[0][0] if self._due else None
        return min((each for each in (first, self._incoming.look_at) if each is not None), default=None)

    def on_timer(self, now: float) -> None:
        """End the calls that have run out of time, and look at the WebSockets that were held."""
        while self._due and self._due[0][0] <= now:
            call = self._calls.get(heapq.heappop(self._due)[1])
            if call is None or call.is_open:
                continue
            if not call.tells:
                call.request = None
            self._drop(call, self._failure(call, "it has run out of time"))
        self._incoming.on_timer(now)
        self._now = now

    def _failure(self, call: PendingCall, why: str) -> CallRefused:
        if call.is_socket:
            return not_opened(call.url, f"the WebSocket is not open: {why}")
        return not_done(why)

    def _drop(self, call: PendingCall, refused: CallRefused | None) -> None:
        """End a call that the driver may still be at."""
        if call.began:
            self._out.append(HangUp(call.token))
        self._end(call, refused)

    def _end(self, call: PendingCall, refused: CallRefused | None) -> None:
        """Forget a call; whoever waits for it, or for its pushes, gets an error."""
        del self._calls[call.id]
        of_process = self._of[call.process]
        of_process.discard(call.id)
        if not of_process:
            del self._of[call.process]
        if call.channel is not None and self._channels.get((call.process, call.channel)) is call:
            del self._channels[call.process, call.channel]
        self.queue.over(call, began=call.began)
        self.queue.remove_bytes(call.package, call.size)
        if call.request is not None and refused is not None:
            self._refuse(call.request, refused)
        for envelope, _ in call.pushes:
            self._refuse(envelope, unknown_channel(call.channel or 0))
        self._incoming.forget(call)
        if len(self._due) > 2 * len(self._calls) + 64:
            self._due = [each for each in self._due if each[1] in self._calls]
            heapq.heapify(self._due)
        self._begin_next()

    # --- what servers send ------------------------------------------------------------------------------------------

    def take(self, event: HttpClientEvent, now: float) -> None:
        """Take what has become of a call, if it is not over."""
        call, self._now = self._known(event.token), now
        if call is None:
            return
        match event:
            case AnswerHead(_, status, headers):
                self._take_head(call, status, headers)
            case AnswerPiece(_, data):
                self._take_piece(call, data)
            case AnswerWhole():
                self._answer(call)
            case CallFailed(_, why):
                self._failed(call, why)
            case SocketOpened():
                call.is_open = True
                request, call.request = call.request, None
                if request is not None:
                    self._reply(request, {"Ok": "WebSocketAck"})
            case SocketPiece():
                self._take_message(call, event)
            case SocketPushed():
                envelope, size = call.pushes.popleft()
                self._count(call, -size)
                self._reply(envelope, {"Ok": "WebSocketAck"})
            case SocketClosed():
                self._failed(call, "the server has closed it")

    def _known(self, token: object) -> PendingCall | None:
        call = self._calls.get(token[0]) if isinstance(token, tuple) else None
        return call if call is not None and call.token == token else None

    def _take_head(self, call: PendingCall, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        if call.is_socket:
            self._drop(call, self._failure(call, f"the server has answered {status}"))
            return
        told = answer_headers(headers)
        if told is None:
            self._drop(call, not_done("the answer's headers are too many, or too long"))
            return
        redirected = call.hop.after(status, headers)
        if redirected is None:
            call.status, call.headers = status, told
            return
        if call.hops == MAX_REDIRECTS:
            self._drop(call, not_done(f"there are more than {MAX_REDIRECTS} redirects"))
            return
        self._out.append(HangUp(call.token))
        self._count(call, len(redirected.body) - len(call.hop.body))
        call.hop = redirected
        call.hops += 1
        self._call(call)

    def _take_piece(self, call: PendingCall, data: bytes) -> None:
        if len(call.body) + len(data) > fetch_requests.MAX_BODY_BYTES:
            self._drop(call, not_done(f"the answer has more than {fetch_requests.MAX_BODY_BYTES} bytes"))
        elif not self._count(call, len(data)):
            self._drop(call, not_done("too many bytes of this package are under way"))
        else:
            call.body += data

    def _count(self, call: PendingCall, size: int) -> bool:
        """Count more bytes, or fewer, for a call; False: they are too many."""
        if size < 0:
            self.queue.remove_bytes(call.package, -size)
        elif not self.queue.add_bytes(call.package, size):
            return False
        call.size += size
        return True

    def _answer(self, call: PendingCall) -> None:
        request, call.request = call.request, None
        self._end(call, None)
        if request is not None:
            value = {"Ok": {"Http": {"status": call.status, "headers": call.headers}}}
            self._reply(request, value, LazyLoadBlob(None, call.body))

    def _failed(self, call: PendingCall, why: str) -> None:
        if not call.is_open:
            self._end(call, self._failure(call, why))
        elif not call.is_broken:
            call.is_broken = True
            self._incoming.put(call, IncomingMessage(None, b""))

    # --- WebSockets -------------------------------------------------------------------------------------------------

    def _push_untrusted(self, envelope: Envelope, fields: object) -> None:
        channel, name = channel_untrusted(fields), text_field_untrusted(fields, "message_type")
        call = self._channels.get((envelope.source.process, channel))
        if call is None or not call.is_open or call.is_broken:
            raise unknown_channel(channel)
        if name == "Close":
            self._close_untrusted(envelope, channel)
            return
        kind, data = message_untrusted(name, envelope.blob)
        if len(call.pushes) >= MAX_PUSHES or not self._count(call, len(data)):
            raise push_failed("too much waits for the server to take it")
        call.pushes.append((bare(envelope), len(data)))
        self._out.append(SocketPush(call.token, kind, data))

    def _close_untrusted(self, envelope: Envelope, channel: int) -> None:
        call = self._channels.get((envelope.source.process, channel))
        if call is None:
            raise alike({"WsCloseFailed": {"channel_id": channel}}, "no such WebSocket is open")
        self._drop(call, self._failure(call, "its process has closed it"))
        self._reply(envelope, {"Ok": "WebSocketAck"})

    def _take_message(self, call: PendingCall, piece: SocketPiece) -> None:
        if len(call.body) + len(piece.data) > fetch_requests.MAX_MESSAGE_BYTES or not self._count(
            call, len(piece.data)
        ):
            self._out.append(HangUp(call.token))
            self._failed(call, "a message is too long")
            return
        whole = piece.data
        if piece.kind in (MessageType.TEXT, MessageType.BINARY):  # between whose parts the others may come
            call.body += piece.data
            if not piece.last:
                return
            whole = bytes(call.body)
            call.body = bytearray()
        self._incoming.put(call, IncomingMessage(piece.kind, whole))

    def next_action(self) -> SystemAction | None:
        """Return the next action, in order; None: nothing more."""
        if self._out:
            return self._out.popleft()
        found = self._incoming.next(self._now)
        return self._told(found, found.incoming.popleft()) if isinstance(found, PendingCall) else found

    def _told(self, call: PendingCall, incoming: IncomingMessage) -> Inject:
        if incoming.kind is None:
            body: object = {"WebSocketClose": {"channel_id": call.channel}}
            blob = None
            self._end(call, None)
        else:
            self._count(call, -len(incoming.data))
            body = {"WebSocketPush": {"channel_id": call.channel, "message_type": incoming.kind.value}}
            mime = "text/plain" if incoming.kind is MessageType.TEXT else "application/octet-stream"
            blob = LazyLoadBlob(mime, incoming.data)
        request = Request(False, None, dump(body))
        return Inject(call.server, Address(self._our, call.process), request, blob, None)

    # --- failures of our own ----------------------------------------------------------------------------------------

    def recover(self, cause: Cause, now: float) -> None:
        """End the call whose handling has failed."""
        if isinstance(cause, Envelope):
            self._refuse(cause, not_done(SORRY))
        elif isinstance(cause, SystemToken) and (call := self._known(cause.token)) is not None:
            self._drop(call, self._failure(call, SORRY))
