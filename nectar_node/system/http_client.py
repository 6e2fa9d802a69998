"""http_client:distro:sys, also http-client:distro:sys: processes ask servers of the internet.

{"Http": {"method", "version", "url", "headers"}} with the body as blob is answered {"Ok": {"Http": {"status",
"headers"}}}, the body as blob, within the time that the message waits. {"WebSocketOpen": {"url", "headers",
"channel_id"}}, {"WebSocketPush": {"channel_id", "message_type"}} with the bytes as blob, and {"WebSocketClose":
{"channel_id"}} are answered {"Ok": "WebSocketAck"}; what the server sends comes as requests WebSocketPush and
WebSocketClose of the same fields.

As with the HTTP server, the name that a process calls says which shapes of errors it parses, and is the name that it is
called by. Redirects are followed here, so each hop is decided and bounded like the first. An answer is neither
decompressed nor kept, no cookie is, and no connection serves two requests: what two packages ask is nothing to each
other. Which addresses they reach is decided by `nectar_node.http.private_addresses`, where they are known: by the
driver.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from kernel.contract.address import Address, PackageId, ProcessId
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
    SocketHold,
    SocketOpened,
    SocketPiece,
    SocketPush,
    SocketPushed,
)
from nectar_node.contract.json_shapes import RequestRefused, dump, load_untrusted, variant_untrusted
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.http import fetch_requests
from nectar_node.http.fetch_errors import (
    CallRefused,
    alike,
    malformed,
    not_done,
    not_opened,
    push_failed,
    unknown_channel,
)
from nectar_node.http.fetch_queue import FetchQueue
from nectar_node.http.fetch_requests import (
    channel_untrusted,
    hop_untrusted,
    http_untrusted,
    message_untrusted,
    text_field_untrusted,
)
from nectar_node.http.fetches import (
    MAX_REDIRECTS,
    Hop,
    answer_headers,
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
LOOK_SECONDS = 0.05
"""Seconds until it is looked again whether a process has room for what a server has sent it."""


class _Incoming(NamedTuple):
    """What a server has sent on a WebSocket, for its process; of no kind: it has closed it."""

    kind: MessageType | None
    data: bytes


class _Work:
    """A call of a process: a request with its redirects, or a WebSocket."""

    def __init__(self, id: int, envelope: Envelope, hop: Hop, channel: int | None) -> None:
        self.id = id
        self.request: Envelope | None = bare(envelope)
        """The request that is to be answered; None: it has been."""
        self.process = envelope.source.process
        self.server = envelope.target.process
        """The name under which the process knows this one."""
        self.hop = hop
        self.hops = 0
        self.channel = channel
        self.url = ""
        """The text that the process has sent."""
        self.began = False
        self.tells = False
        """Whether its requester is told when its time is over: the kernel does that for those whom it knows."""
        self.size = 0
        """Bytes that are counted for it."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        """Of an answer, or of a message of a WebSocket, as far as it is there."""
        self.is_open = False
        self.is_broken = False
        """Whether the server has closed it, which its process is still to be told."""
        self.pushes: deque[tuple[Envelope, int]] = deque()
        """Pushes that have not left, with their bytes."""
        self.incoming: deque[_Incoming] = deque()
        self.held = False

    @property
    def token(self) -> tuple[int, int]:
        """The token of the connection; what still comes of the one before a redirect has another."""
        return self.id, self.hops

    @property
    def package(self) -> PackageId:
        """Whose call it is."""
        return self.process.package_id

    @property
    def is_socket(self) -> bool:
        """Whether it is a WebSocket."""
        return self.channel is not None


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
        self._has_room = has_room
        self.queue: FetchQueue[_Work] = FetchQueue(config.places, memory)
        self._ids = count(1)
        self._works: dict[int, _Work] = {}
        """All that wait or are under way, by id."""
        self._of: dict[ProcessId, set[int]] = {}
        self._channels: dict[tuple[ProcessId, int], _Work] = {}
        self._due: list[tuple[float, int]] = []
        """A heap of deadlines and ids; those of calls that are over are still in it."""
        self._ready: deque[_Work] = deque()
        """WebSockets with something for their processes."""
        self._full: dict[int, _Work] = {}
        """Those whose process has no room for it."""
        self._look_at: float | None = None
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
        work = self._begin_untrusted(envelope, hop, channel, now)
        work.url = url
        self._channels[work.process, channel] = work

    def _begin_untrusted(self, envelope: Envelope, hop: Hop, channel: int | None, now: float) -> _Work:
        """Let a call begin when it is its turn; raises CallRefused."""
        work = _Work(next(self._ids), envelope, hop, channel)
        if not self.queue.add_bytes(work.package, len(hop.body)):
            raise not_done("too many bytes of this package are under way")
        work.size = len(hop.body)
        if not self.queue.put(work):
            self.queue.remove_bytes(work.package, work.size)
            raise not_done("too many requests of this package are under way")
        self._works[work.id] = work
        self._of.setdefault(work.process, set()).add(work.id)
        known = None if envelope.reply_to is None else self._awaited_until(envelope.reply_to)
        work.tells = known is None
        until = now + USUAL_SECONDS if known is None else min(known, now + MAX_SECONDS)
        work.tells |= until != known
        heapq.heappush(self._due, (until, work.id))
        self._begin_next()
        return work

    def _begin_next(self) -> None:
        while (work := self.queue.begin()) is not None:
            work.began = True
            self._call(work)

    def _call(self, work: _Work) -> None:
        hop, private = work.hop, work.package in self._config.private
        url = hop.url
        headers = hop.headers if work.is_socket else hop.all_headers()
        if work.is_socket:
            headers = (("Host", url.authority), *headers)
        self._out.append(
            ServerCall(
                work.token,
                work.package,
                url.secure,
                url.host,
                url.port,
                hop.method,
                url.target,
                headers,
                hop.body,
                private,
                work.is_socket,
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

    def ended(self, process: ProcessId, now: float) -> None:
        """End the calls of a process that has ended."""
        for id in tuple(self._of.get(process, ())):
            work = self._works[id]
            work.request = None
            work.pushes.clear()
            self._drop(work, None)

    def next_deadline(self) -> float | None:
        """Return when the first call runs out of time, or a WebSocket is looked at again."""
        while self._due and (self._due[0][1] not in self._works or self._works[self._due[0][1]].is_open):
            heapq.heappop(self._due)
        first = self._due[0][0] if self._due else None
        return min((each for each in (first, self._look_at) if each is not None), default=None)

    def on_timer(self, now: float) -> None:
        """End the calls that have run out of time, and look at the WebSockets that were held."""
        while self._due and self._due[0][0] <= now:
            work = self._works.get(heapq.heappop(self._due)[1])
            if work is None or work.is_open:
                continue
            if not work.tells:
                work.request = None
            self._drop(work, self._failure(work, "it has run out of time"))
        if self._look_at is not None and self._look_at <= now:
            self._look_at = None
            self._ready.extend(self._full.values())
            self._full.clear()
        self._now = now

    def _failure(self, work: _Work, why: str) -> CallRefused:
        if work.is_socket:
            return not_opened(work.url, f"the WebSocket is not open: {why}")
        return not_done(why)

    def _drop(self, work: _Work, refused: CallRefused | None) -> None:
        """End a call that the driver may still be at."""
        if work.began:
            self._out.append(HangUp(work.token))
        self._end(work, refused)

    def _end(self, work: _Work, refused: CallRefused | None) -> None:
        """Forget a call; whoever waits for it, or for its pushes, gets an error."""
        del self._works[work.id]
        of_process = self._of[work.process]
        of_process.discard(work.id)
        if not of_process:
            del self._of[work.process]
        if work.channel is not None and self._channels.get((work.process, work.channel)) is work:
            del self._channels[work.process, work.channel]
        self._full.pop(work.id, None)
        self.queue.over(work, began=work.began)
        self.queue.remove_bytes(work.package, work.size)
        if work.request is not None and refused is not None:
            self._refuse(work.request, refused)
        for envelope, _ in work.pushes:
            self._refuse(envelope, unknown_channel(work.channel or 0))
        work.incoming.clear()
        if len(self._due) > 2 * len(self._works) + 64:
            self._due = [each for each in self._due if each[1] in self._works]
            heapq.heapify(self._due)
        self._begin_next()

    # --- what servers send ------------------------------------------------------------------------------------------

    def take(self, event: HttpClientEvent, now: float) -> None:
        """Take what has become of a call, if it is not over."""
        work, self._now = self._known(event.token), now
        if work is None:
            return
        match event:
            case AnswerHead(_, status, headers):
                self._take_head(work, status, headers)
            case AnswerPiece(_, data):
                self._take_piece(work, data)
            case AnswerWhole():
                self._answer(work)
            case CallFailed(_, why):
                self._failed(work, why)
            case SocketOpened():
                work.is_open = True
                request, work.request = work.request, None
                if request is not None:
                    self._reply(request, {"Ok": "WebSocketAck"})
            case SocketPiece():
                self._take_message(work, event)
            case SocketPushed():
                envelope, size = work.pushes.popleft()
                self._count(work, -size)
                self._reply(envelope, {"Ok": "WebSocketAck"})
            case SocketClosed():
                self._failed(work, "the server has closed it")

    def _known(self, token: object) -> _Work | None:
        work = self._works.get(token[0]) if isinstance(token, tuple) else None
        return work if work is not None and work.token == token else None

    def _take_head(self, work: _Work, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        if work.is_socket:
            self._drop(work, self._failure(work, f"the server has answered {status}"))
            return
        told = answer_headers(headers)
        if told is None:
            self._drop(work, not_done("the answer's headers are too many, or too long"))
            return
        redirected = work.hop.after(status, headers)
        if redirected is None:
            work.status, work.headers = status, told
            return
        if work.hops == MAX_REDIRECTS:
            self._drop(work, not_done(f"there are more than {MAX_REDIRECTS} redirects"))
            return
        self._out.append(HangUp(work.token))
        self._count(work, len(redirected.body) - len(work.hop.body))
        work.hop = redirected
        work.hops += 1
        self._call(work)

    def _take_piece(self, work: _Work, data: bytes) -> None:
        if len(work.body) + len(data) > fetch_requests.MAX_BODY_BYTES:
            self._drop(work, not_done(f"the answer has more than {fetch_requests.MAX_BODY_BYTES} bytes"))
        elif not self._count(work, len(data)):
            self._drop(work, not_done("too many bytes of this package are under way"))
        else:
            work.body += data

    def _count(self, work: _Work, size: int) -> bool:
        """Count more bytes, or fewer, for a call; False: they are too many."""
        if size < 0:
            self.queue.remove_bytes(work.package, -size)
        elif not self.queue.add_bytes(work.package, size):
            return False
        work.size += size
        return True

    def _answer(self, work: _Work) -> None:
        request, work.request = work.request, None
        self._end(work, None)
        if request is not None:
            value = {"Ok": {"Http": {"status": work.status, "headers": work.headers}}}
            self._reply(request, value, LazyLoadBlob(None, work.body))

    def _failed(self, work: _Work, why: str) -> None:
        if not work.is_open:
            self._end(work, self._failure(work, why))
        elif not work.is_broken:
            work.is_broken = True
            self._queue_for(work, _Incoming(None, b""))

    # --- WebSockets -------------------------------------------------------------------------------------------------

    def _push_untrusted(self, envelope: Envelope, fields: object) -> None:
        channel, name = channel_untrusted(fields), text_field_untrusted(fields, "message_type")
        work = self._channels.get((envelope.source.process, channel))
        if work is None or not work.is_open or work.is_broken:
            raise unknown_channel(channel)
        if name == "Close":
            self._close_untrusted(envelope, channel)
            return
        kind, data = message_untrusted(name, envelope.blob)
        if len(work.pushes) >= MAX_PUSHES or not self._count(work, len(data)):
            raise push_failed("too much waits for the server to take it")
        work.pushes.append((bare(envelope), len(data)))
        self._out.append(SocketPush(work.token, kind, data))

    def _close_untrusted(self, envelope: Envelope, channel: int) -> None:
        work = self._channels.get((envelope.source.process, channel))
        if work is None:
            raise alike({"WsCloseFailed": {"channel_id": channel}}, "no such WebSocket is open")
        self._drop(work, self._failure(work, "its process has closed it"))
        self._reply(envelope, {"Ok": "WebSocketAck"})

    def _take_message(self, work: _Work, piece: SocketPiece) -> None:
        if len(work.body) + len(piece.data) > fetch_requests.MAX_MESSAGE_BYTES or not self._count(
            work, len(piece.data)
        ):
            self._out.append(HangUp(work.token))
            self._failed(work, "a message is too long")
            return
        whole = piece.data
        if piece.kind in (MessageType.TEXT, MessageType.BINARY):  # between whose parts the others may come
            work.body += piece.data
            if not piece.last:
                return
            whole = bytes(work.body)
            work.body = bytearray()
        self._queue_for(work, _Incoming(piece.kind, whole))

    def _queue_for(self, work: _Work, incoming: _Incoming) -> None:
        """Pass on what a server has sent, when the process has room for it."""
        if not work.incoming:
            self._ready.append(work)
        work.incoming.append(incoming)

    def next_action(self) -> SystemAction | None:
        """Return the next action, in order; None: nothing more."""
        return self._out.popleft() if self._out else self._next_incoming()

    def _next_incoming(self) -> SystemAction | None:
        """Return the next message for a process that has room for one, WebSockets in turn.

        One that has none is held until it does.
        """
        while self._ready:
            work = self._ready.popleft()
            if not work.incoming:
                if work.held and not work.is_broken and self._works.get(work.id) is work:
                    work.held = False
                    return SocketHold(work.token, False)
                continue
            if not self._has_room(work.process, len(work.incoming[0].data)):
                self._full[work.id] = work
                self._look_at = self._now + LOOK_SECONDS if self._look_at is None else self._look_at
                if not work.held:
                    work.held = True
                    return SocketHold(work.token, True)
                continue
            self._ready.append(work)
            return self._told(work, work.incoming.popleft())
        return None

    def _told(self, work: _Work, incoming: _Incoming) -> Inject:
        if incoming.kind is None:
            body: object = {"WebSocketClose": {"channel_id": work.channel}}
            blob = None
            self._end(work, None)
        else:
            self._count(work, -len(incoming.data))
            body = {"WebSocketPush": {"channel_id": work.channel, "message_type": incoming.kind.value}}
            mime = "text/plain" if incoming.kind is MessageType.TEXT else "application/octet-stream"
            blob = LazyLoadBlob(mime, incoming.data)
        request = Request(False, None, dump(body))
        return Inject(work.server, Address(self._our, work.process), request, blob, None)

    # --- failures of our own ----------------------------------------------------------------------------------------

    def recover(self, cause: Cause, now: float) -> None:
        """End the call whose handling has failed."""
        if isinstance(cause, Envelope):
            self._refuse(cause, not_done(SORRY))
        elif isinstance(cause, SystemToken) and (work := self._known(cause.token)) is not None:
            self._drop(work, self._failure(work, SORRY))
