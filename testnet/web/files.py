"""The files of the page: its own, and the modules and the style that it shares with the node's page."""

from __future__ import annotations

from importlib.resources import files

from nectar_node.http.pages import StaticPage, static_page

SHARED = ("base.css", "html.js", "vendor/preact.js", "vendor/hooks.js", "vendor/htm.js")
"""Of `nectar_node/web`."""
_TYPES = {"css": "text/css; charset=utf-8", "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8"}


def page_files() -> dict[str, StaticPage]:
    """Return all files, by the path at which they are served."""
    shared, own = files("nectar_node") / "web", files("testnet.web") / "page"
    found = {f"/shared/{name}": _read(name, (shared / name).read_bytes()) for name in SHARED}
    for each in own.iterdir():
        found["/" if each.name == "index.html" else f"/page/{each.name}"] = _read(each.name, each.read_bytes())
    return found


def _read(name: str, data: bytes) -> StaticPage:
    return static_page(_TYPES[name.rpartition(".")[2]], data)
