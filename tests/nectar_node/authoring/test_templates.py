"""`nectar new`: a package of each template builds, and its tests pass; here in Zig, in tests/languages in all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nectar_node.authoring.build import build
from nectar_node.authoring.templates import Language, Template, create
from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import SDK_FOLDER
from nectar_node.packages.interfaces import package_api
from nectar_node.packages.manifest import read_package
from testnet.sim.programs import Programs
from tests.commands import nectar
from tests.packages.lab import Lab


def test_the_tests_of_a_new_package_of_each_template_pass(tmp_path: Path) -> None:
    for template in Template:
        create(tmp_path / f"new_{template}", Language.ZIG, template)
        build(tmp_path / f"new_{template}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "13 passed" in ended.stdout


def test_a_new_package_answers_as_its_interface_says(tmp_path: Path) -> None:
    engine = Programs()
    asked: dict[Template, list[object]] = {
        Template.CHAT: [{"Say": {"to": "two.nec", "text": "Hi"}}, {"Say": {"to": "three.nec", "text": "Hi"}}, "Lines"],
        Template.FILES: [{"Write": {"name": "a", "text": "x"}}, {"Read": "a"}, {"Read": "b"}, {"Read": "/"}],
    }
    for template, bodies in asked.items():
        folder = tmp_path / f"new_{template}"
        create(folder, Language.ZIG, template)
        build(folder)
        lab = Lab(engine, (folder,), ("one.nec", "two.nec"))
        for body in bodies:
            lab.ask(f"our@new_{template}:new_{template}:local", body)
        assert len(lab.described.seen) == 2


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("template", Template)
def test_a_new_package_has_all_that_an_author_needs_under_its_own_name(
    tmp_path: Path, language: Language, template: Template
) -> None:
    folder = tmp_path / "greeter"
    files = create(folder, language, template)
    assert {".gitignore", ".github/workflows/test.yml", "README.md", "tests/test_greeter.py"} < set(files)
    assert set(files) == {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    (entry,) = json.loads((folder / "pkg" / "manifest.json").read_text())
    assert (entry["process_name"], entry["process_wasm_path"]) == ("greeter", "/greeter.wasm")
    assert json.loads((folder / "metadata.json").read_text())["package"] == "greeter"
    (api,) = package_api(read_package(folder, "one.nec"))
    assert str(api.process) == "greeter:greeter:local"
    assert all(each.docs.text for each in api.messages)
    for name in files:
        text = (folder / name).read_text()
        assert "__NAME__" not in text
        assert not any(f"{each}:{each}:" in text for each in ("echo", "store", "web_chat")), name
    assert [name for name in files if name.startswith("src/greeter.")] != []


@pytest.mark.parametrize("language", Language)
def test_editors_find_the_sdk_through_a_link_that_a_build_renews(tmp_path: Path, language: Language) -> None:
    files = create(tmp_path / "greeter", language, Template.ECHO)
    assert any(".sdk" in (tmp_path / "greeter" / name).read_text() for name in files if name not in (".gitignore",))
    assert (tmp_path / "greeter" / ".sdk").resolve() == SDK_FOLDER.resolve()


@pytest.mark.long
def test_the_recipe_for_ci_builds_a_new_package_and_runs_its_tests(tmp_path: Path) -> None:
    folder = tmp_path / "greeter"
    create(folder, Language.ZIG, Template.ECHO)
    recipe = (folder / ".github" / "workflows" / "test.yml").read_text()
    first, *steps = re.findall(r"^ +- run: (.+)$", recipe, re.MULTILINE)
    assert first == 'pip install "$NECTAR" pytest'  # which needs a network
    # As GitHub runs them: each in a shell of its own, which ends with the first command that fails.
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "CI": "true"}
    for step in steps:
        ended = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, (step, ended.stdout, ended.stderr)
    (suite,) = ElementTree.parse(folder / "results.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "0", "0")


def test_a_link_of_another_machine_is_renewed_by_a_build(tmp_path: Path) -> None:
    create(tmp_path / "new_echo", Language.ZIG, Template.ECHO)
    link = tmp_path / "new_echo" / ".sdk"
    link.unlink()
    link.symlink_to("/nowhere")
    build(tmp_path / "new_echo")
    assert link.resolve() == SDK_FOLDER.resolve()


@pytest.mark.parametrize("name", ["Greeter", "my-chat", "1st", "a b", "x" * 64, "ä"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    ended = nectar("new", tmp_path / name)
    assert ended.code == 2
    assert ended.err.endswith("take small letters, digits and _, such as my_chat.\n")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "greeter").mkdir()
    create(tmp_path / "greeter", Language.C, Template.ECHO)
    with pytest.raises(BadInput, match="is there already, with something in it"):
        create(tmp_path / "greeter", Language.ZIG, Template.CHAT)
    assert (tmp_path / "greeter" / "src" / "greeter.c").is_file()
