"""What tests of all languages share: each test that takes `language` runs once for each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from testnet.testing.package_lab import PackageLab
from tests.languages.toolchain import LANGUAGES, Language


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, which need compilers."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.languages)


@pytest.fixture(scope="session", params=LANGUAGES, ids=lambda each: each.name)
def language(request: pytest.FixtureRequest) -> Language:
    """A language of processes."""
    found: Language = request.param
    return found


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Language, str], Path]:
    """Make an example of a language, once; its folder."""
    folder = tmp_path_factory.mktemp("examples")

    @cache
    def package(language: Language, name: str) -> Path:
        return language.package(name, folder)

    return package


@pytest.fixture
def lab(testnet: PackageLab) -> PackageLab:
    """A network of real nodes."""
    return testnet


@pytest.fixture
def boot(lab: PackageLab, language: Language, compiled: Callable[[Language, str], Path]) -> Callable[..., None]:
    """Start nodes with an example of the language: boot("store", "one.nec", "two.nec")."""

    def start(package: str, *nodes: str, http: bool = False) -> None:
        lab.boot(*nodes, packages=[compiled(language, package)], http=http)

    return start
