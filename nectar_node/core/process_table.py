"""The processes that run on the node, as rows of its store: after a reboot they run again (G26).

A row of `processes` has the process's id as its key; its value is a CBOR array.
"""

from __future__ import annotations

from typing import Any

import cbor2

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability, canonical_untrusted
from kernel.contract.errors import BadAddress
from kernel.contract.message import LazyLoadBlob, OnExit, OnExitAction, OnExitRequest, Request
from kernel.contract.process import Remnant
from kernel.router.lifecycle import Lifecycle
from nectar_node.base.errors import NodeError
from nectar_node.storage.operations import Row
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

PROCESSES = "processes"
"""The table."""
_MAX_ITEMS = 1 << 20
"""Items of one row."""


class DamagedRemnant(NodeError):
    """A row does not describe a process."""


class ProcessRows:
    """Follows the processes of one node: what has changed of them is to be written."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return self._lifecycle.has_changed

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        kept = self._lifecycle.take_remnants()
        return [Row(PROCESSES, str(id), None if each is None else encode(each)) for id, each in kept.items()]


def encode(remnant: Remnant) -> bytes:
    """Return the value of a process's row."""
    parent = None if remnant.parent is None else str(remnant.parent)
    ancestors = [str(each) for each in remnant.ancestors]
    waits, back_off = _milliseconds(remnant.waits), _milliseconds(remnant.back_off)
    on_exit, runs = _on_exit_fields(remnant.on_exit), remnant.runs
    code, path, public, restarts = remnant.digest, remnant.path, remnant.public, remnant.restarts
    return cbor2.dumps((code, path, on_exit, public, parent, ancestors, runs, waits, back_off, restarts))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else max(0, milliseconds) / 1000


def _on_exit_fields(on_exit: OnExit) -> object:
    if on_exit.action is not OnExitAction.REQUESTS:
        return on_exit.action.name
    return [
        [
            str(target),
            request.body,
            request.metadata,
            [[str(each.issuer), each.params] for each in request.capabilities],
            None if blob is None else [blob.mime, bytes(blob.bytes)],
        ]
        for target, request, blob in on_exit.requests
    ]


def decode_untrusted(key: str, value: bytes) -> Remnant:
    """Return what is in a row; raises DamagedRemnant."""
    try:
        code, path, on_exit, public, parent, ancestors, runs, waits, back_off, restarts = loads_untrusted(
            value, items=_MAX_ITEMS, depth=6
        )
        if len(bytes.fromhex(code)) != 32:
            raise ValueError("not a SHA-256")
        return Remnant(
            ProcessId.parse(key),
            code,
            str(path),
            _on_exit(on_exit),
            public is True,
            None if parent is None else ProcessId.parse(parent),
            tuple(map(ProcessId.parse, ancestors)),
            runs is True,
            _seconds(waits),
            _seconds(back_off),
            max(0, int(restarts)),
        )
    except (BadCbor, BadAddress, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise DamagedRemnant(f"the row of {key} does not describe a process") from error


def _on_exit(fields: Any) -> OnExit:
    if isinstance(fields, str):
        return OnExit(OnExitAction[fields])
    return OnExit(OnExitAction.REQUESTS, tuple(_on_exit_request(*each) for each in fields))


def _on_exit_request(target: Any, body: Any, metadata: Any, capabilities: Any, blob: Any) -> OnExitRequest:
    carried = tuple(canonical_untrusted(Capability(Address.parse(issuer), params)) for issuer, params in capabilities)
    request = Request(False, None, bytes(body), None if metadata is None else str(metadata), carried)
    return OnExitRequest(Address.parse(target), request, None if blob is None else LazyLoadBlob(*blob))
