"""`nectar trace`: shows what happens to messages, each lineage as a tree."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from kernel.contract.message import Reason, marked
from nectar_node.cli.errors import clock_time
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import ANSWER_TIMEOUT, ControlClient, ControlError, NodeEvent
from nectar_node.launcher.lineage import Lineage, Lineages, RequestTrace, StepRecord, decode_record_untrusted
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork


def trace(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="The process whose messages are shown: node@process:package:publisher, or without the node.",
        ),
    ],
    node: options.Node,
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", min=0, help="Stop after N lineages; 0: never.")
    ] = 0,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print each record as a line of JSON, at once.")] = False,
) -> int:
    """Show each message from or to ADDRESS, until Ctrl-C. Included are all messages that led to it or followed from it.

    A tree is one lineage: an injected request, the requests that were sent while it was handled, and the answers. Times
    count from its first request, on the clock of the node that is asked.
    """
    with LocalNetwork.find(directory).connect(node) as client:
        client.send("trace", address=address)
        client.await_sign(time.monotonic() + ANSWER_TIMEOUT)
        viewer = _Viewer(client, node, count, as_json)
        try:
            viewer.run()
        finally:
            viewer.show(viewer.lineages.take_all())
    return 0


class _Viewer:
    """Prints lineages as they become complete."""

    def __init__(self, client: ControlClient, node: str, count: int, as_json: bool) -> None:
        self.lineages = Lineages()
        self._client = client
        self._node = node
        self._as_json = as_json
        self._left = count or None
        """Lineages still to be shown; None: without end."""

    def run(self) -> None:
        """Show lineages until there are enough, or the node says that there are no more. Raises NodeError."""
        while self._left is None or self._left > 0:
            due = self.lineages.next_due()
            told = self._client.follow(None if due is None else max(0.0, due - time.monotonic()))
            if isinstance(told, NodeEvent):
                self._take(told)
            elif told is not None:
                return
            self.show(self.lineages.take_due(time.monotonic()))

    def _take(self, event: NodeEvent) -> None:
        match event.value:
            case {"record": dict(value)}:
                record = decode_record_untrusted(value)
                if self._as_json:
                    print(json.dumps(value, ensure_ascii=False), flush=True)
                self.lineages.add(record, time.monotonic())
            case {"lost": int(lost)}:
                output.complain(f"{lost} records came faster than they could be shown, and are lost.")
            case {"following": str(address)}:
                output.complain(f"Following the messages of {address}; Ctrl-C ends.")
            case _:
                raise ControlError("The node sent an unknown event: are the node and this command of the same version?")

    def show(self, lineages: list[Lineage]) -> None:
        """Print lineages as trees, unless their records have been printed; not more than are wanted."""
        for lineage in lineages:
            if not lineage.again:
                if self._left == 0:
                    return
                self._left = self._left - 1 if self._left is not None else None
            if not self._as_json:
                output.console(wrapped=True).print(draw(lineage, self._node))
            lineage.again = True


# --- drawing --------------------------------------------------------------------------------------------------------


def draw(lineage: Lineage, our: str) -> Tree:
    """Return a lineage as a tree; processes of the node `our` are shown without its name."""
    first = lineage.first
    title = Text(clock_time(first.time), "bold")
    if lineage.again:
        title.append(", with what has come since")
    if lineage.omitted:
        title.append(f", without {lineage.omitted} further records")
    tree = Tree(title, guide_style="dim")
    for root in lineage.roots:
        _hang(tree, root, first.at, our)
    return tree


def _hang(above: Tree, message: RequestTrace, start: float, our: str) -> None:
    branch = above.add(_request(message, start, our))
    parts: list[tuple[float, RequestTrace | StepRecord]] = [(child.sent.at, child) for child in message.children]
    parts += [(outcome.at, outcome) for outcome in message.outcomes]
    for _, part in sorted(parts, key=lambda each: each[0]):
        if isinstance(part, RequestTrace):
            _hang(branch, part, start, our)
        else:
            branch.add(_outcome(part, start, our))


def _request(message: RequestTrace, start: float, our: str) -> Text:
    sent, handed = message.sent, message.handed
    text = _offset(sent.at - start).append(
        f"{_who(sent.source, sent.claim, our)} → {_who(sent.target, False, our)}", "bold"
    )
    if sent.inherits:
        text.append(" inherits", "cyan")
    _append_body(text, sent)
    if handed is None and not message.settled:
        text.append(", not taken yet", "yellow")
    elif handed is not None and handed.at > sent.at:
        text.append(f", taken after {output.short_time(handed.at - sent.at)}", "dim")
    if message.arrived is not None:
        text.append(f", there after {output.short_time(message.arrived.at - sent.at)}", "dim")
    elif handed is not None and _expired(message) and not sent.target.startswith(f"{our}@"):
        text.append(", not known to be there", "yellow")
    return text


def _expired(message: RequestTrace) -> bool:
    return any(outcome.reason == Reason.EXPIRED.value for outcome in message.outcomes)


def _outcome(record: StepRecord, start: float, our: str) -> Text:
    text = _offset(record.at - start)
    if record.reason is not None:
        return text.append(f"✗ {record.step}: {output.one_line(record.reason)}", "red")
    text.append(f"← {_who(record.source, record.claim, our)}", "green")
    return _append_body(text, record)


def _offset(seconds: float) -> Text:
    return Text(f"+{output.short_time(seconds)} ", "dim").append("", "none")


def _append_body(text: Text, record: StepRecord) -> Text:
    blob = f" and a blob of {output.size(record.blob_bytes)}" if record.blob_bytes is not None else ""
    text.append(f"  {output.size(record.body_bytes)}{blob}")
    if record.beginning:
        cut = "…" if record.body_bytes > len(record.beginning.encode()) else ""
        text.append(f" {output.one_line(record.beginning)}{cut}", "dim")
    return text


def _who(address: str, claim: bool, our: str) -> str:
    return marked(output.one_line(address.removeprefix(f"{our}@")), claim=claim)
