"""A real browser for tests: Chromium without a window, driven by Playwright (the extra `browser`).

Playwright's synchronous interface is used, which runs in the thread of the test; nodes are processes of their own.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nectar_node.base.errors import BadInput

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
"""The names of what is looked for on PATH, in this order."""
ARGUMENTS = ["--host-resolver-rules=MAP *.example 127.0.0.1"]
"""Names below `example` (RFC 2606) are this machine: so a test can have strangers, whose sites are others."""
PATIENCE = 30.0
"""Seconds that a step of a test waits for what it expects: the machine may have other things to do."""


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """Yield a running browser, which ends with the block, or with this process if that is killed.

    Raises BadInput where there is none, or no Playwright."""
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        raise BadInput("Tests in a browser need Playwright: pip install 'nectar-node[browser]'.") from None
    program = chromium()
    expect.set_options(timeout=PATIENCE * 1000)
    # Ctrl-C is ours alone: Playwright's own handler would close the browser under a test that is still being undone.
    # The sandbox is left off, as Playwright does: it cannot be had as root, nor in most containers.
    quiet: dict[str, Any] = {"handle_sigint": False, "handle_sigterm": False, "handle_sighup": False}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS, env=_environment(), **quiet)
        try:
            yield browser
        finally:
            browser.close()


def chromium() -> str:
    """Return the path of the browser; raises BadInput where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise BadInput("Tests in a browser need Chromium: on Debian, apt-get install chromium.")
    return program


def _environment() -> dict[str, str | float | bool]:
    """Return that of this process without a screen, so that a test sees the same with one and without."""
    return {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}


class Visitors:
    """The visitors of one test, each a browser of its own: cookies, storage and connections are not shared."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._allowed: list[re.Pattern[str]] = []
        self._errors: list[str] = []

    def open(self, url: str = "", **options: Any) -> Page:
        """Return a new visitor's page, which shows `url`. `options` are those of Playwright's `new_context`, such as
        `color_scheme="dark"` or `viewport={"width": 390, "height": 844}`."""
        context = self._browser.new_context(**{"reduced_motion": "reduce", **options})
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        context.on("console", self._said)
        context.on("weberror", lambda wrong: self._errors.append(str(wrong.error)))
        page = context.new_page()
        if url:
            page.goto(url)
        return page

    def allow(self, pattern: str) -> None:
        """Errors in which this regular expression is found are part of this test."""
        self._allowed.append(re.compile(pattern))

    def errors(self) -> list[str]:
        """Return what the pages have reported until now: errors of scripts and of the console, without those that are
        allowed."""
        from playwright.sync_api import Error

        for page in (page for context in self._contexts for page in context.pages):
            with suppress(Error):  # it is on its way to another page
                page.evaluate("0")  # what the page has reported before it answers is here, too
        return [error for error in self._errors if not any(allowed.search(error) for allowed in self._allowed)]

    def close(self) -> None:
        """End all of them."""
        while self._contexts:
            self._contexts.pop().close()

    def _said(self, message: ConsoleMessage) -> None:
        where = message.location["url"]
        if message.type == "error" and not where.endswith("/favicon.ico"):  # which browsers ask for by themselves
            self._errors.append(f"{message.text} [{where}]")
