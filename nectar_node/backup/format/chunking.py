"""Where chunks end: FastCDC, with a secret of the backup, so that sizes say nothing about known contents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pyfastcdc import FastCDC

from nectar_node.backup.format.limits import (
    CHUNK_AVERAGE,
    CHUNK_LEAST,
    LISTING_AVERAGE,
    LISTING_LEAST,
    LISTING_MOST,
    MAX_CHUNK_BYTES,
)


class Reader(Protocol):
    """Reads a file from its beginning."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as possible, and return how far; 0: the end."""


class Chunker:
    """Cuts what is read into chunks by their content: a change moves only the ends around it."""

    def __init__(self, seed: int) -> None:
        self._files = FastCDC(CHUNK_AVERAGE, min_size=CHUNK_LEAST, max_size=MAX_CHUNK_BYTES, seed=seed)
        self._listings = FastCDC(LISTING_AVERAGE, min_size=LISTING_LEAST, max_size=LISTING_MOST, seed=seed)

    def file(self, reader: Reader) -> Iterator[memoryview]:
        """Yield the chunks of a file; each is valid until the next."""
        for chunk in self._files.cut_stream(reader):
            yield chunk.data

    def listing(self, buffer: bytearray, *, whole: bool) -> Iterator[bytes]:
        """Yield the chunks of a listing, or of a list of ids, of which `buffer` has as much as is known.

        What is yielded is removed from the buffer. Unless it is `whole`, its end stays there: that may go on.
        """
        chunks = [bytes(chunk.data) for chunk in self._listings.cut_buf(bytes(buffer))]
        if chunks and not whole:
            chunks.pop()
        del buffer[: sum(map(len, chunks))]
        yield from chunks
