"""Recordings of several nodes as one journal: each is replayed, and what they sent and logged is put in order.

Times are those of the nodes' wall clocks: on one machine they are one clock; on several they differ by what their
clocks differ. A recording has no faults, since nobody told the node of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kernel.router.trace import Tracer
from nectar_node.contract.actions import DriverAction, LogLine
from nectar_node.driver.recordings.replaying import find, replay_of
from nectar_node.recording.both_tracers import listen
from nectar_node.recording.errors import BadRecording
from nectar_node.recording.replay import NodeReplay, ReplayDifference
from nectar_node.recording.ring import nodes_in
from testnet.journal.entries import message
from testnet.journal.journal import RECORDED, Event, Header, Journal, JournalEnd, digest, line_of

MAX_EVENTS = 200_000
"""Events of one journal; a page with more opens in no browser."""
_EARLIEST = 0.0


class RecordedNode(NamedTuple):
    """A node that was recorded: the folder of `--record`, its name, and the key of its recording."""

    folder: Path
    name: str
    key: bytes


class _Collected(NamedTuple):
    at: float
    node: str
    text: str


def recorded_nodes(folders: Sequence[Path], key_of: Callable[[str], bytes]) -> list[RecordedNode]:
    """Return the nodes in the folders of `--record`; `key_of` returns the key of a node's recordings. Raises
    BadRecording and what `key_of` raises.
    """
    found = [RecordedNode(folder, name, key_of(name)) for folder in folders for name in nodes_in(folder)]
    if not found:
        raise BadRecording(
            f"There is no recording in {', '.join(map(str, folders))}: `nectar boot --record` makes one."
        )
    return found


def journal_of(nodes: Sequence[RecordedNode]) -> Journal:
    """Replay the last boot of each node, and return all that happened as one journal; raises BadRecording."""
    collected: list[_Collected] = []
    differences: dict[str, ReplayDifference] = {}
    for node in nodes:
        difference = _replay(node, collected)
        if difference is not None:
            differences[node.name] = difference
    collected.sort(key=lambda each: each.at)
    first = collected[0].at if collected else _EARLIEST
    lines = [line_of(each.at - first, each.node, each.text) for each in collected]
    events = tuple(
        Event(number, each.at - first, each.node, line.split(" ", 2)[2])
        for number, (each, line) in enumerate(zip(collected, lines, strict=True), 2)
    )
    told = "; ".join(f"the replay of {name} differs at {each}" for name, each in differences.items())
    seconds = collected[-1].at - first if collected else 0.0
    end = JournalEnd(digest(lines), len(lines), seconds, "broken" if told else "passed", told)
    return Journal(Header(RECORDED, 0, tuple(node.name for node in nodes), {}, ()), events, end)


def _replay(node: RecordedNode, collected: list[_Collected]) -> ReplayDifference | None:
    tracer = Tracer(node.name)

    def watch(replay: NodeReplay, actions: list[DriverAction]) -> bool:
        offset = replay.start.wall_clock_offset
        listen(replay.core.kernel, tracer)
        while tracer.records:
            record = tracer.records.popleft()
            collected.append(_Collected(record.at + offset, node.name, message(record)))
        for action in actions:
            if isinstance(action, LogLine):
                text = f"log {action.source}: {action.text}"
                collected.append(_Collected(replay.now + offset, node.name, text))
        if len(collected) > MAX_EVENTS:
            raise BadRecording(f"The recordings have more than {MAX_EVENTS} events, the most that a page shows.")
        return False

    player = replay_of(find(node.folder, node.name, 0), node.key, watch)
    listen(player.core.kernel, tracer)
    difference = player.run()
    watch(player, [])
    return difference
