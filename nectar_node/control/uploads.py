"""Files that somebody gives to the running node: to send them to another node, or to start them as packages.

Each lies in a folder of its own below the node's, comes in pieces, and ends with the node.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from kernel.contract.message import Buffer
from nectar_node.base import own_files
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.control.clients import Client, Waiter
from nectar_node.control.requests import Fields
from nectar_node.core.core import NodeCore
from nectar_node.packages.unpacking import Prepared, discard
from nectar_node.storage.operations import is_part

MAX_UPLOADS = 32
"""Files at the same time; the node has no more than that of these."""
MAX_FILE_BYTES = 1 << 40
"""Bytes of one file; the free disk is a limit in any case."""
MAX_NAME_BYTES = 200
"""Bytes of a file's name, as file_transfer has it."""


class CannotUpload(NodeError):
    """There is no room for a file, or no such upload."""


@dataclass(slots=True, eq=False)
class UploadedFile:
    """A file that has come, or is coming."""

    id: str
    path: Path
    size: int
    """Bytes that it is to have."""
    there: int = 0
    """Bytes that have come."""
    users: int = 0
    """How many transfers read it."""
    unpacked: Prepared | None = None
    """The package that was made of it and has not been started."""
    lock: trio.Lock = field(default_factory=trio.Lock)

    @property
    def whole(self) -> bool:
        """Whether all of it is there."""
        return self.there == self.size


class FileUploads:
    """The uploads of one node, and the commands about them."""

    def __init__(self, core: NodeCore, folder: Path, turn: Callable[[], None]) -> None:
        """`folder` holds nothing else; what is left there of an earlier run is removed. `turn` lets the node run after
        it was told something.
        """
        self._core = core
        self._folder = folder
        self._turn = turn
        self._known: dict[str, UploadedFile] = {}
        self.clear()
        self.commands: dict[str, Callable[[Client, Fields], Awaitable[dict[str, object]]]] = {
            "upload": self._on_upload,
            "discard_upload": self._on_discard,
        }

    def clear(self) -> None:
        """Remove all files."""
        self._known.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def whole_untrusted(self, id: str) -> UploadedFile:
        """Return an upload that is complete; raises CannotUpload."""
        upload = self._of_untrusted(id)
        if not upload.whole:
            raise CannotUpload(f"{upload.path.name} is not there yet: {upload.there} of {upload.size} bytes have come.")
        return upload

    async def append_untrusted(self, id: str, offset: int, data: Buffer) -> dict[str, object]:
        """Add a piece to an upload, if it begins where the one before ended; answer how much there is. Raises
        CannotUpload.
        """
        upload = self._of_untrusted(id)
        async with upload.lock:
            if offset == upload.there and self._known.get(id) is upload:
                if upload.there + len(data) > upload.size:
                    raise CannotUpload(f"{upload.path.name} has more bytes than it was to have: drop it once more.")
                try:
                    await trio.to_thread.run_sync(_append, upload.path, offset, data)
                except OSError as error:
                    raise CannotUpload(f"{upload.path.name} cannot be written: {error.strerror}.") from error
                upload.there += len(data)
            return {"bytes": upload.there, "size": upload.size}

    def started(self, id: str) -> None:
        """Forget an upload, a package that runs now."""
        upload = self._known.get(id)
        if upload is not None:
            upload.unpacked = None
            self.discard(upload)

    def discard(self, upload: UploadedFile) -> None:
        """Remove a file that nobody reads any more. Does not wait: to remove a large one takes a while."""
        if not upload.users and self._known.pop(upload.id, None) is not None:
            trio.lowlevel.spawn_system_task(trio.to_thread.run_sync, _remove, upload)

    def _of_untrusted(self, id: str) -> UploadedFile:
        upload = self._known.get(id)
        if upload is None:
            raise CannotUpload("The node does not have this file any more: choose it once more.")
        return upload

    async def _on_upload(self, _: Client, fields: Fields) -> dict[str, object]:
        """Make room for a file of that name and size."""
        name, size = fields.name, fields.size
        check_name_untrusted(name)
        if not 0 <= size <= MAX_FILE_BYTES:
            raise BadInput("A file's size is a number of bytes.")
        waiter = Waiter()
        self._core.ask_disk_use(waiter)
        self._turn()
        used = await waiter.wait()
        promised = sum(each.size - each.there for each in self._known.values())
        if used.problem is None and size + promised > used.free - used.floor:
            raise CannotUpload(f"The node's disk has no room for {name}: free some of it, or send a smaller file.")
        if len(self._known) >= MAX_UPLOADS:
            self._forget_oldest()
        upload = UploadedFile(os.urandom(8).hex(), self._folder / os.urandom(8).hex() / name, size)
        try:
            own_files.make_folder(self._folder)
            own_files.make_folder(upload.path.parent)
            await trio.to_thread.run_sync(_append, upload.path, 0, b"")
        except OSError as error:
            raise CannotUpload(f"{name} cannot be written: {error.strerror}.") from error
        self._known[upload.id] = upload
        return {"upload": upload.id}

    def _forget_oldest(self) -> None:
        unused = next((each for each in self._known.values() if not each.users), None)
        if unused is None:
            raise CannotUpload(f"{MAX_UPLOADS} files are on their way already: wait until one has arrived.")
        self.discard(unused)

    async def _on_discard(self, _: Client, fields: Fields) -> dict[str, object]:
        with suppress(CannotUpload):
            self.discard(self._of_untrusted(fields.upload))
        return {}


def check_name_untrusted(name: str) -> None:
    """Raise BadInput if a file of that name can be on no node."""
    if not is_part(name) or name.startswith(".") or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
        raise BadInput(
            f"{name[:40]!r} cannot be a file's name on a node: names do not begin with a dot, and have at most "
            f"{MAX_NAME_BYTES} bytes and no control characters. Rename it, then choose it once more."
        )


def _remove(upload: UploadedFile) -> None:
    shutil.rmtree(upload.path.parent, ignore_errors=True)
    if upload.unpacked is not None:
        discard(upload.unpacked)


def _append(path: Path, offset: int, data: Buffer) -> None:
    descriptor = own_files.open_file(path, os.O_WRONLY | os.O_CREAT)
    try:
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            offset, view = offset + written, view[written:]
    finally:
        os.close(descriptor)
