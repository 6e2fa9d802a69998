"""The reference of the SDK for C gets what `nectar.h` declares, with its comments, when the site is built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the tests read these pages where no site can be built
    from mkdocs.structure.pages import Page

PAGE = "c-reference.md"
HEADER = Path(__file__).resolve().parents[2] / "sdk" / "c" / "nectar.h"
_SECTION = re.compile(r"/\* --- (.+) --- \*/")
_NAMES = (
    re.compile(r"#define (\w+)"),
    re.compile(r"^} (\w+);$", re.MULTILINE),
    re.compile(r"^typedef .*?(\w+);$", re.MULTILINE),
    re.compile(r"\b(nectar_\w+)\("),
)
"""Where a declaration has its name; the first that is found counts."""


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Add a section for each of the header's."""
    return "\n".join([markdown, *sections(HEADER.read_text())]) if page.file.src_uri == PAGE else markdown


def public(text: str) -> str:
    """Return the half of the header that is for authors."""
    return text.partition("#ifndef NECTAR_H\n")[2].partition("#endif /* NECTAR_H */")[0]


def sections(text: str) -> Iterator[str]:
    """Yield Markdown of all that a header declares; raises ValueError for what has no comment."""
    about, _ = _comment(text.splitlines(), 0)
    yield f"{about}\n"
    lines = [line for line in public(text).splitlines() if not re.match(r"#(include|define NECTAR_H$)", line)]
    at, told = 0, ""
    while at < len(lines):
        section = _SECTION.match(lines[at])
        if section:
            yield f"## {section[1].capitalize() if section[1].islower() else section[1]}\n"
            at += 1
        elif lines[at].startswith("/*"):
            told, at = _comment(lines, at)
        elif lines[at]:
            declared, at = _declaration(lines, at)
            yield _entry(declared, told)
            told = ""
        else:
            at += 1


def _entry(declared: str, told: str) -> str:
    name = next(found[1] for each in _NAMES if (found := each.search(declared)))
    if not told:
        raise ValueError(f"{name} in nectar.h has no comment")
    return f"### {name}\n\n{told}\n\n```c\n{declared}\n```\n"


def _comment(lines: Sequence[str], start: int) -> tuple[str, int]:
    """Return the text of the comment that begins in a line, and the line behind it."""
    end = next(at for at in range(start, len(lines)) if lines[at].rstrip().endswith("*/"))
    inner = "\n".join(lines[start : end + 1]).removeprefix("/*").removesuffix("*/")
    return "\n".join(re.sub(r"^ \* ?", "", line.rstrip()) for line in inner.split("\n")).strip(), end + 1


def _declaration(lines: Sequence[str], start: int) -> tuple[str, int]:
    """Return the declaration that begins in a line, and the line behind it."""
    at, depth = start, 0
    while True:
        line = re.sub(r"/\*.*?\*/", "", lines[at]).rstrip()
        depth += line.count("{") - line.count("}")
        ended = not line.endswith("\\") if lines[start].startswith("#") else depth == 0 and line.endswith(";")
        at += 1
        if ended:
            return "\n".join(lines[start:at]), at
