"""(trio) What can be asked of the process that runs the links, over its control socket (`nectar_node.control.server`).

add {name}                              -> {host, port, front}: the node's place; from now on the links listen for it
apply {kind, parameters, seconds|null, number|null}  -> the fault as a row: it holds from now on, or for so many
                                           seconds, and has that number or the next one
remove {number|null}                    -> {removed: [row, …]}: that fault, or all of them, holds no longer
faults {}                               -> {faults: [row, …]}
statistics {}                           -> {connections, links: [row of `Links.statistics`, …]}
gateway {}                              -> {port}: where these links listen for those of other machines
elsewhere {nodes: {name: [host, port]}} -> {}: from now on nodes of other machines are behind the gateways there

A row is {number, kind, parameters, words, left}; left: the seconds until it ends, or null.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from msgspec import Struct

from nectar_node.base import log
from nectar_node.base.errors import BadInput, CannotListen, NodeError
from nectar_node.control.server import error, request_untrusted
from net.base.node_names import is_node_name
from testnet.faults.catalogue import kind_of, make, parameters
from testnet.model.fields import nodes_of
from testnet.model.rule import Fault, NodeFault, Nodes, NotAtThisLevel
from testnet.model.value import shown
from testnet.model.where import ANY
from testnet.real.links import claim
from testnet.real.links.elsewhere import LabMachine
from testnet.real.links.fabric import Links
from testnet.real.links.gateway import Far
from testnet.real.nodes.addresses import Allocation, NodePlace
from testnet.real.nodes.here import NodesHere

MAX_LINE_BYTES = 1 << 16
"""The longest request."""
MAX_FAULTS = 256
"""The most faults that hold at the same time."""
MAX_NUMBER = 1 << 53
MAX_SECONDS = 1e6
"""The longest time of a fault."""

Row = dict[str, object]


class Asked(Struct, frozen=True):
    """One request: the command, and what the commands read."""

    command: str = ""
    name: str = ""
    kind: str = ""
    parameters: dict[str, Any] = {}
    seconds: float | None = None
    number: int | None = None
    nodes: dict[str, tuple[str, int]] = {}


class FaultRefused(NodeError):
    """A fault cannot be injected here."""


@dataclass(slots=True)
class _Held:
    number: int
    fault: Fault
    until: float | None
    """The end, by trio's clock."""

    def row(self, failed: str | None) -> Row:
        """Return the fault as a row. `failed`: why it does nothing any more."""
        left = None if self.until is None else round(max(0.0, self.until - trio.current_time()), 3)
        words = self.fault.words()
        return {
            "number": self.number,
            "kind": kind_of(self.fault),
            "parameters": parameters(self.fault),
            "words": words if failed is None else f"{words} ({failed})",
            "left": left,
        }


class LinksControl:
    """The commands of the links."""

    def __init__(
        self,
        links: Links,
        nodes: Callable[[Callable[[str], NodePlace]], Nodes],
        folder: Path,
        allocation: Allocation,
        machine: LabMachine | None = None,
        far: Far | None = None,
    ) -> None:
        """`nodes` makes those of the testnet in `folder` of what gives places to hosts, for faults that are done to
        nodes; they are asked in another thread, and may take their time. `machine` and `far`: which of the nodes are
        here, and where the others are; None: all are here."""
        self._links = links
        self._nodes = nodes(lambda host: trio.from_thread.run_sync(self.connect, host))
        if machine is not None:
            self._nodes = NodesHere(self._nodes, frozenset(machine.here))
        self._machine = machine
        self._far = far
        self.gateway_port: int | None = None
        """Where the links listen for those of other machines; None: there are none."""
        self._folder = folder
        self._allocation = allocation
        self._held: dict[int, _Held] = {}
        self._applied = trio.Event()
        """Set when there is one more."""
        self._one_by_one = trio.Lock()
        """Faults of nodes begin and end one after the other."""
        self._commands: dict[str, Callable[[Asked], Awaitable[Row]]] = {
            "add": self._on_add,
            "apply": self._on_apply,
            "remove": self._on_remove,
            "faults": self._on_faults,
            "statistics": self._on_statistics,
            "gateway": self._on_gateway,
            "elsewhere": self._on_elsewhere,
        }

    def connected(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Do nothing: the links send no messages of their own."""

    def forget(self, client: None) -> None:
        """Do nothing: clients have no state."""

    async def answer_untrusted(self, client: None, line: bytes) -> Row:
        """Answer one request."""
        try:
            asked = request_untrusted(line, Asked)
            command = self._commands.get(asked.command)
            if command is None:
                raise BadInput(f"There is no command {asked.command[:64]!r}.")
            return {"ok": await command(asked)}
        except NodeError as refusal:
            return error(refusal)

    async def expire(self) -> None:
        """End faults when their time is over; runs for ever."""
        while True:
            now = trio.current_time()
            for held in [each for each in self._held.values() if each.until is not None and each.until <= now]:
                try:
                    await self._end(held)
                except NodeError as failure:
                    log.write_line("links", f"After {held.fault.words()}: {failure}")
            self._applied = trio.Event()
            with trio.move_on_at(min((each.until for each in self._held.values() if each.until), default=math.inf)):
                await self._applied.wait()

    # --- commands ---------------------------------------------------------------------------------------------------

    async def _on_add(self, asked: Asked) -> Row:
        if not is_node_name(asked.name):
            raise BadInput(f"name must be the name of a node, such as a.nec, and not {shown(asked.name)}.")
        place = self.connect(asked.name)
        return {"host": place.host, "port": place.port, "front": list(place.front)}

    def connect(self, name: str) -> NodePlace:
        """Return the place of the node `name`, for which the links listen from now on; raises CannotListen,
        BadInput."""
        if self._machine is not None and name not in self._allocation.names:
            raise BadInput(
                f"There is no place for {name}: name it in the hosts file of this testnet, and start that again."
            )
        place = claim.allot(self._folder, self._allocation, name)
        try:
            self._links.add(name, place, None if self._machine is None or name in self._machine.here else self._far)
        except OSError as error:
            raise CannotListen(
                f"The links cannot listen at {place.front[0]} port {place.front[1]}: {error.strerror}."
            ) from error
        return place

    async def _on_apply(self, asked: Asked) -> Row:
        fault, seconds = self._fault_untrusted(asked), _seconds_untrusted(asked.seconds)
        if len(self._held) >= MAX_FAULTS:
            raise BadInput(f"{MAX_FAULTS} faults hold already: remove some.")
        if asked.number is not None and (asked.number in self._held or not 0 < asked.number < MAX_NUMBER):
            raise BadInput(f"A new fault cannot have the number {asked.number}.")
        async with self._one_by_one:
            if isinstance(fault, NodeFault) and not self._equals(fault):
                await self._do(fault.begin)
            until = None if seconds is None else trio.current_time() + seconds
            held = _Held(self._links.apply(fault, asked.number), fault, until)
            self._held[held.number] = held
            self._applied.set()
        return self._row(held)

    async def _on_remove(self, asked: Asked) -> Row:
        removed = [held for held in self._held.values() if asked.number in (None, held.number)]
        if asked.number is not None and not removed:
            there = ", ".join(map(str, self._held)) or "none"
            raise BadInput(f"There is no fault number {shown(asked.number)}: there are {there}.")
        rows = [self._row(held) for held in removed]
        failures = []
        for held in removed:
            try:
                await self._end(held)
            except NodeError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
        return {"removed": rows}

    async def _on_faults(self, _: Asked) -> Row:
        return {"faults": [self._row(held) for held in self._held.values()]}

    async def _on_statistics(self, _: Asked) -> Row:
        return {"connections": self._links.open_connections, "links": self._links.statistics()}

    async def _on_gateway(self, _: Asked) -> Row:
        return {"port": self.gateway_port}

    async def _on_elsewhere(self, asked: Asked) -> Row:
        if self._far is None:
            raise BadInput("All nodes of this testnet are on one machine.")
        self._far.endpoints = asked.nodes
        return {}

    # --- faults -----------------------------------------------------------------------------------------------------

    def _row(self, held: _Held) -> Row:
        return held.row(self._links.failed(held.number))

    def _fault_untrusted(self, asked: Asked) -> Fault:
        fault = make(asked.kind, asked.parameters)
        names = self._allocation.names
        for name in nodes_of(fault):
            if name != ANY and name not in names:
                there = f"The links lead to no node {name}, but to {', '.join(names)}"
                raise BadInput(f"{there}: nodes of `nectar testnet up` have links.")
        return fault

    async def _end(self, held: _Held) -> None:
        async with self._one_by_one:
            if self._held.pop(held.number, None) is None:
                return
            self._links.remove(held.number)
            if isinstance(held.fault, NodeFault) and not self._equals(held.fault):
                await self._do(held.fault.end)

    def _equals(self, fault: Fault) -> bool:
        """Whether an equal fault holds: of these only the first is begun, and only the last is ended."""
        return any(held.fault == fault for held in self._held.values())

    async def _do(self, what: Callable[[Nodes], None]) -> None:
        try:
            await trio.to_thread.run_sync(what, self._nodes)
        except NotAtThisLevel as error:
            raise FaultRefused(str(error)) from error
        except NodeError:
            raise
        except Exception as error:  # a user's own code can raise anything
            raise FaultRefused(f"The fault has failed: {type(error).__name__}: {error}.") from error


def _seconds_untrusted(seconds: float | None) -> float | None:
    if seconds is not None and not 0 < seconds <= MAX_SECONDS:
        raise BadInput(f"A fault holds for more than 0 and at most {MAX_SECONDS:.0f} seconds, not for {seconds!r}.")
    return seconds
