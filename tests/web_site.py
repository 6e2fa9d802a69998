"""A package whose process binds the paths that a test tells it to: the guest `web`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

WEB = Path(__file__).resolve().parent / "guests" / "web.wasm"
SITE = "our@web:site:local"
"""Its process."""
EARLY, LATE = "http_server:distro:sys", "http-server:distro:sys"
"""The names of the HTTP server."""


def write_site(folder: Path, package: str = "site") -> Path:
    """Write the package into a folder that is not there yet."""
    folder.mkdir()
    shutil.copy(WEB, folder / "web.wasm")
    asks = {"request_capabilities": [EARLY, LATE], "public": True, "on_exit": "Restart"}
    entry = {"process_name": "web", "process_wasm_path": "/web.wasm", **asks}
    (folder / "manifest.json").write_text(json.dumps([entry]))
    (folder / "metadata.json").write_text(json.dumps({"properties": {"package_name": package, "publisher": "local"}}))
    return folder


def tell_to_bind(server: str, path: str, text: str | None = None, **flags: bool | str) -> str:
    """A request to the process: to bind `path` at `server`, with a page that the node serves if there is `text`."""
    fields = {"path": path, "authenticated": False, "local_only": False, "cache": text is not None, **flags}
    blob = {} if text is None else {"mime": "text/html", "blob": text}
    return json.dumps({"Tell": {"to": server, "body": json.dumps({"Bind": fields}), **blob}})
