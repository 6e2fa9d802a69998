"""The reference of the SDK for Zig gets what `nectar.zig` has for authors, with its comments, when the site is built.

The compiler's own documentation is a program for browsers. This reads the sources by their indentation, which `zig fmt`
keeps the same: what begins in a line ends in the next line that is indented as far and begins with a bracket.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the tests read these pages where no site can be built
    from mkdocs.structure.pages import Page

PAGE = "zig-reference.md"
SDK = Path(__file__).resolve().parents[2] / "sdk" / "zig"
ROOT = "nectar.zig"
_PUBLIC = re.compile(r"( *)pub (?:const|var|fn|inline fn) (\w+)")
_FILE = re.compile(r'(?:pub )?const (\w+) = @import\("(\w+\.zig)"\);')
_OTHER = re.compile(r'pub const (\w+) = (?:@import\("(\w+\.zig)"\)|(\w+))\.(\w+);')
_PRIVATE = re.compile(r"(?:const|var|fn|inline fn|test|comptime)\b")
_CONTAINER = re.compile(r"\b(?:struct|union|enum)(?:\(\w+\))? \{$")


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Add a section for each module."""
    return "\n".join([markdown, *sections(SDK)]) if page.file.src_uri == PAGE else markdown


def sections(folder: Path) -> Iterator[str]:
    """Yield Markdown of what the modules in a folder declare; raises ValueError for what has no comment."""
    lines = (folder / ROOT).read_text().splitlines()
    files = {found[1]: found[2] for line in lines if (found := _FILE.match(line))}
    yield from _module("nectar", lines, folder, files)
    for line in lines:
        found = _FILE.match(line)
        if found and line.startswith("pub "):
            yield from _module(found[1], (folder / found[2]).read_text().splitlines(), folder, {})


def _module(name: str, lines: Sequence[str], folder: Path, files: dict[str, str]) -> Iterator[str]:
    """A section: what the module is for, and each of its declarations."""
    about = [line.removeprefix("//!").removeprefix(" ") for line in lines if line.startswith("//!")]
    yield "\n".join([f"## {name}", "", *about, ""])
    for at, line in enumerate(lines):
        declared = _PUBLIC.match(line)
        if declared is None or declared[1] or _FILE.match(line):
            continue
        told = "\n".join(_comment(lines, at)) or _fail(name, declared[2])
        shown = _elsewhere(line, folder, files) or _shown(lines, at)
        title = declared[2] if name == "nectar" else f"{name}.{declared[2]}"
        yield "\n".join([f"### {title}", "", told, "", "```zig", *shown, "```", ""])


def _fail(module: str, name: str) -> str:
    raise ValueError(f"{name} of {module} in the SDK for Zig has no comment")


def _comment(lines: Sequence[str], at: int) -> list[str]:
    """The comment above a line."""
    start = at
    while start > 0 and lines[start - 1].lstrip().startswith("///"):
        start -= 1
    return [line.strip().removeprefix("///").removeprefix(" ") for line in lines[start:at]]


def _elsewhere(line: str, folder: Path, files: dict[str, str]) -> list[str]:
    """What another file declares that a module hands on; [] if it does not hand on anything."""
    found = _OTHER.fullmatch(line)
    if found is None or (file := found[2] or files.get(found[3])) is None:
        return []
    lines = (folder / file).read_text().splitlines()
    at = next(at for at, each in enumerate(lines) if (declared := _PUBLIC.match(each)) and declared[2] == found[4])
    first, *rest = _shown(lines, at)
    return [first.replace(found[4], found[1], 1), *rest]


def _shown(lines: Sequence[str], start: int) -> list[str]:
    """A declaration without what is private and without what functions do."""
    end = _end(lines, start)
    head, first = lines[start : end + 1], lines[start]
    if "pub fn" not in first and "inline fn" not in first:
        if end == start or not _CONTAINER.search(first):
            return list(head)
        return [first, *_members(lines, start + 1, end), lines[end]]
    body = next(at for at in range(start, end + 1) if lines[at].endswith("{") or at == end)
    signature = list(lines[start : body + 1])
    if signature[-1].endswith(" type {"):
        inner = next(at for at in range(body, end) if _CONTAINER.search(lines[at]))
        return [
            *signature,
            lines[inner],
            *_members(lines, inner + 1, _end(lines, inner)),
            lines[_end(lines, inner)],
            lines[end],
        ]
    signature[-1] = re.sub(r" \{(.* \})?$", ";", signature[-1])
    return signature


def _members(lines: Sequence[str], start: int, end: int) -> Iterator[str]:
    """What is between the braces of a type: its fields, and what it declares for others."""
    at = start
    comment: list[str] = []
    while at < end:
        text = lines[at].strip()
        last = _end(lines, at)
        if text.startswith("//"):
            comment.append(lines[at])
            last = at
        elif not text:
            comment, last = [], at
        elif _PRIVATE.match(text):
            comment = []
        else:
            public = _PUBLIC.match(lines[at])
            if public and not comment:
                _fail(lines[start - 1].strip(), public[2])
            yield from [*comment, *(_shown(lines, at) if public else lines[at : last + 1])]
            comment = []
        at = last + 1


def _end(lines: Sequence[str], start: int) -> int:
    """The last line of what begins in a line."""
    if lines[start].rstrip().endswith((";", ",", "}")) or not lines[start].rstrip().endswith(("{", "(", "=")):
        return start
    indent = len(lines[start]) - len(lines[start].lstrip())
    for at in range(start + 1, len(lines)):
        line = lines[at]
        if line[: indent + 1].strip() and len(line) - len(line.lstrip()) == indent and not line.rstrip().endswith("{"):
            return at
    raise ValueError(f"{lines[start].strip()} has no end")
