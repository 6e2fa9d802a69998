"""Names that no new file of a package may have, since some platform could not have it."""

from __future__ import annotations

import pytest

from nectar_node.storage.names import why_refused


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "empty"),
        (".", "stands for a folder"),
        ("..", "stands for a folder"),
        ("a/b", "slash"),
        ("..\\..\\key", "backslash"),
        ("a\0", "control character"),
        ("a\nb", "control character"),
        ("\x1b[2J", "control character"),
        ("a\x7f", "control character"),
        ("a\x85", "control character"),
        ("a.", "ends with a dot"),
        ("...", "ends with a dot"),
        ("a ", "ends with a dot or a space"),
        (" ", "ends with a dot or a space"),
        ("CON", "device"),
        ("nul", "device"),
        ("Aux.txt", "device"),
        ("nul .tar.gz", "device"),
        ("com1", "device"),
        ("LPT9.log", "device"),
        ("COM¹", "device"),
        ("conout$", "device"),
        ("x" * 256, "more than 255 bytes"),
        ("ö" * 128, "more than 255 bytes"),
        ("\ud800", "not Unicode"),
    ],
)
def test_a_name_that_some_platform_cannot_have_is_refused_with_a_reason(name: str, word: str) -> None:
    assert word in str(why_refused(name))


@pytest.mark.parametrize(
    "name",
    [
        "app:some.nec",  # existing packages name folders after packages
        "main:app:sys",
        "0x3f.zip",
        ".partial",
        ".gitignore",
        "console",
        "com",
        "com10",
        "lpt0",
        "nul-and-void",
        " leading",
        "what?.txt",
        "photo (2).jpg",
        "größe",
        "gro\u0308ße",  # the same, taken apart: another name, as on Linux
        "x" * 255,
        "\U0001f41d",
    ],
)
def test_names_that_packages_use_are_not_refused(name: str) -> None:
    assert why_refused(name) is None
