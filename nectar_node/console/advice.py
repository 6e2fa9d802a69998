"""What to do about each reason for which a message fails (G16); docs/errors.md has the whole table."""

from __future__ import annotations

from collections.abc import Callable

from kernel.contract.message import Reason

_ADVICE = {
    Reason.NO_SUCH_NAME: "check the spelling: no node has registered the name {node}",
    Reason.NO_REGISTRAR: "start the registrar: only it can say where {node} is",
    Reason.REFUSED: "start {node}: nothing listens where it registered",
    Reason.UNREACHABLE: "see that {node} runs, and that this host can reach the address that it registered",
    Reason.BAD_KEY: "trust nothing there: somebody else answers in the place of {node}",
    Reason.NOT_BELIEVED: "see the log of the sending node: its name is not registered, or with another key",
    Reason.OTHER_VERSION: "run the same release on both nodes",
    Reason.PEER_RESTARTED: "send it again if it may be done twice: {node} has restarted, and may have had it before",
    Reason.CONNECTION_LOST: "see that {node} still runs; it may have got the request",
    Reason.NO_CAPABILITY: "let the process have the capability, with its package's manifest",
    Reason.NO_SUCH_PROCESS: "`{ps}` lists the processes that are there",
    Reason.PROCESS_ENDED: "`{logs}` says why the process ended",
    Reason.BAD_ADDRESS: "write it as node@process:package:publisher",
    Reason.BAD_METADATA: "mend the metadata",
    Reason.INBOX_FULL: "try again when the process has taken some of what waits for it",
    Reason.QUEUE_FULL: "try again when {node} has taken some of what waits for it",
    Reason.TOO_LARGE: "send less at once",
    Reason.SHUTDOWN: "start the sending node again",
    Reason.EXPIRED: "give it more time with --timeout, or see whether {node} runs that process, with networking",
    Reason.NOT_AWAITED: "ask again",
}
"""Half a sentence each; `{node}` is the node that the message was for, `{ps}` and `{logs}` are command lines."""
_BY_TEXT = {reason.value: advice for reason, advice in _ADVICE.items()}


def advice(reason: object, node: str, command: Callable[..., str]) -> str | None:
    """Return what to do about a failure, as half a sentence; None for a reason that is unknown here.

    `command` returns the command lines to type (`Network.command`).
    """
    text = _BY_TEXT.get(str(reason))
    if text is None:
        return None
    return text.format(node=node, ps=command("ps", "--node", node), logs=command("logs", "--node", node))
