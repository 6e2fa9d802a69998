"""Lines of HTTP/1.1 as everybody reads them: each ends with a carriage return and a line feed, and none goes on in the
next.

h11 also takes a line feed alone for the end of a line, and lines that begin with a space for the rest of the one before
(RFC 9112, 2.2 and 5.2, let it). A proxy that does not do that sees another request: so what another parser could read
in another way is refused here, before h11 reads it.
"""

from __future__ import annotations

import h11
from h11._receivebuffer import ReceiveBuffer

MAX_CHUNK_LINE_BYTES = 256
"""Bytes of the line before a chunk: a length, and extensions that nobody sends."""
_CARRIAGE_RETURN = 0x0D


class StrictLines(ReceiveBuffer):
    """What a connection has sent and h11 has not read yet; `h11.Connection` asks it for lines."""

    def maybe_extract_next_line(self) -> bytearray | None:
        """Return the line before a chunk, if all of it is there; raises LocalProtocolError."""
        line = super().maybe_extract_next_line()
        if line is None:
            if len(self) > MAX_CHUNK_LINE_BYTES:
                raise h11.LocalProtocolError("the line before a chunk is too long")
        elif len(line) > MAX_CHUNK_LINE_BYTES or b"\n" in line[:-2] or b"\r" in line[:-2]:
            raise h11.LocalProtocolError("the line before a chunk is none")
        return line

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines up to the first empty one, if all are there; raises LocalProtocolError."""
        data, start = self._data, self._multiple_lines_search
        feed = data.find(b"\n", start)
        while feed != -1:
            if feed == 0 or data[feed - 1] != _CARRIAGE_RETURN:
                raise h11.LocalProtocolError("a line ends with a line feed alone")
            if feed == 1 or (feed >= 3 and data[feed - 3 : feed] == b"\r\n\r"):
                break
            feed = data.find(b"\n", feed + 1)
        if feed == -1:
            self._multiple_lines_search = len(data)
            return None
        lines = self._extract(feed + 1)[:-2].split(b"\r\n")[:-1]
        if any(b"\r" in line or line.startswith((b" ", b"\t")) for line in lines):
            raise h11.LocalProtocolError("a line goes on in the next, or ends with a carriage return alone")
        return lines
