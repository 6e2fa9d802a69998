"""One sentence for a name that is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MOST_SHOWN = 60
"""Characters of a word that is unknown."""


def unknown(what: str, word: str, known: Iterable[str], beside: str = "") -> str:
    """Return one sentence: there is no `what` called `word`, which one may be meant, and which there are; `beside`
    names further ones."""
    names = sorted(known)
    word = word if len(word) <= _MOST_SHOWN else f"{word[:_MOST_SHOWN]}…"
    near = get_close_matches(word, names, n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    others = f", and {beside}" if beside else ""
    return f"There is no {what} {word!r}{meant} There are {', '.join(names)}{others}."
