"""Node names (G1): one check, used for every untrusted name."""

import re

from net.base.limits import MAX_LABEL_BYTES, MAX_NAME_BYTES

_LABEL = f"[a-z0-9](?:[a-z0-9-]{{0,{MAX_LABEL_BYTES - 2}}}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")


def is_node_name(name: object) -> bool:
    """Return whether `name` is a node's name: at least two dot-separated labels of a-z, 0-9 and inner '-' (G1)."""
    return isinstance(name, str) and len(name) <= MAX_NAME_BYTES and _NAME.fullmatch(name) is not None
