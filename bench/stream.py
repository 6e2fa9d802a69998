"""`stream`: large blobs from node to node, from memory to memory; no disk takes part.

Against bare trio TCP, and against what cannot be saved: one encryption and one decryption of the same bytes, each on a
core of its own.

And against the same nodes with ChaCha20-Poly1305, which they use unless both machines have instructions for AES.

Where the time goes with ChaCha20-Poly1305. For a second of CPU time the sender passes about 1.25 GB and the receiver
1.7 GB. Of the sender's time the cipher takes 35 percent, the kernel's TCP 32, Python 22, and copying the blob into
records, which are encrypted in place, 8. Between two blobs of one pair of processes both wait: the next one begins
when there is credit, and that is when the last one is acknowledged.

The goal against the cipher was missed, and cannot be met over this machine's loopback: the cipher makes 5 GB a second
on each core, of which bare trio TCP, without any cipher, reaches 0.4.

Done: a large blob grows by appending (`net.session.inbox`), where zeroed blocks of twice the size had cost page faults
and copies, a quarter of the receiver's time. Both sides go on without waiting while the socket takes or has bytes
(`net.io.driver`), which took the receiver from 1.1 to 1.7 GB.
"""

from __future__ import annotations

from bench.lab import RECEIVER, SENDER, ping, program, running
from bench.measure import Result, in_turns, ratio
from net.base.ciphers import ALWAYS

TCP_GOAL, CIPHER_GOAL = 0.4, 0.5
CIPHERS_GOAL = 0.95
"""Nodes choose what is faster, so it is nowhere slower."""
SIZE = 32 << 20
COUNT = 14
"""The number of requests. None is received before all are sent, so they queue: less than 512 MiB together, the bound of
a queue."""


def run() -> list[Result]:
    """Send requests from ping to a ping on the other node, each with a blob, which its answer does not carry."""
    target = f"{RECEIVER}@ping:echo:sys"
    with running(SENDER, RECEIVER) as net, running(SENDER, RECEIVER, cipher=ALWAYS.value) as other:
        seconds = in_turns(
            lambda: ping(net, target, COUNT, size=0, blob=SIZE),
            lambda: ping(other, target, COUNT, size=0, blob=SIZE),
            lambda: program("tcp_blob", str(SIZE), str(COUNT)),
            lambda: program("aead", str(SIZE), str(COUNT)),
        )
    ours, usual, tcp, cipher = ([SIZE / 1e6 / each for each in values] for values in seconds)
    return [
        ratio("stream_tcp", ours, tcp, ("bare trio TCP", "MB/s"), TCP_GOAL),
        ratio("stream_ciphers", ours, usual, (f"the same with {ALWAYS.title}", "MB/s"), CIPHERS_GOAL),
        ratio("stream_cipher", ours, cipher, ("ChaCha20-Poly1305 on two cores", "MB/s"), CIPHER_GOAL),
    ]
