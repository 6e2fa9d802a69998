"""What is said where there is no browser."""

from __future__ import annotations

import sys

import pytest

from nectar_node.base.errors import BadInput
from testnet.testing.browsers import run_chromium


def test_without_chromium_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match=r"^Tests in a browser need Chromium: on Debian, apt-get install chromium\.$"):
        run_chromium().__enter__()


def test_without_playwright_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(BadInput, match=r"^Tests in a browser need Playwright: pip install 'nectar-node\[browser\]'\.$"):
        run_chromium().__enter__()
