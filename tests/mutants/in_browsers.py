"""Mutants of what browsers reach: WebSockets."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_SOCKETS = "nectar_node/system/web_sockets.py"

BROWSERS = (
    Mutant(
        "keep-what-a-browser-has-broken-off",
        "What has come of a body stays on the disk when its browser has gone, and holds the package's quota.",
        "nectar_node/http/bodies/body_files.py",
        "body.step is not _Step.OFFERED:\n            self._end(body, error_page(500, _FAILED))\n",
        "body.step is _Step.WAITS:\n            self._end(body, error_page(500, _FAILED))\n",
        "tests/nectar_node/system/test_http_bodies.py::test_a_browser_that_goes_away_in_the_middle_leaves_nothing",
    ),
    Mutant(
        "begin-bodies-that-do-not-fit-together",
        "Two bodies that fit one by one are both begun, and one fails in the middle.",
        "nectar_node/http/bodies/body_files.py",
        "                if body.wanted.length:\n",
        "                if body.wanted.length == 0:\n",
        "tests/nectar_node/system/test_http_bodies.py::"
        "test_two_bodies_that_fit_alone_and_not_together_are_not_both_begun",
    ),
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
    Mutant(
        "let-answers-wait-without-an-end",
        "Answers that browsers do not take fill the memory, however much there is of them already.",
        "nectar_node/contract/package_bytes.py",
        "            if not self._bytes.take(package, size):\n                return False\n",
        "            self._bytes.add(package, size)\n",
        "tests/nectar_node/contract/test_package_bytes.py::test_bodies_on_their_way_are_bounded_for_each_package_and_all",
    ),
    Mutant(
        "compare-a-request-with-any-number-of-parts",
        "Each request of a page with parameters stops the node for as long as its package likes.",
        "nectar_node/http/bindings.py",
        "for length, found in patterns.items()) > MAX_PARTS_OF_ONE:\n",
        "for length, found in patterns.items()) < 0:\n",
        "tests/nectar_node/system/test_http_server.py::"
        "test_the_paths_with_parameters_of_a_process_have_so_many_parts_and_others_do_not_count",
    ),
    Mutant(
        "keep-what-a-gone-browser-has-not-taken",
        "What waits for a browser counts for its package for ever when the browser has gone.",
        "nectar_node/http/channels.py",
        "        channel.unsent_frames = 0\n        self._add_unsent(channel, -channel.unsent_bytes)\n",
        "        channel.unsent_frames = channel.unsent_bytes = 0\n",
        "tests/fuzz/test_http_server.py::test_nothing_is_left_when_browsers_and_processes_have_gone",
    ),
    Mutant(
        "take-a-slow-browser-for-gone",
        "A browser that takes much slowly is gone for the node while a ping waits behind that.",
        _SOCKETS,
        "and not channel.heard and (channel.ping_behind or channel.ping_late):\n",
        "and not channel.heard and channel.ping_behind < 0:\n",
        "browsers",
    ),
    Mutant(
        "open-websockets-for-pages-of-other-sites",
        "A page of another site opens a WebSocket of a process that has not asked who comes.",
        "nectar_node/http/entrance.py",
        'if read.is_foreign:\n            raise HttpRefused(403, "A page of another site has asked for this WebSocket',
        'if False:\n            raise HttpRefused(403, "A page of another site has asked for this WebSocket',
        "browsers",
    ),
    Mutant(
        "let-a-package-bind-without-end",
        "One package binds as many paths as all may have together.",
        "nectar_node/http/bindings.py",
        "(self._paths[package] >= MAX_PATHS_OF_ONE or self._all_paths >= MAX_PATHS):\n",
        "self._all_paths >= MAX_PATHS:\n",
        "browsers",
    ),
    Mutant(
        "keep-slots-for-those-who-ask-nothing",
        "Connections that ask for nothing keep all other browsers waiting.",
        "nectar_node/driver/browsers/browser_slots.py",
        "            if self._going is None:\n",
        "            if self._going is not None:\n",
        "tests/nectar_node/driver/browsers/test_http_door.py::"
        "test_connections_that_ask_for_nothing_keep_nobody_waiting",
    ),
    Mutant(
        "let-slow-requests-keep-their-slots",
        "Requests that make no progress keep all other browsers waiting.",
        "nectar_node/driver/browsers/browser_slots.py",
        "            slot = next(iter(self._busy), None)\n            if slot is None or",
        "            slot = None\n            if slot is None or",
        "tests/nectar_node/driver/browsers/test_browser_slots.py::"
        "test_the_request_goes_whose_last_progress_is_furthest_back",
    ),
    Mutant(
        "handle-all-requests-at-once",
        "Whoever carries messages waits for a request of each browser.",
        "nectar_node/driver/browsers/request_turns.py",
        "            await trio.lowlevel.checkpoint()\n            self._left = MOST_AT_ONCE\n",
        "            self._left = 100 * MOST_AT_ONCE\n",
        "tests/nectar_node/driver/browsers/test_request_turns.py::"
        "test_whatever_the_browsers_ask_for_everything_else_has_its_turn_after_a_few_requests",
    ),
    Mutant(
        "ping-all-of-a-second-at-once",
        "With many WebSockets all else waits once a second until all that are due have their ping.",
        _SOCKETS,
        "            for _ in range(min(_AT_ONCE, len(self._due))):\n",
        "            for _ in range(len(self._due)):\n",
        "tests/nectar_node/system/test_web_sockets.py::"
        "test_pings_of_many_websockets_go_out_few_at_a_time_and_each_has_its_own",
    ),
)
