"""What a user says about rights when they start packages (`nectar_node.packages.review` applies it)."""

from __future__ import annotations

from dataclasses import dataclass

ALL = "all"
"""The word with which people give a package everything that it asks for."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a user says about rights when they start packages."""

    grant: tuple[str, ...] = ()
    """Names of powers, capabilities as `parse_capability` takes them, or `all`."""
    deny: tuple[str, ...] = ()
    """The same without `all`."""
    replaces: bool = False
    """Whether a package may take the place of one that came from elsewhere."""
    allows_sys: bool = False
    """Whether a package that does not come with the node may call itself one of the node's own."""
    stands_in: str = ""
    """The name `x:distro:sys` of a system process that the node does not have, and that a process of the user's takes;
    empty: none."""


NOTHING_SAID = Consent()
"""The consent of a user who has said nothing."""
EVERYTHING = Consent(grant=(ALL,), replaces=True, allows_sys=True)
"""Consent for networks that live as long as a test, whose packages are named in its code."""
