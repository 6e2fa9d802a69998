"""The reference of the SDK for JavaScript gets what `nectar` exports, from the sources' comments, when the site is
built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the tests read these pages where no site can be built
    from mkdocs.structure.pages import Page

PAGE = "javascript-reference.md"
SDK = Path(__file__).resolve().parents[2] / "sdk" / "javascript"
_EXPORTED = re.compile(r"export \{([^}]*)\} from \"\./(\w+)\.ts\"")
_NAMESPACE = re.compile(r"export \* as (\w+) from \"\./(\w+)\.ts\"")
_DECLARED = re.compile(r"export (?:abstract |async )*(?:function\*?|class|interface|const|let|type) (\w+)")
_BODY = re.compile(r"( => (this|ask|act|load|field|new|\w+\.from)\b.*| \{\}?)$")
_HIDDEN = re.compile(r"  (?:#|private |protected |readonly #|abstract )")


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Add a section for each module."""
    return "\n".join([markdown, *sections()]) if page.file.src_uri == PAGE else markdown


def sections() -> Iterator[str]:
    """A section for each module, with what it exports to authors."""
    index = (SDK / "nectar.ts").read_text()
    for names, module in _EXPORTED.findall(index):
        yield from _section(f"From `{module}.ts`", module, re.findall(r"(?:type )?(\w+),?", names.replace("type ", "")))
    for name, module in _NAMESPACE.findall(index):
        yield from _section(f"`{name}`", module, None)


def _section(title: str, module: str, wanted: Sequence[str] | None) -> Iterator[str]:
    """What a module exports, of it only what is wanted."""
    lines = (SDK / f"{module}.ts").read_text().splitlines()
    about, _ = _comment(lines, 0)
    yield f"## {title}\n\n{about}\n"
    at, told = 0, ""
    while at < len(lines):
        if lines[at].startswith("/**"):
            told, at = _comment(lines, at)
            continue
        declared = _DECLARED.match(lines[at])
        if declared and (wanted is None or declared[1] in wanted):
            yield f"### {declared[1]}\n\n{told}\n\n```ts\n{_signature(lines, at)}\n```\n"
        told, at = "", at + 1


def _comment(lines: Sequence[str], start: int) -> tuple[str, int]:
    """The text of the comment that begins in a line, and the line behind it."""
    end = next(at for at in range(start, len(lines)) if lines[at].rstrip().endswith("*/"))
    inner = "\n".join(lines[start : end + 1]).removeprefix("/**").removesuffix("*/")
    text = "\n".join(re.sub(r"^ ?\* ?", "", line.rstrip()) for line in inner.split("\n"))
    return text.strip(), end + 1


def _signature(lines: Sequence[str], start: int) -> str:
    """A declaration without what is between its braces, unless that is what it declares."""
    first = lines[start].removeprefix("export ")
    if re.match(r"(abstract )?class", first):
        return "\n".join([first, *_members(lines, start + 1), "}"])
    if first.startswith(("interface", "type")) and not first.endswith(";"):
        end = next(at for at in range(start, len(lines)) if lines[at] == "}")
        return "\n".join([first, *lines[start + 1 : end + 1]])
    return _head(first)


def _members(lines: Sequence[str], start: int) -> Iterator[str]:
    """What a class has for its users."""
    comment: list[str] = []
    at = start
    while lines[at] != "}":
        line = lines[at]
        if line.startswith(("  /**", "   *")):
            comment.append(line)
        elif re.match(r"  \S", line) and line not in ("  }", "  ) {}", "  ) {"):
            end = at
            while not re.search(r"[;{}]$", lines[end]):
                end += 1
            if not _HIDDEN.match(line):
                yield from [*comment, *lines[at:end], _head(lines[end])]
            comment, at = [], end
        at += 1


def _head(line: str) -> str:
    """The line without the body that begins in it."""
    return _BODY.sub("", line).rstrip(";") + ";"
