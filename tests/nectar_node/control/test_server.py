"""The control socket: what becomes of it when nobody can be let in."""

from __future__ import annotations

import socket

import pytest
import trio

from nectar_node.control import server


class Silent:
    """Answers nobody."""


async def test_a_listener_that_is_broken_for_good_is_an_error_and_not_a_pause_without_end() -> None:
    listener = trio.socket.socket(socket.AF_UNIX)  # it never listens, so nobody can be let in
    with trio.fail_after(10), pytest.raises(BaseExceptionGroup) as failed:
        await server.serve(Silent(), listener, 100)  # type: ignore[arg-type]
    assert failed.group_contains(OSError)
    listener.close()
