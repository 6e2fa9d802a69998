"""The interfaces of wasi:io: what is waited for, and streams.

No stream makes anybody wait: standard output goes to the log, files are files, and bodies are whole. So all streams are
ready at all times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernel.contract.drive import DriveError, Errno
from kernel.contract.errors import GuestTrap
from kernel.contract.http import HttpFailure
from kernel.contract.limits import MAX_BLOB_BYTES
from kernel.files.open_files import APPEND, OpenFile
from kernel.wasm.wasi.exchanges import OutgoingContent
from kernel.wasm.wasi.state import NO_BYTES, InputStream, IoError, OutputStream, Pollable, WasiState, WasiWait

CHUNK_BYTES = 1 << 16
"""Bytes that one call reads or writes of a stream."""
_FAILED, _CLOSED = 0, 1
"""Cases of stream-error."""

OK = (0, None)
_END: tuple[int, Any] = (1, (_CLOSED, None))


def _failed(state: WasiState, errno: Errno) -> tuple[int, Any]:
    return 1, (_FAILED, state.add(IoError(errno)))


# --- error, poll ------------------------------------------------------------------------------------------------------


def _to_debug_string(_: WasiState, error: IoError) -> str:
    return error.errno.name if error.http is None else error.http.sentence


def _ready(state: WasiState, pollable: Pollable) -> bool | WasiWait:
    found: bool | WasiWait = state.look(pollable, lambda: state.is_ready(pollable), is_flat=True)
    return found


def _block(_: WasiState, pollable: Pollable) -> WasiWait:
    return WasiWait((pollable,))


def _poll(state: WasiState, handles: tuple[int, ...]) -> WasiWait:
    if not handles:
        raise GuestTrap("it polls nothing, so it would wait for ever")
    return WasiWait(tuple(state.get(handle, Pollable.kind) for handle in handles))


# --- input ------------------------------------------------------------------------------------------------------------


def _read(state: WasiState, stream: InputStream, length: int) -> tuple[int, Any]:
    if not length:
        return (0, b"") if stream.file is not None or stream.position < len(stream.data) else _END
    if stream.file is None:
        data = bytes(stream.data[stream.position : stream.position + min(length, CHUNK_BYTES)])
        stream.position += len(data)
        if stream.position == len(stream.data):  # who has read it all may never drop it
            state.hold(-stream.held)
            stream.data, stream.position, stream.held = NO_BYTES, 0, 0
        return (0, data) if data else _END
    try:
        data = state.files.read_at(stream.file, stream.position, min(length, CHUNK_BYTES))
    except DriveError as refusal:
        return _failed(state, refusal.errno)
    stream.position += len(data)
    return (0, data) if data else _END


def _skip(state: WasiState, stream: InputStream, length: int) -> tuple[int, Any]:
    case, found = _read(state, stream, length)
    return (case, found) if case else (0, len(found))


def _subscribe(state: WasiState, _: InputStream | OutputStream) -> int:
    return state.add_ready()


# --- output -----------------------------------------------------------------------------------------------------------


def _check_write(_: WasiState, _stream: OutputStream) -> tuple[int, int]:
    return 0, CHUNK_BYTES


def _write(state: WasiState, stream: OutputStream, data: bytes) -> tuple[int, Any]:
    if len(data) > CHUNK_BYTES:
        raise GuestTrap(f"it writes {len(data)} bytes at once, and was told that {CHUNK_BYTES} may be")
    if stream.content is not None:
        return _write_content(state, stream.content, data)
    if stream.file is None:
        state.write(stream.verbosity, data)
        return OK
    try:
        _write_file(state, stream, stream.file, data)
    except DriveError as refusal:
        return _failed(state, refusal.errno)
    return OK


def _write_content(state: WasiState, content: OutgoingContent, data: bytes) -> tuple[int, Any]:
    """Write to a request's body: what is too much is an error, now and at its end."""
    if not content.is_open:
        return _END
    if content.failure is None and (len(content.data) + len(data) > MAX_BLOB_BYTES or not state.has_space(len(data))):
        content.failure = HttpFailure("HTTP-request-body-size", f"a body has at most {MAX_BLOB_BYTES} bytes")
    if content.failure is not None:
        return 1, (_FAILED, state.add(IoError(Errno.NOMEM, content.failure)))
    state.hold(len(data))
    content.data += data
    return OK


def _write_file(state: WasiState, stream: OutputStream, file: OpenFile, data: bytes) -> None:
    rest = memoryview(data)
    if stream.position is None:
        end = OpenFile(file.node, file.reads, file.writes, file.flags | APPEND)
        while rest:
            rest = rest[state.files.write_at(end, 0, rest) :]
        return
    while rest:
        done = state.files.write_at(file, stream.position, rest)
        stream.position += done
        rest = rest[done:]


def _flush(_: WasiState, _stream: OutputStream) -> tuple[int, Any]:
    return OK


def _write_zeroes(state: WasiState, stream: OutputStream, length: int) -> tuple[int, Any]:
    if length > CHUNK_BYTES:
        raise GuestTrap(f"it writes {length} bytes at once, and was told that {CHUNK_BYTES} may be")
    return _write(state, stream, bytes(length))


def _splice(state: WasiState, stream: OutputStream, source: InputStream, length: int) -> tuple[int, Any]:
    case, found = _read(state, source, length)
    if case:
        return case, found
    case, error = _write(state, stream, found)
    return (case, error) if case else (0, len(found))


ACTS: dict[str, dict[str, Callable[..., Any]]] = {
    "wasi:io/error": {"[method]error.to-debug-string": _to_debug_string},
    "wasi:io/poll": {"[method]pollable.ready": _ready, "[method]pollable.block": _block, "poll": _poll},
    "wasi:io/streams": {
        "[method]input-stream.read": _read,
        "[method]input-stream.blocking-read": _read,
        "[method]input-stream.skip": _skip,
        "[method]input-stream.blocking-skip": _skip,
        "[method]input-stream.subscribe": _subscribe,
        "[method]output-stream.check-write": _check_write,
        "[method]output-stream.write": _write,
        "[method]output-stream.blocking-write-and-flush": _write,
        "[method]output-stream.flush": _flush,
        "[method]output-stream.blocking-flush": _flush,
        "[method]output-stream.subscribe": _subscribe,
        "[method]output-stream.write-zeroes": _write_zeroes,
        "[method]output-stream.blocking-write-zeroes-and-flush": _write_zeroes,
        "[method]output-stream.splice": _splice,
        "[method]output-stream.blocking-splice": _splice,
    },
}
"""What each function does: (what the guest has, parameters) to the value of its result. Raises GuestTrap."""
