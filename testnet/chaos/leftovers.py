"""Transfers that nobody waits for any longer: they are ended, and their files removed.

A sender that has given up, or was killed, leaves a receiver that may be about to store the file. So senders are told to
end first. Receivers follow when no sender is left that could tell them to begin or to store. Each is waited for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from nectar_node.base.errors import NodeError
from nectar_node.launcher.client import ControlClient, ControlError
from nectar_node.launcher.transfer_answers import PROCESS
from testnet.chaos.context import ChaosContext

ENDS_WITHIN = 60.0
"""Seconds in which transfers end that are cancelled; they take a tenth of one."""
_ANSWER_SECONDS = 10
_GLANCE = 0.05
_OVER = ("done", "failed")
_ROLES = ("sending", "receiving")


def end_transfers(context: ChaosContext, prefix: str, within: float = ENDS_WITHIN) -> None:
    """End all transfers of files whose names begin with `prefix`: none of these files is stored afterwards.

    Nodes that do not run have none. A transfer that has not ended within so many seconds is a problem of the run.
    """
    limit = time.monotonic() + within
    for role in _ROLES:
        left = _end(context, context.nodes, prefix, role)
        while left and time.monotonic() < limit:
            time.sleep(_GLANCE)
            left = _end(context, list(left), prefix, role)
        context.report.problems += [f"{name} may still be {role} files: {why}" for name, why in left.items()]


def _end(context: ChaosContext, nodes: Sequence[str], prefix: str, role: str) -> dict[str, str]:
    """Return those of `nodes` on which such transfers may still run, and why."""
    left = {}
    for name in nodes:
        try:
            with context.network.connect(name) as client:
                running = _running(client, prefix, role)
                for transfer in running:
                    _ask(client, {"Cancel": {"id": transfer}})
            if running:
                left[name] = f"{', '.join(running)} has not ended"
        except NodeError as error:
            if context.network.place(name).owner() is not None:
                left[name] = str(error)
    return left


def _running(client: ControlClient, prefix: str, role: str) -> list[str]:
    """Return the ids of such transfers."""
    rows = _ask(client, "List")["List"]
    ours = [row for row in rows if row["name"].startswith(prefix) and row["direction"] == role]
    return [row["id"] for row in ours if row["state"] not in _OVER]


def _ask(client: ControlClient, body: object) -> Any:
    """Return what file_transfer answers; raises NodeError."""
    arguments = {"target": PROCESS, "timeout": _ANSWER_SECONDS, "blob": None, "mime": None}
    answer = client.request("message", patience=2.0 * _ANSWER_SECONDS, body=json.dumps(body), **arguments)
    if answer.get("outcome") != "response":
        raise ControlError(f"its file_transfer does not answer ({answer.get('reason')})")
    return json.loads(answer["body"])
