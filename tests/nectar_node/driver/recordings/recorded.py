"""Two nodes that were recorded, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nectar_node.driver.recordings.replaying import find, replay_of
from nectar_node.recording.replay import NodeReplay, ReplayDifference

SENDS, RECEIVES = "recorded-a.nec", "recorded-b.nec"


class Recording(NamedTuple):
    """The folder of `--record`, the keys of the nodes, and the folder of their network."""

    folder: Path
    keys: dict[str, bytes]
    network: Path

    def replay(self, node: str, folder: Path | None = None) -> tuple[NodeReplay, ReplayDifference | None]:
        """Replay the last boot of a node to its end."""
        player = replay_of(find(folder or self.folder, node, 0), self.keys[node])
        return player, player.run()
