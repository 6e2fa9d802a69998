"""What is measured at many sizes, and how it is called in pictures and tables."""

from __future__ import annotations

from bench.growth.curves import Subject

SUBJECTS = {
    "processes": Subject(
        "Processes on one machine",
        "processes",
        (10, 30, 100, 300, 1_000, 3_000, 10_000),
        ("starting all", "a message through all"),
        ("memory",),
    ),
    "nodes": Subject(
        "Nodes in one simulation",
        "nodes",
        (2, 5, 10, 30, 100, 300),
        ("booting", "greeting", "an idle minute"),
        ("memory",),
    ),
    "peers": Subject(
        "Peers of one node",
        "peers",
        (10, 30, 100, 300, 1_000),
        ("dialing", "a message of each"),
        ("memory",),
    ),
    "files": Subject(
        "A file from node to node",
        "bytes",
        (10**3, 10**4, 10**5, 10**6, 10**7, 10**8, 10**9, 10**10),
        ("the sender", "the receiver", "the command"),
        ("the sender's growth", "the receiver's growth"),
    ),
    "names": Subject(
        "Names at a registrar",
        "names",
        (100, 1_000, 10_000, 100_000, 1_000_000),
        ("its start", "10,000 look-ups"),
        ("memory",),
    ),
}
"""By the names that the command line knows them by."""
