"""`recorder`: what `nectar boot --record` costs on the paths of `remote` and `stream`, and how fast it replays.

Processor time of both nodes, recorded, against that of the same nodes without a recording, in turns; small requests,
each with its response, and blobs of 1 MiB. A replay takes the recording of all of that; its goal is not to take longer
than the node did, whose pauses it does not repeat: so its processor time is compared with that of the recorded node.

Where the cost of a stream goes: received bytes, which are the wire's ciphertext, are received into the memory that the
disk takes them from. That costs a thread 60 to 100 microseconds a MiB (200 to 350 on a machine whose cores are all in
use), and the notes of what the core was told 10 microseconds each, ten of them a MiB and side. What was there before,
sealing or authenticating once more and a copy into the page cache, cost 300 to 450, and 2000 when its pages were new to
the machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.lab import RECEIVER, SENDER, folder, ping
from bench.measure import Result, in_turns, processor_time, ratio
from nectar_node.driver.recordings.replaying import PURPOSE, find, replay_of
from net.names import keyfile
from testnet.real.local import LocalTestnet

COST_GOAL, REPLAY_GOAL = 1.1, 1.0
SMALL, BLOBS, BLOB_BYTES = 2000, 150, 1 << 20
NODES = SENDER, RECEIVER


def run() -> list[Result]:
    """Send the same through nodes that are recorded and nodes that are not; then replay one of the former."""
    disk = Path(tempfile.gettempdir())  # new pages of a tmpfs cost twice as much as those of a file system
    with (
        folder() as place,
        folder(disk) as record,
        LocalTestnet(place / "off") as off,
        LocalTestnet(place / "on") as on,
    ):
        off.boot(dict.fromkeys(NODES, off.options))
        on.boot({name: replace(on.options, record=record) for name in NODES})
        results: list[Result] = []
        for name, size, count, blob in (("remote", 100, SMALL, {}), ("stream", 0, BLOBS, {"blob": BLOB_BYTES})):
            told, plain = in_turns(_used(on, count, size, blob), _used(off, count, size, blob))
            reference = ("the same nodes, not recorded", "seconds of a processor")
            results.append(ratio(f"recorder_{name}", told, plain, reference, COST_GOAL, at_most=True))
        worked = _of(on, RECEIVER)
        key = keyfile.unlock_key_file(on.place(RECEIVER).key, None).identity.derive(PURPOSE)
        for name in NODES:
            on.stop(name)
        replayed = [_replayed(record, key) for _ in range(3)]
    reference = ("what the recorded node took", "seconds of a processor")
    return [*results, ratio("recorder_replay", replayed, [worked] * 3, reference, REPLAY_GOAL, at_most=True)]


def _used(net: LocalTestnet, count: int, size: int, more: dict[str, int]) -> Callable[[], float]:
    def used() -> float:
        before = sum(_of(net, name) for name in NODES)
        ping(net, f"{RECEIVER}@ping:echo:sys", count, size=size, **more)
        return sum(_of(net, name) for name in NODES) - before

    return used


def _of(net: LocalTestnet, node: str) -> float:
    pid = net.pid(node)
    assert pid is not None, f"{node} runs"
    return processor_time(pid)


def _replayed(record: Path, key: bytes) -> float:
    begin = time.process_time()
    difference = replay_of(find(record, RECEIVER, 0), key).run()
    assert difference is None, difference
    return time.process_time() - begin
