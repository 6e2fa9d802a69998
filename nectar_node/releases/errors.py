"""What is wrong with a release, each as one sentence."""

from __future__ import annotations

from nectar_node.base.errors import NodeError


class BadRelease(NodeError):
    """A release, its head or its version cannot be used."""


class NotProven(BadRelease):
    """A head is not signed by the key that its publisher has now."""


class Unproven(BadRelease):
    """A package says that a node has published it, and nothing proves that."""


class Downgrade(BadRelease):
    """A head is older than one that this node has seen."""


class OtherContent(BadRelease):
    """A version or a number exists already, with other content."""
