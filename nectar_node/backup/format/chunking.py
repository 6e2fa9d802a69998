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


class _Rest:
    """A file of which the beginning has been read."""

    def __init__(self, begun: memoryview, reader: Reader) -> None:
        self._begun = begun
        self._reader = reader

    def readinto(self, buffer: memoryview, /) -> int:
        if self._begun:
            size = min(len(buffer), len(self._begun))
            buffer[:size] = self._begun[:size]
            self._begun = self._begun[size:]
            return size
        return self._reader.readinto(buffer)


class Chunker:
    """Cuts what is read into chunks by their content: a change moves only the ends around it."""

    def __init__(self, seed: int) -> None:
        self._files = FastCDC(CHUNK_AVERAGE, min_size=CHUNK_LEAST, max_size=MAX_CHUNK_BYTES, seed=seed)
        self._listings = FastCDC(LISTING_AVERAGE, min_size=LISTING_LEAST, max_size=LISTING_MOST, seed=seed)

        self._begun = memoryview(bytearray(CHUNK_LEAST + 1))

    def file(self, reader: Reader) -> Iterator[memoryview]:
        """Yield the chunks of a file; each is valid until the next."""
        size = 0
        while size < len(self._begun) and (more := reader.readinto(self._begun[size:])):
            size += more
        if size <= CHUNK_LEAST:  # most files; the cutter would make a buffer of 4 MiB for each
            if size:
                yield self._begun[:size]
            return
        for chunk in self._files.cut_stream(_Rest(self._begun, reader)):
            yield chunk.data

    def listing(self, buffer: bytearray, *, whole: bool) -> Iterator[bytes]:
        """Yield the chunks of a listing, or of a list of ids; `buffer` holds what of it is known and not yet yielded.

        What is yielded is removed from the buffer. Unless the listing is `whole`, the last chunk stays there, because
        it may still grow.
        """
        chunks = [bytes(chunk.data) for chunk in self._listings.cut_buf(bytes(buffer))]
        if chunks and not whole:
            chunks.pop()
        del buffer[: sum(map(len, chunks))]
        yield from chunks
