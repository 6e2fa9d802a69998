"""What a user says when they start packages: see `nectar_node.packages.review` for what it is good for."""

from __future__ import annotations

from dataclasses import dataclass

ALL = "all"
"""What people write to give a package everything that it asks for."""


@dataclass(frozen=True, slots=True)
class Consent:
    """See the module's text."""

    grant: tuple[str, ...] = ()
    """Names of powers, capabilities as `parse_capability` takes them, or `all`."""
    deny: tuple[str, ...] = ()
    """The same without `all`."""
    replaces: bool = False
    """A package may take the place of one that came from elsewhere."""
    allows_sys: bool = False
    """A package that does not come with the node may call itself one of the node's own."""


NOTHING_SAID = Consent()
"""Nobody has been asked."""
EVERYTHING = Consent(grant=(ALL,), replaces=True, allows_sys=True)
"""For networks that live as long as a test, whose packages are named in its code."""
