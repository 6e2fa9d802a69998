"""The user's browser is started with a link that signs in.

The arguments of a process can be read by all users of the machine (proc(5)), and whoever is faster uses the link. So
the browser is told of a file that leads there, which nobody else can read, and which goes when the link has been used.
"""

from __future__ import annotations

import tempfile
import time
import webbrowser
from collections.abc import Callable
from html import escape
from pathlib import Path

from nectar_node.base import own_files

_GLANCE_SECONDS = 0.1
"""Seconds between two looks at whether the link has been used."""


def open_privately(url: str, folder: Path, seconds: float, is_done: Callable[[], bool]) -> bool:
    """Start the browser with a link, and return whether there is one; `folder` is the user's own, and exists.

    Returns when it `is_done`, and otherwise after so many seconds, in which a link is good. Raises OSError, and what
    `is_done` does.
    """
    with tempfile.TemporaryDirectory(prefix="open-", dir=folder) as made:
        page = Path(made).resolve() / "open.html"
        own_files.write(page, leading_page(url).encode())
        if not webbrowser.open(page.as_uri()):
            return False
        deadline = time.monotonic() + seconds
        while not is_done() and time.monotonic() < deadline:
            time.sleep(_GLANCE_SECONDS)
        return True


def leading_page(url: str) -> str:
    """Return a page that leads to `url` at once."""
    link = escape(url, quote=True)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=color-scheme content='light dark'>"
        f'<meta name=referrer content=no-referrer><meta http-equiv=refresh content="0;url={link}">'
        f'<title>Opening</title><p><a href="{link}">Go on</a></p></html>\n'
    )
