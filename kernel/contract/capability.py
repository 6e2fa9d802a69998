"""Capabilities: the right to do a thing, as a value (G17).

Owns the value and its comparison. Who holds what is `kernel.capabilities.grants`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

from kernel.contract.address import Address
from kernel.contract.json_text import parse_untrusted
from kernel.contract.limits import MAX_PARAMS_BYTES

MESSAGING = '"messaging"'
"""Params of the capability to message its issuer (G18)."""
NETWORK = '"network"'
"""Params of the capability, issued by the kernel, to use the network (G19)."""
_REMEMBERED_PARAMS = 256
"""The longest params whose parsed form is remembered, in characters; what is remembered would otherwise be megabytes.
"""


class Capability(NamedTuple):
    """An issuer's word that the holder may do what `params` say."""

    issuer: Address
    params: str
    """JSON text; two capabilities are the same if the parsed values are (see `canonical`)."""


def canonical(capability: Capability) -> Capability:
    """Return the same capability with its params in one fixed spelling, for comparison. Raises ValueError if they are
    not JSON.

    Params that are canonical stay as they are. The spelling is ASCII: an escaped lone surrogate could otherwise not be
    written as UTF-8 for the guest that asks for it. It may be longer than the original: see `canonical_untrusted`.
    """
    issuer, params = capability
    spelled = _remembered(params) if len(params) <= _REMEMBERED_PARAMS else _spell(params)
    return Capability(issuer, spelled)


def canonical_untrusted(capability: Capability) -> Capability:
    """Return the canonical form of a capability that a guest or a peer passes. Raises ValueError for params that are
    not JSON, and for those that are longer than `limits.MAX_PARAMS_BYTES` in that spelling."""
    if len(capability.params) > MAX_PARAMS_BYTES:
        raise ValueError("the params are too long")
    spelled = canonical(capability)
    if len(spelled.params) > MAX_PARAMS_BYTES:
        raise ValueError("the params are too long in canonical form")
    return spelled


def _spell(params: str) -> str:
    return json.dumps(parse_untrusted(params), sort_keys=True, separators=(",", ":"))


_remembered = lru_cache(4096)(_spell)
