"""Starts a package that a developer kit has sent, as `nectar start` starts a zip."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from nectar_node.base import own_files
from nectar_node.base.errors import NodeError
from nectar_node.contract.http import StartUpload
from nectar_node.http.uploads import told_how
from nectar_node.packages import unpacking
from nectar_node.packages.startable import read_startable

KITS_FOLDER = "kits"
"""The folder, in a node's folder, of the zips that kits have sent: the latest of each package. They stay
when the node goes down."""


async def start_upload(
    upload: StartUpload, our: str, folder: Path, command: Callable[[bytes], Awaitable[dict[str, object]]]
) -> str | None:
    """Start the package of an upload on the node in `folder`, whose commands `command` carries out. Return why it
    cannot be started, in a sentence; None: it runs.

    The zip stays where it is written, as where the package comes from: what the user grants it there holds for the next
    upload too.
    """
    path = folder / KITS_FOLDER / f"{upload.package.package}@{upload.package.publisher}.zip"
    try:
        prepared = await trio.to_thread.run_sync(_prepare, upload, our, path, folder)
    except NodeError as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}."
    words = {"command": "start", "package": str(prepared.folder.resolve()), "origin": str(path.resolve())}
    answer = await command(json.dumps(words).encode())
    done, failed = answer.get("ok"), answer.get("error")
    if not isinstance(done, dict):
        await trio.to_thread.run_sync(unpacking.discard, prepared)
        sentence = failed.get("sentence") if isinstance(failed, dict) else failed
        return told_how(str(sentence), path, our)
    return None


def _prepare(upload: StartUpload, our: str, path: Path, folder: Path) -> unpacking.Prepared:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    own_files.write(path, bytes(upload.data))
    prepared = unpacking.unpack_untrusted(path, folder)
    try:
        found = read_startable(prepared.folder, our).id
        if found != upload.package:
            raise NodeError(f"The zip holds {found}, and not {upload.package}.")
    except NodeError:
        unpacking.discard(prepared)
        raise
    return prepared
