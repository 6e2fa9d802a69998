"""The pages and the docstrings: nothing public is undocumented, and no page names what is not there."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from testnet.faults.partition import Partition
from testnet.model.rule import LinkFault

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("kernel", "net", "nectar_node", "testnet")
SDK = ROOT / "sdk" / "python" / "nectar"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "sdk/**/*.md", "packages/*/*.md")
    for path in ROOT.glob(pattern)
    if ".venv" not in path.parts
)
README_LINES = 120
PATHS_BELOW = ("kernel/", "net/", "nectar_node/", "testnet/", "tests/", "bench/", "docs/", "packages/", "sdk/")
"""What text between backticks begins with if it is a path of the repository."""
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def undocumented(path: Path) -> Iterator[str]:
    """The public names of a module that have no docstring; the module itself, if it has none."""
    tree = _tree(path)
    where = str(path.relative_to(ROOT))
    if ast.get_docstring(tree) is None:
        yield where
    yield from (f"{where}: {name}" for name in _undocumented_in(tree, ""))


def _undocumented_in(node: ast.AST, prefix: str) -> Iterator[str]:
    inherited = _documented_by_bases(node) if isinstance(node, ast.ClassDef) else frozenset()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            if child.name.startswith("_") or _is_overload(child):
                continue
            if ast.get_docstring(child) is None and child.name not in inherited:
                yield prefix + child.name
            if isinstance(child, ast.ClassDef):
                yield from _undocumented_in(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.If | ast.Try):
            yield from _undocumented_in(child, prefix)


def _is_overload(node: Definition) -> bool:
    """Whether it is one of several signatures, of which the last one is documented."""
    return any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list)


@cache
def _classes() -> dict[str, ast.ClassDef]:
    """All classes of the rooms by name."""
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return {node.name: node for path in paths for node in _classes_in(_tree(path))}


def _classes_in(node: ast.AST) -> Iterator[ast.ClassDef]:
    """Those that are not within a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield child
        if isinstance(child, ast.ClassDef | ast.If | ast.Try):
            yield from _classes_in(child)


def _documented_by_bases(node: ast.ClassDef) -> frozenset[str]:
    """The methods that bases document: `help` shows that for the class, too."""
    bases = [_classes()[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in _classes()]
    methods = [each for base in bases for each in base.body if isinstance(each, Definition)]
    own = frozenset(each.name for each in methods if ast.get_docstring(each) is not None)
    return own.union(*(_documented_by_bases(base) for base in bases))


def prose(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return re.sub(r"^(`{3,}).*?^\1", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_a_docstring(room: str) -> None:
    assert [name for path in sorted((ROOT / room).rglob("*.py")) for name in undocumented(path)] == []


def test_every_public_name_of_the_sdk_for_python_has_a_docstring() -> None:
    public = sorted(path for path in SDK.glob("*.py") if path.stem == "__init__" or not path.stem.startswith("_"))
    assert [name for path in public for name in undocumented(path)] == []


def test_a_method_has_the_docstring_of_the_one_that_it_implements() -> None:
    assert Partition.judge.__doc__ is None
    assert inspect.getdoc(Partition.judge) == inspect.getdoc(LinkFault.judge)


def test_what_has_no_docstring_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_docs.ROOT", tmp_path)
    (tmp_path / "x.py").write_text("class A:\n  '''An A.'''\n  def b(self): ...\n  def _c(self): ...\ndef _d(): ...\n")
    assert list(undocumented(tmp_path / "x.py")) == ["x.py", "x.py: A.b"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose(page))
    assert [link for link in links if ":" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_paths_that_a_page_names_are_there(page: Path) -> None:
    named = [text for text in re.findall(r"`([^`\s]+)`", prose(page)) if text.startswith(PATHS_BELOW)]
    assert [text for text in named if not (ROOT / text).exists()] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < README_LINES


@pytest.mark.parametrize("room", ROOMS)
def test_an_installed_package_says_that_it_is_typed(room: str) -> None:
    assert (ROOT / room / "py.typed").is_file()
    (included,) = re.findall(r"^include = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f'"/{room}"' in included
