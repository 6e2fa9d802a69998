"""What is wrong with an interface, as one sentence."""

from __future__ import annotations

from nectar_node.base.errors import NodeError


class BadInterface(NodeError):
    """A package's description of its messages cannot be read; the message says where."""
