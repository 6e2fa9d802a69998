"""The bounds of what browsers send and are sent by HTTP, WebSockets apart."""

from __future__ import annotations

MAX_HEAD_BYTES = 32 << 10
"""Bytes of a request's head."""
MAX_BODY_BYTES = 32 << 20
"""Bytes of a request's body: half of the largest blob. It is in memory until its process has answered."""
MAX_BODIES_BYTES = 256 << 20
"""Bytes of all bodies that are being read or have not been answered."""
MAX_ANSWERS_BYTES = 256 << 20
"""Bytes of all answers of processes, and of their pages, that browsers have not taken yet."""
MAX_ANSWERS_BYTES_OF_ONE = MAX_ANSWERS_BYTES // 2
"""Those of one package: two of the largest."""
SMALL_BYTES = 4 << 10
"""Bytes of an answer that does not count: the number of connections bounds those."""
HEAD_SECONDS = 10.0
"""Seconds for a request's head, and for which a connection may do nothing between two requests."""
READ_SECONDS = 60.0
"""Seconds for a request's body: 32 MiB at 4 Mbit/s."""
WRITE_SECONDS = 20.0
"""Seconds for one piece of an answer: a browser that takes nothing for so long has gone."""
STALL_SECONDS = 5.0
"""Seconds after which a request that makes no progress gives way to others, where there is no place for them."""
PROGRESS_BYTES = 64 << 10
"""Bytes that are progress: at 13 KB/s a connection keeps its place."""
GRAIN_SECONDS = 0.25
"""Seconds that a connection may end later than it is to, so that a thousand of them are not looked after one by one."""
PIECE_BYTES = 64 << 10
"""Bytes that are written at once."""
DRAIN_SECONDS = 1.0
"""Seconds in which a client that was refused may go on sending before its connection ends: with data unread, TCP would
take the answer from it (RFC 9112, 9.6).
"""
FAREWELL_SECONDS = 1.0
"""Seconds for the answers that are under way when the node goes down."""
