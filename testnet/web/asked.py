"""What the page asks for, read from requests that anybody could have sent. Pure."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from nectar_node.base.decoding import BadShape, decode_untrusted
from nectar_node.base.errors import BadInput
from testnet.model.seeds import MAX_SEED

MAX_BYTES = 16 << 10
"""Bytes of one order: a form that a person has filled in."""
_MAX_FIELDS = 32
_Text = Annotated[str, Meta(max_length=300)]
_Name = Annotated[str, Meta(max_length=253)]


class FaultAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """A fault that is to hold; parameters as they were typed, as in `nectar testnet fault add`."""

    kind: _Name
    parameters: dict[_Name, _Text] = {}
    between: _Text = ""
    source: _Name = ""
    target: _Name = ""
    node: _Name = ""
    seconds: _Text = ""
    """Empty: until it is removed."""


class RemovalAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """A fault that is to end; None: all of them."""

    number: Annotated[int, Meta(ge=0, le=1 << 53)] | None = None


class NodeAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Something that is to be done to a node."""

    name: _Name
    order: _Name


class ChaosAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Chaos that is to begin."""

    minutes: float
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)] | None = None


class NothingAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """An order that needs no more words."""


Asked = FaultAsked | RemovalAsked | NodeAsked | ChaosAsked | NothingAsked

ORDERS: dict[str, type[Asked]] = {
    "fault": FaultAsked,
    "remove": RemovalAsked,
    "node": NodeAsked,
    "chaos": ChaosAsked,
    "chaos-end": NothingAsked,
    "link": NothingAsked,
}
"""By the last part of their path."""


def order_untrusted(name: str, body: bytes) -> Asked:
    """Read the order `name`, one of ORDERS; raises BadInput."""
    if len(body) > MAX_BYTES:
        raise BadInput(f"An order has at most {MAX_BYTES} bytes.")
    kind: Any = ORDERS[name]
    try:
        asked: Asked = decode_untrusted(body or b"{}", kind)
    except BadShape as error:
        raise BadInput(f"This cannot be read: {error}.") from None
    if isinstance(asked, FaultAsked) and len(asked.parameters) > _MAX_FIELDS:
        raise BadInput(f"A fault has at most {_MAX_FIELDS} parameters.")
    return asked


def seconds_untrusted(text: str) -> float | None:
    """Read for how long a fault is to hold; raises BadInput."""
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{text[:60]!r} is not a number of seconds: leave it empty to remove the fault later.") from None
