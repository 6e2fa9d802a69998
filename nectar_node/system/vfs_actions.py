"""The actions of the vfs: one table from an action to the right it needs, its disk operation and its answer.

Shapes are those of the existing node, the early ones (2024) and the later ones where they differ: {"ReadExact": n} and
{"ReadExact": {"length": n}}; {"Seek": {"seek_from": {"Start": n}}}, answered {"SeekFrom": n}, and {"Seek": {"Start":
n}}, answered {"SeekFrom": {"new_offset": n}}. "WriteAll", and the first packages' "WriteAt", write at the cursor.
FreeSpace, CopyDirAll, folders as one file (Packed…, UnpackFolder) and pages of ReadDir are ours, and so are ReadAt and
WriteAt with an offset, which move no cursor.
Entries of ReadDir have no leading slash, in all generations: libraries compare them with the path that they asked for.
Errors are of the kinds of the early interfaces; `nectar_node.contract.generations` has what each guest reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kernel.contract import limits
from kernel.contract.message import Buffer, LazyLoadBlob
from nectar_node.contract.json_shapes import (
    RequestRefused,
    bad_request,
    dump,
    field_untrusted,
    number_untrusted,
    text_untrusted,
    variant_untrusted,
)
from nectar_node.storage import operations as ops

ZIP = "application/zip"
_MOST = limits.MAX_BLOB_BYTES
MAX_LIST_BYTES = 4 << 20
"""Bytes of a {"ReadDir": entries} as JSON, in which each entry has the whole path."""
_CHARACTERS = limits.MAX_BODY_BYTES - 64
"""Bytes of a {"ReadToString": text} as JSON, without its frame."""

Answer = tuple[object, Buffer | None]
"""The JSON value, and the blob."""


class Call(NamedTuple):
    """What an action works with."""

    path: str
    location: ops.Location
    argument: Any
    blob: LazyLoadBlob | None
    target: ops.Location | None
    """Location of the second path, for an action that has one."""
    cursor: int
    """The caller's position in the file, for an action that uses a cursor."""


class Action(NamedTuple):
    """One row of the table; its functions raise RequestRefused."""

    right: str
    """The right that a process of another package must hold: "read" or "write"."""
    plan: Callable[[Call], ops.Operation]
    answer: Callable[[Call, Any], Answer] = lambda call, outcome: ("Ok", None)
    """Makes the answer from the operation's outcome."""
    moves: Callable[[Call, Any], int] | None = None
    """Returns the new position of the cursor, for an action that uses it."""
    second: bool = False
    """Whether the argument holds a `new_path`, which is written."""
    makes: bool = False
    """Whether it may make a file or folder of a new name."""
    changes: bool = False
    """Whether it may change what is at the first path."""
    stops: bool = False
    """Whether it is given up when nobody waits for it any more: it takes long, and leaves nothing behind."""


def parse_untrusted(value: object) -> tuple[str, Action, Any]:
    """Return path, action and its argument; raises RequestRefused."""
    path = text_untrusted(field_untrusted(value, "path"))
    name, argument = variant_untrusted(field_untrusted(value, "action"))
    if name == "WriteAt" and argument is None:
        name = "WriteAll"
    elif name == "OpenFile" and isinstance(argument, dict) and argument.get("create") is True:
        name = "CreateFile, or open it"
    action = ACTIONS.get(name)
    if action is None:
        raise bad_request(f"there is no action {name[:64]!r}")
    return path, action, argument


def refusal(error: ops.DiskError, path: str, action: Action) -> object:
    """Return the error of a request whose operation has failed."""
    if action is ACTIONS["CreateDrive"]:
        return {"CreateDirError": {"error": error.text, "path": path}}
    if error.fault is ops.DiskFault.NOT_FOUND:
        return {"NotFound": {"path": path}}
    if error.fault is ops.DiskFault.BAD_ARCHIVE:
        return {"BadArchive": {"error": error.text, "path": path}}
    return {"IOError": {"error": error.text, "path": path}}


def _io_error(text: str, path: str) -> RequestRefused:
    return RequestRefused({"IOError": {"error": text, "path": path}})


def _bad_bytes(path: str) -> RequestRefused:
    return RequestRefused({"BadBytes": {"action": "write", "path": path}})


def _data(call: Call) -> Buffer:
    if call.blob is None:
        raise _bad_bytes(call.path)
    return call.blob.bytes


def _target(call: Call) -> ops.Location:
    assert call.target is not None
    return call.target


# --- plans ----------------------------------------------------------------------------------------------------------


def _plan_read_at(call: Call) -> ops.Operation:
    offset, length = (number_untrusted(field_untrusted(call.argument, name)) for name in ("offset", "length"))
    if length > _MOST:
        raise _io_error(f"a blob holds at most {_MOST} bytes: read the file in pieces", call.path)
    return ops.ReadAt(call.location, offset, length, hashed=call.argument.get("hash") is True)


def _plan_write_at(call: Call) -> ops.Operation:
    offset = number_untrusted(field_untrusted(call.argument, "offset"))
    data = _data(call)
    if "length" in call.argument and len(data) != number_untrusted(call.argument["length"]):
        raise _bad_bytes(call.path)
    return ops.WriteAt(call.location, offset, data, hashed=call.argument.get("hash") is True)


def _plan_read_exact(call: Call) -> ops.Operation:
    return ops.ReadAt(call.location, call.cursor, _exact_length(call))


def _exact_length(call: Call) -> int:
    argument = call.argument["length"] if isinstance(call.argument, dict) and "length" in call.argument else None
    length = number_untrusted(call.argument if argument is None else argument)
    if length > _MOST:
        raise _io_error(f"a blob holds at most {_MOST} bytes: read the file in pieces", call.path)
    return length


def _plan_read_packed(call: Call) -> ops.Operation:
    offset, length = (number_untrusted(field_untrusted(call.argument, name)) for name in ("offset", "length"))
    if length > ops.LONG_BYTES:
        raise _io_error(f"at most {ops.LONG_BYTES} bytes of a packed folder are read at once", call.path)
    return ops.ReadPacked(call.location, _version(call), offset, length)


def _version(call: Call) -> int:
    value = field_untrusted(call.argument, "version")
    if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 63) <= value < 1 << 63:
        raise bad_request("a version is what PackedMetadata has answered")
    return value


def _plan_unpack_folder(call: Call) -> ops.Operation:
    return ops.UnpackFolder(call.location, _target(call), number_untrusted(field_untrusted(call.argument, "entries")))


def _plan_list(call: Call) -> ops.Operation:
    if call.argument is None:
        return ops.ListFolder(call.location)
    after = text_untrusted(field_untrusted(call.argument, "after"))
    limit = number_untrusted(field_untrusted(call.argument, "limit"))
    if not 0 < limit <= ops.MAX_LISTED:
        raise bad_request(f"a limit is a number from 1 to {ops.MAX_LISTED}")
    return ops.ListFolder(call.location, after, limit)


def _plan_unpack(call: Call) -> ops.Operation:
    data = _data(call)
    if call.blob is not None and call.blob.mime not in (None, ZIP):
        raise bad_request(f"the blob's mime must be {ZIP}")
    return ops.Unpack(call.location, data)


# --- answers --------------------------------------------------------------------------------------------------------


def _answer_read(call: Call, outcome: bytes | bytearray) -> Answer:
    if len(outcome) > _MOST:
        raise _io_error(f"the file is longer than a blob can be ({_MOST} bytes): read it in pieces", call.path)
    return "Read", outcome


def _answer_exact(call: Call, outcome: bytes) -> Answer:
    if len(outcome) < _exact_length(call):
        raise _io_error("failed to fill whole buffer", call.path)
    return "Read", outcome


def _answer_string(call: Call, outcome: bytes) -> Answer:
    try:
        value = {"ReadToString": outcome.decode()}
    except UnicodeDecodeError:
        raise _io_error("stream did not contain valid UTF-8", call.path) from None
    if len(outcome) > _CHARACTERS or len(dump(value)) > limits.MAX_BODY_BYTES:
        raise _io_error(f"the text is longer than a body can be ({limits.MAX_BODY_BYTES} bytes)", call.path)
    return value, None


def _answer_metadata(call: Call, outcome: ops.FileStat) -> Answer:
    metadata = {"file_type": outcome.type.value, "len": outcome.length, "modified": outcome.modified}
    return {"Metadata": metadata}, None


def _answer_packed(call: Call, outcome: ops.PackedStat) -> Answer:
    packed = {"len": outcome.length, **outcome._asdict()}
    del packed["length"]
    return {"Packed": packed}, None


def _answer_read_packed(call: Call, outcome: ops.PackedBytes) -> Answer:
    return {"PackedRead": {"end": outcome.end, "files": outcome.files}}, outcome.data


def _answer_len(call: Call, outcome: ops.FileStat) -> Answer:
    return {"Len": outcome.length}, None


def _answer_list(call: Call, outcome: list[Any]) -> Answer:
    base = call.path.strip("/")
    named = [(name, kind) for name, kind in outcome if ops.is_part(name)]
    frame = len(dump({"path": f"{base}/", "file_type": ops.FileType.DIRECTORY.value}))
    if call.argument is not None:
        named = _fitting(named, frame)
    elif len(named) * (frame - len('""')) + len(dump([name for name, _ in named])) > MAX_LIST_BYTES:
        error = f"the list of its {len(named)} entries would be longer than {MAX_LIST_BYTES} bytes: read it in pages"
        raise _io_error(error, call.path)
    return {"ReadDir": [{"path": f"{base}/{name}", "file_type": kind.value} for name, kind in named]}, None


def _fitting(named: list[Any], frame: int) -> list[Any]:
    """Return the first entries of a page, as many as an answer can have: one at least."""
    length = 0
    for number, (name, _) in enumerate(named):
        length += frame + len(dump(name))
        if length > MAX_LIST_BYTES:
            return named[: max(1, number)]
    return named


def _answer_hash(call: Call, outcome: bytes) -> Answer:
    return {"Hash": list(outcome)}, None


def _answer_seek(call: Call, outcome: ops.FileStat) -> Answer:
    offset = _sought(call, outcome)
    early = isinstance(call.argument, dict) and "seek_from" in call.argument
    return {"SeekFrom": offset if early else {"new_offset": offset}}, None


# --- new cursor positions -------------------------------------------------------------------------------------------


def _start(call: Call, outcome: object) -> int:
    return 0


def _after_what_was_read(call: Call, outcome: bytes) -> int:
    return call.cursor + len(outcome)


def _after_what_was_written(call: Call, outcome: object) -> int:
    return call.cursor + len(_data(call))


def _at_the_end(call: Call, outcome: int) -> int:
    return outcome


def _sought(call: Call, outcome: ops.FileStat) -> int:
    argument = call.argument
    early = isinstance(argument, dict) and "seek_from" in argument
    whence, by = variant_untrusted(argument["seek_from"] if early else argument)
    if not isinstance(by, int) or isinstance(by, bool) or not -(1 << 63) <= by < 1 << 63:
        raise bad_request('expected {"Start": n}, {"End": n} or {"Current": n}')
    base = {"Start": 0, "End": outcome.length, "Current": call.cursor}.get(whence)
    if base is None:
        raise bad_request('expected {"Start": n}, {"End": n} or {"Current": n}')
    if not 0 <= base + by < 1 << 63:
        raise _io_error("Invalid argument", call.path)
    return base + by


def _read_from_cursor(call: Call, most: int) -> ops.Operation:
    return ops.ReadAt(call.location, call.cursor, most + 1)  # one byte more tells that there is too much


def _plan_nothing(call: Call) -> ops.Operation:
    raise NotImplementedError("a watch is no work for the disk")


ACTIONS: dict[str, Action] = {
    "CreateDrive": Action("write", lambda call: ops.MakeFolder(call.location), makes=True, changes=True),
    "CreateDir": Action("write", lambda call: ops.CreateFolder(call.location), makes=True, changes=True),
    "CreateDirAll": Action("write", lambda call: ops.MakeFolder(call.location), makes=True, changes=True),
    "CreateFile": Action(
        "write", lambda call: ops.Create(call.location, cut_off=True), moves=_start, makes=True, changes=True
    ),
    "CreateFile, or open it": Action(
        "write", lambda call: ops.Create(call.location), moves=_start, makes=True, changes=True
    ),
    "OpenFile": Action("read", lambda call: ops.Stat(call.location), moves=_start),
    "CloseFile": Action("read", lambda call: ops.Stat(call.location), moves=_start),
    "Write": Action(
        "write", lambda call: ops.Replace(call.location, _data(call)), makes=True, changes=True, stops=True
    ),
    "WriteAll": Action(
        "write",
        lambda call: ops.WriteAt(call.location, call.cursor, _data(call)),
        moves=_after_what_was_written,
        changes=True,
    ),
    "WriteAt": Action("write", _plan_write_at, changes=True),
    "Append": Action("write", lambda call: ops.Append(call.location, _data(call)), moves=_at_the_end, changes=True),
    "SyncAll": Action("write", lambda call: ops.Sync(call.location)),
    "Read": Action("read", lambda call: ops.ReadAt(call.location, 0, _MOST + 1), _answer_read),
    "ReadAt": Action("read", _plan_read_at, _answer_read),
    "ReadDir": Action("read", _plan_list, _answer_list, stops=True),
    "ReadToEnd": Action("read", lambda call: _read_from_cursor(call, _MOST), _answer_read, _after_what_was_read),
    "ReadExact": Action("read", _plan_read_exact, _answer_exact, _after_what_was_read),
    "ReadToString": Action(
        "read", lambda call: _read_from_cursor(call, _CHARACTERS), _answer_string, _after_what_was_read
    ),
    "Seek": Action("read", lambda call: ops.Stat(call.location), _answer_seek, _sought),
    "RemoveFile": Action("write", lambda call: ops.RemoveFile(call.location), changes=True),
    "RemoveDir": Action("write", lambda call: ops.RemoveFolder(call.location, recursive=False), changes=True),
    "RemoveDirAll": Action(
        "write", lambda call: ops.RemoveFolder(call.location, recursive=True), stops=True, changes=True
    ),
    "Rename": Action("write", lambda call: ops.Rename(call.location, _target(call)), second=True, changes=True),
    "Metadata": Action("read", lambda call: ops.Stat(call.location), _answer_metadata),
    "AddZip": Action("write", _plan_unpack, makes=True, changes=True, stops=True),
    "CopyFile": Action("read", lambda call: ops.Copy(call.location, _target(call)), second=True, stops=True),
    "CopyDirAll": Action("read", lambda call: ops.CopyFolder(call.location, _target(call)), second=True, stops=True),
    "PackedMetadata": Action("read", lambda call: ops.StatPacked(call.location), _answer_packed, stops=True),
    "PackedReadAt": Action("read", _plan_read_packed, _answer_read_packed),
    "PackedHash": Action("read", lambda call: ops.HashPacked(call.location, _version(call)), _answer_hash, stops=True),
    "UnpackFolder": Action("read", _plan_unpack_folder, second=True, stops=True),
    "Len": Action("read", lambda call: ops.Stat(call.location), _answer_len),
    "SetLen": Action("write", lambda call: ops.SetLength(call.location, number_untrusted(call.argument)), changes=True),
    "FreeSpace": Action(
        "read", lambda call: ops.FreeSpace(call.location), lambda call, outcome: ({"FreeSpace": outcome}, None)
    ),
    "Watch": Action("read", _plan_nothing),
    "Unwatch": Action("read", _plan_nothing),
    "Hash": Action("read", lambda call: ops.Hash(call.location), _answer_hash, stops=True),
}
