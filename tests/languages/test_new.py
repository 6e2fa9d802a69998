"""New packages in all languages: each template builds and passes its tests; the same sources are the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nectar_node.authoring.build import build
from nectar_node.authoring.templates import Language, Template, create
from nectar_node.base.errors import DoesNotCompile, NoTools
from nectar_node.contract.config import user_cache
from tests.languages import debian_cargo

pytestmark = pytest.mark.languages

MISTAKES = {
    Language.ZIG: ("pub fn init() void {\n    x();\n}\n", "src/greeter.zig:2:5: use of undeclared identifier 'x'"),
    Language.C: ("int f(void) {\n    return x;\n}\n", "src/greeter.c:2:12: use of undeclared identifier 'x'"),
    Language.RUST: ("fn f() {\n    x();\n}\n", "src/greeter.rs:2:5: cannot find function `x` in this scope"),
    Language.PYTHON: ("import nectar\nx()\n", "src/greeter.py:2: NameError: name 'x' is not defined"),
    Language.JAVASCRIPT: ("\n  x(;\n", "src/greeter.js:2:5: Unexpected"),
}


@pytest.fixture
def cargo(monkeypatch: pytest.MonkeyPatch) -> Callable[[Language], None]:
    """Put cargo on the PATH for a package in Rust, or skip the test."""

    def find(language: Language) -> None:
        if language is not Language.RUST:
            return
        try:
            folder = debian_cargo.folder()
        except NoTools as error:
            pytest.skip(str(error))
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return find


@pytest.fixture(params=Language)
def language(request: pytest.FixtureRequest, cargo: Callable[[Language], None]) -> Language:
    """Each language, with its compiler."""
    found: Language = request.param
    cargo(found)
    return found


SOON = {
    (Language.ZIG, Template.REPLICA),
    (Language.C, Template.WEB),
    (Language.RUST, Template.FILES),
    (Language.PYTHON, Template.ECHO),
    (Language.JAVASCRIPT, Template.CHAT),
}
"""Each language and each template once; the others take minutes together."""


@pytest.mark.parametrize(
    ("language", "template"),
    [
        pytest.param(each, template, marks=() if (each, template) in SOON else pytest.mark.long)
        for each in Language
        for template in Template
    ],
)
def test_the_tests_of_a_new_package_pass(
    tmp_path: Path, language: Language, template: Template, cargo: Callable[[Language], None]
) -> None:
    cargo(language)
    create(tmp_path / "fresh", language, template)
    build(tmp_path / "fresh")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


# Python's compiler takes 20 seconds of a processor, twice.
@pytest.mark.parametrize(
    "language",
    [pytest.param(each, marks=[pytest.mark.long] if each is Language.PYTHON else []) for each in Language],
    indirect=True,
)
def test_the_same_sources_are_the_same_bytes_in_another_folder_and_for_another_user(
    tmp_path: Path, language: Language
) -> None:
    first, second = tmp_path / "a" / "greeter", tmp_path / "b" / "deeper" / "under another name"
    first.parent.mkdir()
    create(first, language, Template.CHAT)
    shutil.copytree(first, second, symlinks=True, copy_function=shutil.copyfile)  # with other times
    tools = user_cache("toolchains")
    assert tools is not None
    for folder, zone, locale in ((first, "UTC", "C"), (second, "Pacific/Auckland", "C.UTF-8")):
        # Nothing that was compiled before is found; the tools are.
        cache = tmp_path / f"cache of {folder.name}"
        (cache / "nectar").mkdir(parents=True, mode=0o700)
        (cache / "nectar" / "toolchains").symlink_to(tools)
        variables = {**os.environ, "XDG_CACHE_HOME": str(cache), "TZ": zone, "LC_ALL": locale, "USER": folder.name}
        variables |= {"PYTHONHASHSEED": str(len(zone)), "TMPDIR": str(cache)}
        command = [sys.executable, "-m", "nectar_node", "build", str(folder)]
        subprocess.run(command, env=variables, check=True, capture_output=True)
    assert (first / "pkg" / "greeter.wasm").read_bytes() == (second / "pkg" / "greeter.wasm").read_bytes()


def test_a_mistake_is_told_in_the_authors_line_relative_to_the_package(tmp_path: Path, language: Language) -> None:
    create(tmp_path / "greeter", language, Template.ECHO)
    (source,) = (tmp_path / "greeter" / "src").iterdir()
    text, sentence = MISTAKES[language]
    source.write_text(text)
    with pytest.raises(DoesNotCompile) as caught:
        build(tmp_path / "greeter")
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
