"""Replays a recording with the guests' engine; waits for nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from kernel.contract.errors import BadModule
from kernel.contract.guest import Program
from kernel.wasm.engine import Engine
from nectar_node.base.errors import BadInput
from nectar_node.contract.actions import DriverAction
from nectar_node.contract.config import module_cache
from nectar_node.recording.errors import BadRecording
from nectar_node.recording.replay import NodeReplay
from nectar_node.recording.ring import Recorded, nodes_in, recorded
from nectar_node.recording.segments import PURPOSE

__all__ = ["PURPOSE", "find", "replay_of"]


def replay_of(
    recorded: Recorded,
    key: bytes,
    watch: Callable[[NodeReplay, list[DriverAction]], bool] = lambda _replay, _actions: False,
) -> NodeReplay:
    """Return the replay of a recording, at its beginning; raises BadRecording. `watch` is as for `Replay`."""
    if not recorded.from_the_start:
        raise BadRecording(
            f"The beginning of {recorded.folder} was removed to make room, so it cannot be replayed: record it again "
            "with a larger --keep. `nectar replay --export FILE` still tells what is left."
        )
    engine = Engine(module_cache(), replayable=True)

    @cache
    def load(digest: str) -> Program:
        try:
            return engine.load(recorded.code(digest))
        except BadModule as error:
            raise BadRecording(f"The program {digest[:12]} of the recording cannot be run: {error}.") from error

    return NodeReplay(recorded.in_a_row(key), load, watch)


def find(folder: Path, node: str, boot: int) -> Recorded:
    """Return the recording of a node in the folder of `--record`, of the only one if `node` is empty, and of its last
    boot if `boot` is 0; raises BadRecording and BadInput.
    """
    if not node:
        nodes = nodes_in(folder)
        if not nodes:
            raise BadRecording(f"There is no recording in {folder}: `nectar boot NAME --record {folder}` makes one.")
        if len(nodes) > 1:
            raise BadInput(f"{folder} has the recordings of {', '.join(nodes)}: say which with --node.")
        node = nodes[0]
    return recorded(folder, node, boot or None)
