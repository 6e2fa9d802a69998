"""vfs:distro:sys."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any as Json

from tests.compatibility.case import GENERATIONS, Any, Ask, Each, Matching, OneOf, Play, Table, by
from tests.compatibility.guest import Got, Guest

D = "/$PKG/drive"
EARLY_ERRORS = (
    {"NoCap": {"action": Any(str), "path": Any(str)}},
    {"BadBytes": {"action": Any(str), "path": Any(str)}},
    {"BadRequest": {"error": Any(str)}},
    {"ParseError": {"error": Any(str), "path": Any(str)}},
    {"IOError": {"error": Any(str), "path": Any(str)}},
    {"CapChannelFail": {"error": Any(str)}},
    {"BadJson": {"error": Any(str)}},
    {"NotFound": {"path": Any(str)}},
    {"CreateDirError": {"path": Any(str), "error": Any(str)}},
)
"""What callers of A and B can parse."""
LATE_ERRORS = (
    *("NoWriteCap", "NoReadCap", "AddCapFailed", "MalformedRequest", "NoBlob", "UnzipError"),
    {"ParseError": {"error": Any(str), "path": Any(str)}},
    {"IOError": Any(str)},
)
"""What callers of C can parse."""
AN_ERROR = {"Err": Each(OneOf(EARLY_ERRORS), OneOf(LATE_ERRORS))}


def _do(name: str, action: Json, answer: Json = "Ok", path: str = f"{D}/f", **more: Json) -> Ask:
    body: Json = {"path": path, "action": action}
    if isinstance(action, Each):
        body = Each(**{each: body for each in GENERATIONS if action[each] is not None})
    return Ask(name, body, answer, **more)


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("page/index.html", "<p>hello</p>")
    return made.getvalue()


def _grants(guest: Guest) -> str | None:
    held = guest.capabilities()
    drive = f"/{guest.package}/drive"
    missing = [kind for kind in ("read", "write") if ("vfs:distro:sys", {"kind": kind, "drive": drive}) not in held]
    return f"not held: {' and '.join(missing)}" if missing else None


def _listed(guest: Guest) -> str | None:
    got = guest.ask(
        "vfs:distro:sys", json.dumps({"path": f"/{guest.package}/drive/zip/page", "action": "ReadDir"}).encode()
    )
    entry = {"path": f"{guest.package}/drive/zip/page/index.html", "file_type": "File"}
    return None if json.loads(got.body) == {"ReadDir": [entry]} else got.shown()


def _bare(guest: Guest) -> str | None:
    got = guest.ask("vfs:distro:sys", json.dumps({"path": f"{guest.package}/drive/f", "action": "Read"}).encode())
    return None if got.body == b'"Read"' else got.shown()


def _bare_zip(guest: Guest) -> str | None:
    body = json.dumps({"path": f"{guest.package}/drive/bare", "action": "AddZip"}).encode()
    got = guest.ask("vfs:distro:sys", body, _zip(), "application/zip")
    return None if got.body == b'"Ok"' else got.shown()


def change(guest: Guest, name: str, capabilities: list[Json]) -> None:
    """Let the node's user give the guest capabilities, or take them."""
    for at in range(0, len(capabilities), 1000):
        asked = {name: {"target": guest.id, "capabilities": capabilities[at : at + 1000]}}
        guest.core.ask("our@kernel:distro:sys", json.dumps(asked).encode(), 5)


def holding_too_much(guest: Guest, to: str, asked: Json) -> Got:
    """What the guest is answered while it holds so much that it cannot be given more (MAX_GIVEN_CAPABILITIES)."""
    many = [{"issuer": f"{guest.node}@vfs:distro:sys", "params": f'"{number}"'} for number in range(1040)]
    change(guest, "GrantCapabilities", many[:900])
    for each in many[900:]:
        change(guest, "GrantCapabilities", [each])  # a list is given whole or not at all
    got = guest.ask(to, json.dumps(asked).encode())
    change(guest, "DropCapabilities", many)
    return got


def _not_given(guest: Guest) -> str | None:
    got = holding_too_much(guest, "vfs:distro:sys", {"path": f"/{guest.package}/much", "action": "CreateDrive"})
    early = {"Err": {"CapChannelFail": {"error": Any(str)}}}
    return None if Matching().fits(by(guest.generation, Each(early, LATE_FULL)), json.loads(got.body)) else got.shown()


def _as_root(guest: Guest) -> str | None:
    """An app store unpacks other packages, and passes on what it holds to their drives."""
    root = [{"issuer": f"{guest.node}@vfs:distro:sys", "params": '{"root":true}'}]
    change(guest, "GrantCapabilities", root)
    drive = f"/{guest.generation.lower()}:other.nec/drive"
    got = guest.ask("vfs:distro:sys", json.dumps({"path": drive, "action": "CreateDrive"}).encode())
    change(guest, "DropCapabilities", root)
    held = guest.capabilities()
    has = all(("vfs:distro:sys", {"kind": kind, "drive": drive}) in held for kind in ("read", "write"))
    return None if got.body == b'"Ok"' and has else got.shown()


def _link(_: Guest) -> str | None:
    return "a drive has none"


NO_LINKS = "a drive holds files and folders alone"
LATE_FULL = {"Err": "AddCapFailed"}


def _spawned(path: str) -> Json:
    def run(guest: Guest) -> str | None:
        return None if guest.spawn(path.replace("$PKG", guest.package)) else "no file at that path"

    return run


VFS = Table(
    "vfs:distro:sys",
    "vfs:distro:sys",
    (
        _do("`CreateDrive`", "CreateDrive", path=D),
        Play("`CreateDrive` gives the capabilities of the drive to whoever asked", _grants),
        Play('`CreateDrive` for another package, by `{"root": true}`, gives them too', _as_root),
        _do("`CreateDir`", "CreateDir", path=f"{D}/d"),
        _do("`CreateDirAll`", "CreateDirAll", path=f"{D}/x/y/z"),
        _do("`CreateFile`", "CreateFile", path=f"{D}/new"),
        _do("`OpenFile` with `create`", {"OpenFile": {"create": True}}),
        _do("`Write`", "Write", blob=b"hello"),
        _do("`Read`", "Read", "Read", gets=b"hello"),
        Play("a path without its leading slash", _bare),
        _do("`ReadToString`", "ReadToString", {"ReadToString": "hello"}),
        _do(
            "`Seek`",
            {"Seek": Each({"seek_from": {"Start": 1}}, {"Start": 1})},
            {"SeekFrom": Each(1, {"new_offset": 1})},
        ),
        _do("`ReadExact`", {"ReadExact": Each(2, {"length": 2})}, "Read", gets=b"el"),
        _do("`ReadToEnd`", "ReadToEnd", "Read", gets=b"lo"),
        _do("`WriteAll`", "WriteAll", blob=b", "),
        _do("`WriteAt` of the first A, at the cursor", Each(None, None, A="WriteAt"), blob=b""),
        _do("`Append`", "Append", blob=b"world"),
        _do("`Len`", "Len", {"Len": 12}),
        _do("`Metadata`", "Metadata", {"Metadata": {"file_type": "File", "len": 12}}),
        _do(
            "`Metadata` of a folder",
            "Metadata",
            {"Metadata": {"file_type": "Directory", "len": Any(int)}},
            path=f"{D}/d",
        ),
        Play("`Metadata` of a link or a device (`Symlink`, `Other`)", _link, why=NO_LINKS),
        _do("`Hash`", "Hash", {"Hash": [Any(int)] * 32}),
        _do("`SetLen`", {"SetLen": 5}),
        _do("`SyncAll`", "SyncAll"),
        _do("`CopyFile`", {"CopyFile": {"new_path": f"{D}/copy"}}),
        _do("`Rename`", {"Rename": {"new_path": f"{D}/renamed"}}, path=f"{D}/copy"),
        _do("`AddZip`", "AddZip", path=f"{D}/zip", blob=_zip(), mime="application/zip"),
        Play("`AddZip` to a path without its leading slash", _bare_zip),
        Play("`ReadDir`: entries without a leading slash", _listed),
        _do("`CloseFile`", "CloseFile"),
        _do("`RemoveFile`", "RemoveFile", path=f"{D}/renamed"),
        _do("`RemoveDir`", "RemoveDir", path=f"{D}/d"),
        _do("`RemoveDirAll`", "RemoveDirAll", path=f"{D}/x"),
        Play("`spawn` of a file in the package", _spawned("/main.wasm")),
        Play("`spawn` of a whole path, with its leading slash", _spawned("/$PKG/pkg/main.wasm")),
        Play("`spawn` of a whole path without it", _spawned("$PKG/pkg/main.wasm")),
        Play("Error: the maker of a drive cannot be given more (`CapChannelFail`, `AddCapFailed`)", _not_given),
        _do("Error: a file that is not there", "Read", AN_ERROR, path=f"{D}/none"),
        _do(
            "Error: no capability to read (`NoCap`, `NoReadCap`)",
            "Read",
            {"Err": Each({"NoCap": {"action": Any(str), "path": Any(str)}}, "NoReadCap")},
            path="/other:package.nec/drive/f",
        ),
        _do(
            "Error: no capability to write (`NoCap`, `NoWriteCap`)",
            "Write",
            {"Err": Each({"NoCap": {"action": Any(str), "path": Any(str)}}, "NoWriteCap")},
            path="/other:package.nec/drive/f",
            blob=b"x",
        ),
        _do(
            "Error: no blob (`BadBytes`, `NoBlob`)",
            "Write",
            {"Err": Each({"BadBytes": {"action": Any(str), "path": Any(str)}}, "NoBlob")},
        ),
        _do(
            "Error: no such action (`BadRequest`, `MalformedRequest`)",
            "Nonsense",
            {
                "Err": Each(
                    OneOf(({"BadRequest": {"error": Any(str)}}, {"BadJson": {"error": Any(str)}})), "MalformedRequest"
                )
            },
        ),
        Ask(
            "Error: no JSON (`BadJson`, `MalformedRequest`)",
            b"nonsense",
            {
                "Err": Each(
                    OneOf(({"BadRequest": {"error": Any(str)}}, {"BadJson": {"error": Any(str)}})), "MalformedRequest"
                )
            },
        ),
        _do(
            "Error: no path (`ParseError`)",
            "Read",
            {"Err": {"ParseError": {"error": Any(str), "path": Any(str)}}},
            path="nonsense",
        ),
        _do(
            "Error: the disk refuses, here to remove a folder with something in it (`IOError`)",
            "RemoveDir",
            {"Err": Each({"IOError": {"error": Any(str), "path": Any(str)}}, {"IOError": Any(str)})},
            path=D,
        ),
        _do(
            "Error: the disk is full (`IOError`)",
            "Write",
            {"Err": Each({"IOError": {"error": Any(str), "path": Any(str)}}, {"IOError": Any(str)})},
            blob=bytes(1 << 20),
            full_disk=True,
        ),
        _do(
            "Error: no archive (`UnzipError`, `IOError`)",
            "AddZip",
            AN_ERROR,
            path=f"{D}/zip2",
            blob=b"no archive",
            mime="application/zip",
        ),
    ),
)
