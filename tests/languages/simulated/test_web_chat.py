"""A chat with a page, in each language: the tests of packages/web_chat."""

from __future__ import annotations

import pytest

from tests.languages.simulated.conftest import MakeLab
from tests.packages.lab import Lab
from tests.packages.test_web_chat import *  # noqa: F403 - the tests are the same
from tests.packages.test_web_chat import NODES


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    """Two nodes with a chat."""
    return make_lab("web_chat", NODES)
