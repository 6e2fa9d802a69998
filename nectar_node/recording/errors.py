"""What goes wrong with a recording."""

from __future__ import annotations

from nectar_node.base.errors import NodeError


class BadRecording(NodeError):
    """A recording that cannot be read or replayed; the message is one sentence."""
