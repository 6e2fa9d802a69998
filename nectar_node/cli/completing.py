"""What bash passes to a completion, put right.

Bash breaks the words of a line at `@` and `:`, and completes the last piece alone: `our@chat:ch` arrives as five words,
and what comes back takes the place of `ch`. Other shells know words as people do.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

_BREAKS = "@:"
_WORDS, _PLACE, _KIND = "COMP_WORDS", "COMP_CWORD", "_NECTAR_COMPLETE"
_SIGN = re.compile(f"[{_BREAKS}]+")


@contextmanager
def bash_words() -> Iterator[None]:
    """If bash asks for a completion, let it be asked for whole words, and print what bash needs of each."""
    words, place = os.environ.get(_WORDS, "").split("\n"), os.environ.get(_PLACE, "")
    if os.environ.get(_KIND) != "complete_bash" or len(words) < 2 or not place.isdigit():
        yield
        return
    joined, cut = _joined(words, int(place))
    os.environ[_WORDS], os.environ[_PLACE] = "\n".join(joined), str(len(joined) - 1)
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            print(line[cut:])


def _joined(words: list[str], place: int) -> tuple[list[str], int]:
    """Return the words up to the one that is completed, pieced together, and how much of that bash does not replace."""
    found: list[str] = []
    glued = False
    for word in words[: place + 1]:
        is_sign = _SIGN.fullmatch(word) is not None
        if found and (is_sign or glued):
            found[-1] += word
        else:
            found.append(word)
        glued = is_sign
    last = found[-1]
    return found, max(last.rfind(each) for each in _BREAKS) + 1
