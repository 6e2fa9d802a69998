"""A package gets another publisher in all files that name it, or in none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kernel.contract.address import PackageId
from nectar_node.authoring.build import read_manifest
from nectar_node.authoring.publisher import change_publisher, with_publisher
from nectar_node.authoring.templates import Language, Template, create
from nectar_node.base.errors import BadInput, BadPackage
from nectar_node.packages.interfaces import package_api
from nectar_node.packages.manifest import read_package
from tests.commands import nectar


def texts(folder: Path) -> dict[str, bytes]:
    """All that an author has written."""
    files = (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in files}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("our@go:go:local", "our@go:go:ann.nec"),
        ("go:local, then more.", "go:ann.nec, then more."),
        ("It is go:local.", "It is go:ann.nec."),
        ("ago:local", "ago:local"),
        ("my-go:local", "my-go:local"),
        ("go:locals", "go:locals"),
        ("go:local.nec", "go:local.nec"),
        ("go:local-2", "go:local-2"),
        ("go:go.nec:local", "go:go.nec:local"),
    ],
)
def test_an_id_is_changed_where_it_stands_and_nothing_like_it(text: str, expected: str) -> None:
    assert with_publisher(text, PackageId("go", "local"), "ann.nec") == expected


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("template", Template)
def test_a_package_that_gets_a_publisher_is_what_it_is_when_it_is_made_with_it(
    tmp_path: Path, language: Language, template: Template
) -> None:
    later, first = tmp_path / "a" / "greeter", tmp_path / "b" / "greeter"
    for folder in (later, first):
        folder.parent.mkdir()
    create(later, language, template)
    create(first, language, template, "ann.nec")
    changed = change_publisher(later, read_manifest(later), "ann.nec")
    assert {"metadata.json", "README.md", "tests/test_greeter.py"} <= set(changed)
    assert texts(later) == texts(first)
    assert not [name for name, text in texts(first).items() if b"greeter:local" in text or b'"local"' in text]
    (api,) = package_api(read_package(first, "one.nec"))
    assert str(api.process) == "greeter:greeter:ann.nec"


def test_the_files_of_others_and_what_is_built_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "greeter"
    create(folder, Language.ZIG, Template.ECHO)
    outside = tmp_path / "outside.txt"
    for path in (outside, folder / ".git" / "x", folder / "node_modules" / "x", folder / "pkg" / "other.wasm"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("greeter:local")
    (folder / "link.txt").symlink_to(outside)
    (folder / "picture").write_bytes(b"\xff greeter:local")
    change_publisher(folder, read_manifest(folder), "ann.nec")
    left = {name for name, text in texts(tmp_path).items() if b"greeter:local" in text}
    assert left == {
        "outside.txt",
        "greeter/.git/x",
        "greeter/node_modules/x",
        "greeter/pkg/other.wasm",
        "greeter/picture",
    }


def test_a_package_whose_metadata_name_no_publisher_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "greeter"
    create(folder, Language.ZIG, Template.ECHO)
    (folder / "metadata.json").unlink()
    (folder / "metadata.json").write_text(json.dumps({"publisher": "local", "package": "greeter"}))
    package = read_manifest(folder)
    (folder / "metadata.json").write_text("{}")
    before = texts(folder)
    with pytest.raises(BadPackage, match=re.escape('write "publisher": "ann.nec" there')):
        change_publisher(folder, package, "ann.nec")
    assert texts(folder) == before


@pytest.mark.parametrize("publisher", ["sys", "Ann.nec", "ann", "", "ann.nec/.."])
def test_a_publisher_that_can_be_no_node_is_refused(tmp_path: Path, publisher: str) -> None:
    ended = nectar("new", tmp_path / "greeter", "--publisher", publisher)
    assert (ended.code, list(tmp_path.iterdir())) == (2, [])
    assert "is not the name of a node, such as ann.nec" in ended.err
    create(tmp_path / "greeter", Language.C, Template.ECHO)
    with pytest.raises(BadInput, match="is not the name of a node"):
        change_publisher(tmp_path / "greeter", read_manifest(tmp_path / "greeter"), publisher)
