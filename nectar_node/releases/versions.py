"""Versions by Semantic Versioning 2.0.0 (semver.org): their text, and which of two is newer."""

from __future__ import annotations

import re
from functools import total_ordering

from nectar_node.releases.errors import BadRelease
from nectar_node.releases.limits import MAX_VERSION_BYTES

_NUMBER = r"0|[1-9][0-9]*"
_PRE = rf"(?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PRE}(?:\.{_PRE})*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)

_Key = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


@total_ordering
class Version:
    """A version such as `1.4.0` or `2.0.0-beta.1+7`; those that differ behind the `+` alone are equal (10.)."""

    __slots__ = ("_key", "text")

    def __init__(self, text: str) -> None:
        """Raises BadRelease if `text` is not a version."""
        found = _VERSION.fullmatch(text) if len(text) <= MAX_VERSION_BYTES else None
        if found is None:
            raise BadRelease(f"{text[:MAX_VERSION_BYTES]!r} is not a version: expected three numbers, such as 1.4.0.")
        self.text = text
        major, minor, patch, pre = found.groups()
        # A release is above all that came before it (11.3); words are above numbers (11.4.3).
        words = () if pre is None else tuple(map(_word, pre.split(".")))
        self._key: _Key = (int(major), int(minor), int(patch), pre is None, words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Version({self.text!r})"


def _word(text: str) -> tuple[bool, int, str]:
    return (False, int(text), "") if text.isdigit() else (True, 0, text)
