"""The part of the HTTP server that concerns WebSockets.

A process binds a path, {"WebSocketBind": {"path", "authenticated", "extension"}}, and is told of every browser that
connects there, {"WebSocketOpen": {"path", "channel_id", "source_socket_addr"}}, of what that sends, {"WebSocketPush":
{"channel_id", "message_type"}} with the bytes as blob, and of its end, {"WebSocketClose": channel_id}; these come in
order, none twice, and the last of them once. The process sends with the same {"WebSocketPush": …} and ends a connection
with {"WebSocketClose": …}.

What a browser sends waits for room in the process's inbox, and meanwhile the browser is not read. What the process
sends waits for the browser within bounds; beyond them the process gets an error, and the connection ends.

With `extension` the other end is a program on this machine that works for the process
(`nectar_node.http.extension_data`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Event, Inject, Reply
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob, Request, Response
from nectar_node.base.system_processes import HTTP_SERVER
from nectar_node.contract.actions import LogLine
from nectar_node.contract.http import (
    BrowserAction,
    FrameKind,
    SocketAccept,
    SocketClose,
    SocketFrame,
    SocketRead,
    SocketSend,
    SocketSent,
)
from nectar_node.contract.json_shapes import dump, field_untrusted
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.http import extension_data
from nectar_node.http.bindings import Binding, Bindings
from nectar_node.http.channels import MAX_UNSENT_BYTES, Channels, SocketChannel
from nectar_node.http.extension_data import MESSAGE_TYPES, ExtensionData
from nectar_node.http.refusals import ServerRefused, flag_untrusted, malformed, not_pushed
from nectar_node.http.requests import HttpRefused, ReadRequest
from nectar_node.system.process import SystemToken

MAX_CONTROL_BYTES = 125
"""Bytes of a ping or pong (RFC 6455, 5.5)."""
MAX_EXTENSION_BYTES = 8 << 20
"""Bytes that a process may send to its extension at once: writing them as MessagePack keeps the node busy for long."""
REQUESTS = frozenset(
    {
        *("WebSocketBind", "WebSocketSecureBind", "WebSocketUnbind", "WebSocketPush", "WebSocketClose"),
        *("WebSocketExtPushOutgoing",),
    }
)
"""What processes may ask for."""
NORMAL, GOING_AWAY, POLICY, FAILED = 1000, 1001, 1008, 1011
"""Codes with which a connection ends (RFC 6455, 7.4.1)."""
_PING = b"nectar"
"""What the node's own pings carry."""
_SECOND = 1.0
_AT_ONCE = 8
"""Channels that are looked after at once: a ping takes 0.1 to 0.3 ms until it is written, and all else waits."""
_PAUSE_SECONDS = 1 / 128
"""Seconds until the next ones: twice as many in a second as have their turn of MAX_SOCKETS."""
_LATE_SECONDS = 5.0
"""Seconds after which a timer comes so late that answers may wait to be read."""
_GONE = "there is no such channel of this process"


class SocketOffer(NamedTuple):
    """A request that waits for room in the inbox of a channel's process; also its receipt."""

    channel: int
    last: bool
    """Whether it is that which tells of the end."""


class WebSockets:
    """The paths that processes have bound for WebSockets, and the WebSockets that there are."""

    def __init__(
        self,
        our: str,
        memory: MemoryBudget,
        capacity: int,
        fresh_id: Callable[[], int],
        signed_in: Callable[[str, float], bool],
        emit: Callable[[Event | BrowserAction | LogLine], None],
    ) -> None:
        """`memory`: what waits for browsers is in it; `capacity`: how many WebSockets there may be; `fresh_id` returns
        unpredictable u64s; `signed_in` says whether a cookie is still that of a session; `emit` takes actions.
        """
        self._our = our
        self._fresh_id = fresh_id
        self._signed_in = signed_in
        self._emit = emit
        self.bindings = Bindings()
        self.channels = Channels(memory, capacity)
        self._looks_at = math.inf
        """When the turn of the next channels comes, and sessions are looked at."""
        self._due: deque[SocketChannel] = deque()
        """Channels whose turn has come, and that are yet to be looked after."""
        self._due_at = math.inf
        """When the first of these are."""

    # --- requests of processes --------------------------------------------------------------------------------------

    def obey_untrusted(self, envelope: Envelope, name: str, fields: object) -> bool:
        """Do what a process asks for, which is one of REQUESTS. Return whether the HTTP server answers: an extension
        may. Raises ServerRefused, RequestRefused and CannotBind.
        """
        if name == "WebSocketClose":
            self._close_untrusted(envelope, fields)
        elif name == "WebSocketPush":
            self._push_untrusted(envelope, fields)
        elif name == "WebSocketExtPushOutgoing":
            return self._push_to_extension_untrusted(envelope, fields)
        else:
            self._bind_untrusted(envelope, name, fields)
        return True

    def _bind_untrusted(self, envelope: Envelope, name: str, fields: object) -> None:
        path, process = field_untrusted(fields, "path"), envelope.source.process
        if not isinstance(path, str):
            raise malformed("the path is not a text")
        if name == "WebSocketUnbind":
            self.bindings.unbind(process, path)
            return
        secure, extension = name == "WebSocketSecureBind", flag_untrusted(fields, "extension")
        authenticated = secure or flag_untrusted(fields, "authenticated")
        server = envelope.target.process
        self.bindings.bind(Binding(process, server, path, authenticated, extension, None, secure, extension))

    def _close_untrusted(self, envelope: Envelope, fields: object) -> None:
        if not isinstance(fields, int) or isinstance(fields, bool):
            raise malformed("the channel is not a number")
        channel = self.channels.by_id.get(fields)
        if channel is None:
            return  # it has ended by itself
        if channel.process != envelope.source.process:
            raise not_pushed("WsChannelNotFound", _GONE)
        self._end(channel, NORMAL, "")

    def _push_untrusted(self, envelope: Envelope, fields: object) -> None:
        channel, kind = self._target_untrusted(envelope, fields)
        data = b"" if envelope.blob is None else envelope.blob.bytes
        if kind is FrameKind.CLOSE:
            self._end(channel, NORMAL, "")
            return
        if envelope.blob is None:
            raise ServerRefused("NoBlob", "NoBlob", "there is no blob to be sent")
        self._send_untrusted(channel, kind, data)

    def _push_to_extension_untrusted(self, envelope: Envelope, fields: object) -> bool:
        channel, kind = self._target_untrusted(envelope, fields)
        desired = field_untrusted(fields, "desired_reply_type")
        if not isinstance(desired, str) or desired not in MESSAGE_TYPES:
            raise malformed("desired_reply_type is neither Request nor Response")
        if not channel.extension or kind is not FrameKind.BINARY:
            raise malformed("this channel is not that of an extension, or what is sent is not Binary")
        if envelope.blob is None:
            raise ServerRefused("NoBlob", "NoBlob", "there is no blob to be sent")
        if len(envelope.blob.bytes) > MAX_EXTENSION_BYTES:
            raise not_pushed("MalformedRequest", f"an extension is sent at most {MAX_EXTENSION_BYTES} bytes at once")
        id = envelope.id if envelope.reply_to is None else envelope.reply_to.id
        data = extension_data.encode(ExtensionData(id, desired, bytes(envelope.blob.bytes)))
        self._send_untrusted(channel, kind, data)
        if envelope.reply_to is not None:
            channel.ask(id, envelope.reply_to)
        return False

    def _target_untrusted(self, envelope: Envelope, fields: object) -> tuple[SocketChannel, FrameKind]:
        """Return the channel that something is for, and what it is; raises ServerRefused and RequestRefused."""
        id, kind = field_untrusted(fields, "channel_id"), field_untrusted(fields, "message_type")
        if not isinstance(id, int) or isinstance(id, bool):
            raise malformed("channel_id is not a number")
        try:
            found = FrameKind(kind)
        except ValueError:
            raise malformed("message_type is none of Text, Binary, Ping, Pong, Close") from None
        channel = self.channels.by_id.get(id)
        if channel is None or channel.ended or channel.process != envelope.source.process:
            raise not_pushed("WsChannelNotFound", _GONE)
        return channel, found

    def _send_untrusted(self, channel: SocketChannel, kind: FrameKind, data: Buffer) -> None:
        if kind in (FrameKind.PING, FrameKind.PONG) and len(data) > MAX_CONTROL_BYTES:
            raise not_pushed("WsPingPongTooLong", f"a {kind.value} has at most {MAX_CONTROL_BYTES} bytes")
        if kind is FrameKind.TEXT and not _is_text(data):
            raise not_pushed("MalformedRequest", "a Text is not UTF-8")
        if not self.channels.may_send(channel, len(data)):
            self._end(channel, POLICY, "what is sent is read too slowly")
            why = f"the browser reads too slowly: more than {MAX_UNSENT_BYTES} bytes wait for it, or for all of them"
            raise not_pushed("WsChannelNotFound", f"{why}; its connection ends")
        self._send(channel, kind, data)

    def _send(self, channel: SocketChannel, kind: FrameKind, data: Buffer) -> None:
        self.channels.sends(channel, len(data))
        self._emit(SocketSend(channel.token, kind, data))

    def ended(self, process: ProcessId) -> None:
        """Unbind the paths of a process that has ended, and end its connections."""
        self.bindings.ended(process)
        for channel in self.channels.of(process):
            if not channel.ended:
                self._emit(SocketClose(channel.token, GOING_AWAY, "the process has ended"))
            self.channels.remove(channel)

    # --- browsers ---------------------------------------------------------------------------------------------------

    def open(self, token: object, read: ReadRequest, binding: Binding, session: str, now: float) -> None:
        """Let a browser have a WebSocket that may come in here; raises HttpRefused if there are too many."""
        address = "" if read.is_local else read.source[0]
        refusal = self.channels.refusal(binding.process, address)
        if refusal is not None:
            raise HttpRefused(503, refusal)
        id = 0
        while not id or id in self.channels.by_id:
            id = self._fresh_id() & 0xFFFF_FFFF
        channel = SocketChannel(token, id, binding.process, binding.server, binding.extension, address, session)
        self.channels.add(channel)
        if self._looks_at == math.inf:
            self._looks_at = math.floor(now) + _SECOND
        self._emit(SocketAccept(token, binding.process.package_id))
        told = {
            "path": "/" + "/".join(read.segments),
            "channel_id": id,
            "source_socket_addr": read.source_address,
            "forwarded_for": read.headers.get("x-forwarded-for"),
        }
        self._offer(channel, {"WebSocketOpen": told}, None)

    def frame(self, event: SocketFrame) -> None:
        """Pass on what a browser has sent."""
        channel = self.channels.by_token.get(event.token)
        if channel is None or channel.ended:
            return  # it has crossed our own goodbye
        channel.heard, channel.reads = True, False
        if channel.pinged and event.kind is FrameKind.PONG and event.data == _PING:
            self._read(channel)
            return
        told: dict[str, object] = {"channel_id": channel.id, "message_type": event.kind.value}
        blob = LazyLoadBlob(None, event.data)
        if channel.extension and event.kind is FrameKind.BINARY:
            data = extension_data.decode_untrusted(event.data)
            if data is not None:
                blob = LazyLoadBlob(None, data.blob)
            if data is not None and data.message_type == "Response":
                self._answer(channel, data.id, told, blob)
                return
        self._offer(channel, {"WebSocketPush": told}, blob)

    def _answer(self, channel: SocketChannel, id: int, told: dict[str, object], blob: LazyLoadBlob) -> None:
        """Give a process the response of its extension."""
        reply_to = channel.answered(id)
        if reply_to is None:
            self._log(channel, f"its extension answers what it was not asked: {id}")
        else:
            response = Response(False, dump({"WebSocketPush": told}), None)
            self._emit(Reply(channel.server, reply_to, response, blob))
        self._read(channel)

    def sent(self, event: SocketSent) -> None:
        """Learn that a browser's connection has taken a message."""
        channel = self.channels.by_token.get(event.token)
        if channel is not None:
            self.channels.sent(channel, event.size)
            channel.ping_behind = max(0, channel.ping_behind - 1)

    def gone(self, token: object) -> bool:
        """Learn that a WebSocket has ended; return whether it is one."""
        channel = self.channels.by_token.get(token)
        if channel is None:
            return False
        self._told_of_end(channel)
        return True

    def taken(self, offer: SocketOffer) -> None:
        """Learn that a process has room for what a browser has done."""
        channel = self.channels.by_id.get(offer.channel)
        if channel is None:
            return
        if offer.last:
            self.channels.remove(channel)
        elif not channel.ended:
            self._read(channel)

    def _read(self, channel: SocketChannel) -> None:
        channel.reads = True
        self._emit(SocketRead(channel.token))

    def _offer(self, channel: SocketChannel, value: object, blob: LazyLoadBlob | None, *, last: bool = False) -> None:
        target, message = Address(self._our, channel.process), Request(False, None, dump(value))
        receipt = SystemToken(HTTP_SERVER, SocketOffer(channel.id, last))
        self._emit(Inject(channel.server, target, message, blob, None, receipt))

    def _end(self, channel: SocketChannel, code: int, reason: str) -> None:
        """End a connection, and tell its process."""
        if not channel.ended:
            self._emit(SocketClose(channel.token, code, reason))
            self._told_of_end(channel)

    def _told_of_end(self, channel: SocketChannel) -> None:
        """Tell a process of the end of a connection, after all that has come before. Until it has room for that, the
        channel counts, or connections without end could be opened.
        """
        if channel.ended:
            return
        channel.ended, channel.asked = True, None
        del self.channels.by_token[channel.token]
        self.channels.drop_unsent(channel)
        self._offer(channel, {"WebSocketClose": channel.id}, None, last=True)

    def _log(self, channel: SocketChannel, text: str) -> None:
        self._emit(LogLine(str(channel.process), 1, text))

    # --- time -------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when `on_timer` is due, or None."""
        deadline = min(self._looks_at, self._due_at)
        return None if deadline == math.inf else deadline

    def on_timer(self, now: float) -> None:
        """Ping those whose turn it is, and end those that have not answered; end all that are signed in no longer."""
        if now - self._looks_at > _LATE_SECONDS:
            self._looks_at = math.floor(now)
            for channel in self.channels.by_id.values():
                channel.pinged = False  # the node has stood still, and may not have read an answer yet
        while self._looks_at <= now:
            self._due.extend(self.channels.due(int(self._looks_at)))
            self._due_at = min(self._due_at, self._looks_at)
            self._looks_at += _SECOND
            self._end_signed_out(now)
            if not self.channels:
                self._looks_at = math.inf
        while self._due_at <= now:
            for _ in range(min(_AT_ONCE, len(self._due))):
                channel = self._due.popleft()
                if not channel.ended and channel.id in self.channels.by_id:
                    self._look_after(channel, now)
            self._due_at = self._due_at + _PAUSE_SECONDS if self._due else math.inf

    def _look_after(self, channel: SocketChannel, now: float) -> None:
        if not channel.reads:
            channel.pinged = False  # no answer could be heard
        elif channel.pinged and not channel.heard and (channel.ping_behind or channel.ping_late):
            # It waits behind what a slow browser takes, which the driver gives a time of its own.
            channel.ping_late = channel.ping_behind > 0
        elif channel.pinged and not channel.heard:
            self._end(channel, FAILED, "no answer to a ping")
        else:
            channel.pinged, channel.heard = True, False
            self._send(channel, FrameKind.PING, _PING)
            channel.ping_behind, channel.ping_late = channel.unsent_frames, channel.unsent_frames > 1

    def _end_signed_out(self, now: float) -> None:
        """End those whose session has ended. Many channels have few sessions: each is looked up once."""
        sessions = {channel.session for channel in self.channels.by_id.values()}
        ended = {each for each in sessions if each and not self._signed_in(each, now)}
        if ended:
            for channel in tuple(self.channels.by_id.values()):
                if channel.session in ended and not channel.ended:
                    self._end(channel, POLICY, "signed out")

    # --- failures of our own ----------------------------------------------------------------------------------------

    def recover(self, token: object) -> None:
        """End the WebSocket at which our own code has failed, if it is one."""
        self.bindings.recount()
        channel = self.channels.by_token.get(token)
        if channel is not None:
            self._end(channel, FAILED, "the node failed")


def _is_text(data: Buffer) -> bool:
    try:
        str(data, "utf-8")
    except ValueError:
        return False
    return True
