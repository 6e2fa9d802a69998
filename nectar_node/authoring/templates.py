"""Makes a new package of a template: a copy of an example in the author's language, under the author's name.

What all have in common lies in `sdk/templates/all`, what editors of a language need in `sdk/templates/LANG`; the
manifest, the test, the text and the interface of a template in `sdk/templates/TEMPLATE`. There `__NAME__` stands for
its name.
"""

from __future__ import annotations

import enum
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from kernel.contract.address import PackageId
from nectar_node.authoring.publisher import with_publisher
from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import LOCAL_PUBLISHER, SDK_FOLDER, SHIPPED_FOLDER
from nectar_node.interfaces.shapes import kebab_case

FOLDER = SDK_FOLDER / "templates"
_NAME = "__NAME__"
_INTERFACE = "__INTERFACE__"
_RIGHT_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""It is a process, a package, a file, and in some languages a module."""


class Language(enum.StrEnum):
    """What a process is written in."""

    ZIG = "zig"
    PYTHON = "python"
    JAVASCRIPT = "javascript"
    C = "c"
    RUST = "rust"


class Template(enum.StrEnum):
    """What a package does when it is new."""

    ECHO = "echo"
    CHAT = "chat"
    FILES = "files"
    WEB = "web"
    REPLICA = "replica"


_SUFFIXES = {
    Language.ZIG: (".zig",),
    Language.PYTHON: (".py",),
    Language.JAVASCRIPT: (".ts", ".js"),
    Language.C: (".c",),
    Language.RUST: (".rs",),
}
_EXAMPLES = {Template.ECHO: "echo", Template.WEB: "web_chat", Template.REPLICA: "store"}
"""The example that a template is; the others have their sources among the templates."""
_PAGES = (".html", ".css")
"""With the script of the same name; in some languages an example has links to those of another."""


def create(folder: Path, language: Language, template: Template, publisher: str = LOCAL_PUBLISHER) -> tuple[str, ...]:
    """Make the package `folder`, which has the name of the folder, and return its files, relative to it.

    `publisher`: the node that will publish it.

    Raises BadInput if the name is none or the folder is there with something in it, and OSError; then nothing is made.
    """
    name = folder.name
    if not _RIGHT_NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be the name of a package here: take small letters, digits and _, such as my_chat."
        )
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise BadInput(f"{folder} is there already, with something in it: take another name, or remove it.")
    files = {
        path: with_publisher(content.decode(), PackageId(name, LOCAL_PUBLISHER), publisher).encode()
        for path, content in _files(name, language, template)
    }
    files["metadata.json"] = _metadata(name, publisher)
    staging = folder.with_name(f".{name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        for path, content in files.items():
            place = staging / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        (staging / ".sdk").symlink_to(SDK_FOLDER)
        staging.replace(folder)
    except PermissionError as error:
        raise BadInput(f"{folder} cannot be made: you may not write to {folder.parent}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return tuple(sorted(files))


def _files(name: str, language: Language, template: Template) -> Iterator[tuple[str, bytes]]:
    here = FOLDER / template
    yield "pkg/manifest.json", _filled(here / "manifest.json", name)
    yield f"api/{name}.wit", _interface(name, template)
    yield f"tests/test_{name}.py", _filled(here / "test.py", name)
    yield "README.md", _filled(here / "README.md", name) + _filled(FOLDER / "all" / "README.md", name)
    for folder in (FOLDER / "all", FOLDER / language):
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            relative = path.relative_to(folder).as_posix().replace("dot_", ".")
            if relative != "README.md":
                yield relative, _filled(path, name)
    yield from _sources(name, language, template)


def _interface(name: str, template: Template) -> bytes:
    """Return what describes the messages of the package: all languages have the same."""
    example = _EXAMPLES.get(template)
    if example is None:
        text, former = (FOLDER / template / "api.wit").read_text("utf-8"), _INTERFACE
    else:
        text, former = (SHIPPED_FOLDER / example / "api" / f"{example}.wit").read_text("utf-8"), kebab_case(example)
    return text.replace(f"interface {former} {{", f"interface {kebab_case(name)} {{").encode()


def _metadata(name: str, publisher: str) -> bytes:
    return (
        f'{{\n  "package": "{name}",\n  "publisher": "{publisher}",\n  "version": "0.1.0",\n'
        '  "description": "",\n  "license": ""\n}\n'
    ).encode()


def _sources(name: str, language: Language, template: Template) -> Iterator[tuple[str, bytes]]:
    """Yield the sources of the template, below `src`; the process has the package's name."""
    example = _EXAMPLES.get(template)
    if example is None:
        path = next(each for each in (FOLDER / template).iterdir() if each.suffix in _SUFFIXES[language])
        yield f"src/{name}{path.suffix}", path.read_bytes()
        return
    zig = language is Language.ZIG
    folder = SHIPPED_FOLDER / example if zig else SDK_FOLDER / language / "examples" / example
    others = _others(folder, example)
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.stem in others or path.suffix in _PAGES or path.name == "page.js":
            continue
        text = path.read_text("utf-8")
        for publisher in ("sys", "local"):
            text = text.replace(f"{example}:{example}:{publisher}", f"{name}:{name}:{LOCAL_PUBLISHER}")
        text = text.replace(f"nectar start packages/{example}", "nectar start .")
        stem = name if path.stem == example else path.stem
        yield f"src/{stem}{path.suffix}", text.encode()
    if template is Template.WEB:
        for page in ("page.html", "page.css", "page.js"):
            yield f"src/{page}", (SHIPPED_FOLDER / example / page).read_bytes()


def _others(folder: Path, example: str) -> set[str]:
    """Return the names of the example's other processes, which a new package does without."""
    manifest = (folder / "pkg" / "manifest.json").read_text("utf-8")
    return set(re.findall(r'"process_name": "(\w+)"', manifest)) - {example}


def _filled(path: Path, name: str) -> bytes:
    return path.read_text("utf-8").replace(_NAME, name).encode()
