"""The tokens of a WIT file, each with the doc comment before it.

https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md, "Lexical structure". Identifiers are taken
more freely than there, since nothing but a JSON name is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nectar_node.interfaces.errors import BadInterface

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<line>//[^\n]*)|(?P<block>/\*)|(?P<word>%?[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*)"
    r"|(?P<sign>->|[{}()<>,:;=@./*+-])"
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_STARS = re.compile(r"^\s*\*? ?", re.MULTILINE)


class Token(NamedTuple):
    """A word or a sign."""

    text: str
    """Without the % that makes a keyword a name; empty at the end of the file."""
    docs: tuple[str, ...]
    """The lines of the doc comments before it."""
    line: int
    """Counted from 1."""
    is_word: bool
    is_keyword: bool
    """Whether it may be one: it is a word without %."""


def tokens_untrusted(text: str, file: str) -> Iterator[Token]:
    """Yield the tokens of a file, and one without text at its end; raises BadInterface."""
    at, line, docs = 0, 1, []
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadInterface(f"{file}, line {line}: {text[at]!r} is no part of WIT.")
        end = found.end()
        if found["line"] is not None and found[0].startswith("///"):
            docs.append(found[0][3:].removeprefix(" ").rstrip())
        elif found["block"] is not None:
            end = _block_end(text, at, file, line)
            if text.startswith("/**", at) and end - at > 4:
                docs += (each.rstrip() for each in _STARS.sub("", text[at + 3 : end - 2]).strip().split("\n"))
        elif found["word"] is not None or found["sign"] is not None:
            word = found["word"] is not None
            yield Token(found[0].removeprefix("%"), tuple(docs), line, word, word and not found[0].startswith("%"))
            docs = []
        line += text.count("\n", at, end)
        at = end
    yield Token("", tuple(docs), line, is_word=False, is_keyword=False)


def _block_end(text: str, at: int, file: str, line: int) -> int:
    """Return where the comment ends that begins at `at`; comments may be nested."""
    depth = 0
    for edge in _BLOCK_EDGE.finditer(text, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise BadInterface(f"{file}, line {line}: a comment has no end.")
