"""Answers for the names `x:distro:sys` that this node does not have: an error at once, which callers know.

Packages of the existing node call system processes that exist there, above all eth:distro:sys to index names on a
chain, and wait for an answer in their `init`. So whoever sends a request to such a name gets an error at once, in the
shape that its library knows, without a capability: there is nothing behind it. Nothing is kept of a request. The log
tells once of each package and name, for the first MAX_TOLD of them: names can be invented without end.

The node's user may put a process of their own at such a name (`nectar start --as`): then this is not asked.
"""

from __future__ import annotations

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.message import Envelope
from nectar_node.contract.actions import LogLine
from nectar_node.contract.generations import ETH, ETH_SETTINGS, NO_CHAIN, NO_SETTINGS
from nectar_node.contract.json_shapes import RequestRefused, dump, load_untrusted, variant_untrusted
from nectar_node.system.process import SORRY, Cause, SystemProcess, reply

MAX_BODY_BYTES = 64 << 10
"""Bytes of a request to eth that are read: only the name of what is asked matters."""
MAX_TOLD = 256
"""Packages and names that the log tells of."""


class Absent(SystemProcess):
    """What stands for all system processes that this node does not have."""

    id = ProcessId("absent", "distro", "sys")

    def __init__(self) -> None:
        super().__init__()
        self._told: set[tuple[PackageId, ProcessId]] = set()

    def receive(self, envelope: Envelope, now: float) -> None:
        """Answer a request with an error; one that expects no answer is dropped."""
        asker, name = envelope.source.process, envelope.target.process
        known = (asker.package_id, name)
        if known not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(known)
            self._out.append(LogLine(str(asker), 0, f"asks {name}, which this node does not have"))
        self._answer(envelope, _error_untrusted(envelope))

    def _answer(self, envelope: Envelope, value: object) -> None:
        answer = reply(envelope.target.process, envelope, dump(value))
        if answer is not None:
            self._out.append(answer)

    def recover(self, cause: Cause, now: float) -> None:
        """Answer a request whose handling has failed."""
        if isinstance(cause, Envelope):
            self._answer(cause, {"Err": SORRY})


def _error_untrusted(envelope: Envelope) -> object:
    """Return the error that callers of this name know; their libraries read any other answer as one, too."""
    name = envelope.target.process
    if name != ETH:
        return {"Err": f"this node has no {name}"}
    try:
        asked, _ = variant_untrusted(load_untrusted(envelope.message.body, MAX_BODY_BYTES))
    except RequestRefused:
        return NO_CHAIN
    return NO_SETTINGS if asked in ETH_SETTINGS else NO_CHAIN
