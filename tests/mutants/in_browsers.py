"""Mutants of what browsers reach: WebSockets."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_SOCKETS = "nectar_node/system/web_sockets.py"

BROWSERS = (
    Mutant(
        "keep-the-end-of-a-websocket-back",
        "A process is not told of a browser that goes away without a goodbye.",
        _SOCKETS,
        "        self._told_of_end(channel)\n        return True\n",
        "        self.channels.remove(channel)\n        return True\n",
        "browsers",
    ),
    Mutant(
        "read-nothing-after-a-pong",
        "A browser that has answered the node's ping is read no further.",
        _SOCKETS,
        "event.data == _PING:\n            self._read(channel)\n            return\n",
        "event.data == _PING:\n            return\n",
        "browsers",
    ),
    Mutant(
        "count-websockets-that-have-gone",
        "A WebSocket counts for ever, also when its process has been told of its end.",
        _SOCKETS,
        "        if offer.last:\n            self.channels.remove(channel)\n",
        "        if offer.last:\n            channel.reads = False\n",
        "browsers",
    ),
    Mutant(
        "ask-for-two-messages-at-once",
        "A browser is read on before its process has room for what it has sent last (G24).",
        _SOCKETS,
        '        self._offer(channel, {"WebSocketPush": told}, blob)\n\n    def _answer',
        '        self._offer(channel, {"WebSocketPush": told}, blob)\n        self._read(channel)\n\n    def _answer',
        "tests/nectar_node/system/test_web_sockets.py::"
        "test_what_the_process_has_no_room_for_stays_with_the_browser_and_nothing_is_lost",
    ),
)
