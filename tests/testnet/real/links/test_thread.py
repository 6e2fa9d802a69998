"""Links for programs without an event loop."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from testnet.faults.refusal import Refusal
from testnet.real.links.fabric import open_links
from testnet.real.links.thread import run_in_thread, run_loopback_links

A, B = "a.nec", "b.nec"


def test_a_program_without_an_event_loop_reaches_a_node_through_the_links(tmp_path: Path) -> None:
    with run_loopback_links(tmp_path) as links:
        one, other = links.connect(A), links.connect(B)
        with (
            socket.create_server(other.endpoint) as listener,
            socket.create_connection(other.front, source_address=(one.host, 0)) as client,
        ):
            connection, (host, _) = listener.accept()
            with connection:
                client.sendall(b"hello")
                assert (connection.recv(5, socket.MSG_WAITALL), host) == (b"hello", one.host)
        counts = links.counts(A, B)
        assert (counts.bytes, counts.connections, counts.resets) == (5, 1, 0)


def test_a_fault_holds_until_the_end_of_its_block(tmp_path: Path) -> None:
    with run_loopback_links(tmp_path) as links:
        front = links.connect(A).front
        with links.applied(Refusal()), pytest.raises(ConnectionRefusedError):
            socket.create_connection(front)
        socket.create_connection(front).close()


def test_the_links_stop_listening_at_their_end(tmp_path: Path) -> None:
    with run_loopback_links(tmp_path) as links:
        front = links.connect(A).front
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(front)


def test_what_keeps_their_thread_from_beginning_is_raised() -> None:
    def fail() -> None:
        raise OSError("not today")

    with pytest.raises(OSError, match="not today"), run_in_thread(open_links, fail):
        pass
