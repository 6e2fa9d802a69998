"""Capabilities: the right to do a thing, as a value (G17).

Owns the value and its comparison. Who holds what is `kernel.grants`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

from kernel.address import Address
from kernel.json_text import parse_untrusted

MESSAGING = '"messaging"'
"""Params of the capability to message its issuer (G18)."""
NETWORK = '"network"'
"""Params of the capability, issued by the kernel, to use the network (G19)."""


class Capability(NamedTuple):
    """An issuer's word that the holder may do what `params` say."""

    issuer: Address
    params: str
    """JSON text; two capabilities are the same if the parsed values are (see `canonical`)."""


@lru_cache(4096)
def canonical(capability: Capability) -> Capability:
    """The same capability with its params in one fixed spelling, for comparison; raises ValueError if they are no JSON.

    In ASCII: an escaped lone surrogate could otherwise not be written as UTF-8 for the guest that asks for it.
    """
    params = json.dumps(parse_untrusted(capability.params), sort_keys=True, separators=(",", ":"))
    return Capability(capability.issuer, params)
