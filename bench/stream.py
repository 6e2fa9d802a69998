"""`stream`: large blobs from node to node, from memory to memory; no disk takes part.

Against bare trio TCP, and against what cannot be saved: one encryption and one decryption of the same bytes, each on a
core of its own.
"""

from __future__ import annotations

from bench.lab import RECEIVER, SENDER, ping, program, running
from bench.measure import Result, in_turns, ratio

TCP_GOAL, CIPHER_GOAL = 0.4, 0.5
SIZE = 32 << 20
COUNT = 14
"""Nothing is received before all are sent, so they queue: less than 512 MiB together, which is what a queue holds."""


def run() -> list[Result]:
    """Requests of ping to a ping on the other node, each with a blob, which its answer does not carry."""
    target = f"{RECEIVER}@ping:echo:sys"
    with running(SENDER, RECEIVER) as net:
        seconds = in_turns(
            lambda: ping(net, target, COUNT, size=0, blob=SIZE),
            lambda: program("tcp_blob", str(SIZE), str(COUNT)),
            lambda: program("aead", str(SIZE), str(COUNT)),
        )
    ours, tcp, cipher = ([SIZE / 1e6 / each for each in values] for values in seconds)
    return [
        ratio("stream_tcp", ours, tcp, ("bare trio TCP", "MB/s"), TCP_GOAL),
        ratio("stream_cipher", ours, cipher, ("ChaCha20-Poly1305 on two cores", "MB/s"), CIPHER_GOAL),
    ]
