"""HTTP/1.1 and HTTP/2 as hypercorn speaks them, with what is ours in place of some of its streams."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import h11
from h2.errors import ErrorCodes
from h2.events import DataReceived, PriorityUpdated, RequestReceived
from h2.events import Event as Http2Event
from h2.settings import SettingCodes
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Request
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection

from nectar_node.driver.browsers.application import Application
from nectar_node.driver.browsers.direct_requests import DirectRequest, is_direct
from nectar_node.driver.browsers.strict_lines import StrictLines
from nectar_node.driver.browsers.web_sockets import DoorWebSocket, SocketDoor

_TARGET, _METHOD = re.compile(rb"[\x21-\x7e]+"), re.compile(rb"[a-zA-Z!#$%&'*+.^_`|~0-9-]+")
"""What of a request stands in the first line of one of HTTP/1.1, where spaces part it (RFC 9112, 3)."""


class _Http11(H11Protocol):
    """Hypercorn's HTTP/1.1 with our WebSockets, and with our requests where they have no body."""

    def __init__(self, application: Application, door: SocketDoor, accepted: Callable[[], None], *args: Any) -> None:
        super().__init__(*args)
        assert isinstance(self.connection, h11.Connection)
        self.connection._receive_buffer = StrictLines()
        self.web_socket: DoorWebSocket | None = None
        self._application = application
        self._door = door
        self._accepted = accepted

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay with HTTP/1.1, whatever is asked for: HTTP/2 is agreed upon by TLS alone (RFC 9113, 3.1).

        A proxy that passes on the upgrade to h2c would from then on pass on requests that it has not read, with any
        Host, and without what says that there is a proxy: they would seem to be of this machine.
        """

    async def _create_stream(self, request: h11.Request) -> None:
        if _wants_web_socket(request):
            await self._begin_web_socket(request)
        elif is_direct(request):
            self.keep_alive_requests += 1
            self.stream = DirectRequest(self._application, self, request)  # type: ignore[assignment]
        else:
            await super()._create_stream(request)

    async def _begin_web_socket(self, request: h11.Request) -> None:
        self.stream = self.web_socket = DoorWebSocket(
            self._door,
            self._accepted,
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        assert isinstance(self.connection, h11.Connection)
        self.connection = H11WSConnection(self.connection)
        version, method = request.http_version.decode(), request.method.decode("ascii").upper()
        asked = Request(STREAM_ID, list(request.headers), version, method, request.target, self.connection_state)
        await self.stream.handle(asked)


class _Http2(H2Protocol):
    """Hypercorn's HTTP/2, without WebSockets, and with an end for what it has no place for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        del self.connection.local_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL]

    async def _handle_events(self, events: list[Http2Event]) -> None:
        for event in events:
            if isinstance(event, RequestReceived) and not _has_place(event):
                self.connection.reset_stream(event.stream_id, ErrorCodes.PROTOCOL_ERROR)
            elif isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # It was refused before all of it was there; the connection goes on for the others.
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif not isinstance(event, PriorityUpdated):  # which mean nothing any more (RFC 9113, 5.3.2)
                await super()._handle_events([event])
        await self._flush()


def _has_place(request: RequestReceived) -> bool:
    """Whether a request names something here, as HTTP/1.1 could; CONNECT names another place (RFC 9113, 8.5)."""
    fields = dict(request.headers)
    return bool(_TARGET.fullmatch(fields.get(b":path", b"")) and _METHOD.fullmatch(fields.get(b":method", b"")))


def _wants_web_socket(request: h11.Request) -> bool:
    said: dict[bytes, bytes] = {}
    for name, value in request.headers:
        said[name] = said[name] + b"," + value if name in said else value
    tokens = [each.strip().lower() for each in said.get(b"connection", b"").split(b",")]
    return b"upgrade" in tokens and said.get(b"upgrade", b"").strip().lower() == b"websocket"


def is_whole(wrapper: ProtocolWrapper) -> bool:
    """Return whether a request has been read to its end, so that its browser need not send anything."""
    spoken = wrapper.protocol
    return isinstance(spoken, H11Protocol) and spoken.connection.their_state in (h11.DONE, h11.MUST_CLOSE)


def with_our_streams(
    wrapper: ProtocolWrapper, application: Application, door: SocketDoor, accepted: Callable[[], None]
) -> ProtocolWrapper:
    """Let a connection's protocol, which has not begun, have our WebSockets and requests. `accepted` is called when it
    carries a WebSocket from now on."""
    above = (wrapper.app, wrapper.config, wrapper.context, wrapper.task_group, wrapper.state, wrapper.ssl)
    args = (*above, wrapper.client, wrapper.server, wrapper.send)
    is_http2 = isinstance(wrapper.protocol, H2Protocol)
    wrapper.protocol = _Http2(*args) if is_http2 else _Http11(application, door, accepted, *args)
    return wrapper


def let_go(wrapper: ProtocolWrapper) -> None:
    """Break the circles in which an ended connection's protocol and WebSocket refer to each other."""
    protocol = wrapper.protocol
    if isinstance(protocol, _Http11) and protocol.web_socket is not None:
        protocol.web_socket.let_go()
    vars(protocol).clear()
    vars(wrapper).clear()
