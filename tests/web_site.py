"""A package whose process binds the paths that a test tells it to: the guest `web`."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

WEB = Path(__file__).resolve().parent / "guests" / "web.wasm"
SITE = "our@web:site:local"
"""Its process."""
EARLY, LATE = "http_server:distro:sys", "http-server:distro:sys"
"""The names of the HTTP server."""


def write_guests(
    folder: Path,
    wasm: bytes,
    processes: Iterable[str],
    asks: Iterable[str],
    package: str = "site",
    publisher: str = "local",
    **entry: str,
) -> Path:
    """Write a package into a folder that is not there yet: public processes of one guest that hold messaging to
    `asks`; `entry` is what else the manifest says of each.
    """
    folder.mkdir(parents=True)
    (folder / "main.wasm").write_bytes(wasm)
    same = {"process_wasm_path": "/main.wasm", "request_capabilities": [*asks], "public": True, **entry}
    manifest = [{"process_name": name, **same} for name in processes]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    properties = {"package_name": package, "publisher": publisher}
    (folder / "metadata.json").write_text(json.dumps({"properties": properties}))
    return folder


def write_site(folder: Path, package: str = "site") -> Path:
    """Write the package into a folder that is not there yet."""
    return write_guests(folder, WEB.read_bytes(), ["web"], [EARLY, LATE], package, on_exit="Restart")


def zipped_site(publisher: str, *asks: object, code: bytes | None = None) -> bytes:
    """The package `sent` as a developer kit builds it: its process `web` is the guest `web`, or other `code`."""
    manifest = {
        "process_name": "web",
        "process_wasm_path": "/web.wasm",
        "on_exit": "Restart",
        "request_networking": False,
        "request_capabilities": list(asks),
        "grant_capabilities": [],
        "public": True,
    }
    metadata = {"properties": {"package_name": "sent", "publisher": publisher}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("manifest.json", json.dumps([manifest]))
        made.writestr("metadata.json", json.dumps(metadata))
        made.writestr("web.wasm", WEB.read_bytes() if code is None else code)
    return file.getvalue()


def tell_to_bind(server: str, path: str, text: str | None = None, **flags: bool | str) -> str:
    """A request to the process: to bind `path` at `server`, with a page that the node serves if there is `text`."""
    fields = {"path": path, "authenticated": False, "local_only": False, "cache": text is not None, **flags}
    blob = {} if text is None else {"mime": "text/html", "blob": text}
    return json.dumps({"Tell": {"to": server, "body": json.dumps({"Bind": fields}), **blob}})
