"""The reference: a page for each module of the four rooms, and of the SDK for processes in Python, found in the package
tree when the site is built.

Nothing lists the modules, so a file that moves takes its page along. Folders are sections of the navigation; what a
room keeps private (a name with an underscore) has no page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = tuple(ROOT / each for each in ("kernel", "net", "nectar_node", "testnet", "sdk/python/nectar"))
AREA = "reference"
SECTION = "Reference"
"""The section of the navigation to which they are added."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the packages to the navigation."""
    section: list[Any] = next(each[SECTION] for each in config.nav or [] if SECTION in each)
    section += [{package.name: _navigation(package)} for package in PACKAGES]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each module."""
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            if _is_public(path):
                name = _module(path)
                title = name if path.name == "__init__.py" else path.stem
                text = f"---\ntitle: {title}\n---\n\n# {name}\n\n::: {name}\n"
                files.append(File.generated(config, _uri(path), content=text))
    return files


def _below(path: Path) -> Path:
    """The path of a module below where its package is imported from."""
    (package,) = (each for each in PACKAGES if each in path.parents)
    return path.relative_to(package.parent)


def _is_public(path: Path) -> bool:
    parts = _below(path).parts
    return all(part == "__init__.py" or not part.startswith("_") for part in parts)


def _module(path: Path) -> str:
    return ".".join(_below(path).with_suffix("").parts).removesuffix(".__init__")


def _uri(path: Path) -> str:
    below = _below(path).with_suffix(".md")
    return f"{AREA}/{below.with_name('index.md') if below.stem == '__init__' else below}"


def _navigation(folder: Path) -> list[Any]:
    """Its own page, its modules, then its folders."""
    modules = [path for path in sorted(folder.glob("*.py")) if _is_public(path)]
    inner = [path for path in sorted(folder.iterdir()) if (path / "__init__.py").is_file()]
    return [_uri(path) for path in modules] + [{path.name: _navigation(path)} for path in inner]
