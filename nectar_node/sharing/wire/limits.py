"""Bounds of what goes over the network about releases."""

MAX_BODY_BYTES = 4096
"""Bytes of a request's body: a package's id, a hash and two numbers in JSON, or a node's user naming sources."""
MAX_ANSWER_BYTES = 512 << 10
"""Bytes of an answer's body: a page of a search."""
PAGE_RELEASES = 64
"""Packages in one answer to a search."""
MAX_LINE_BYTES = 512
"""Bytes of a package's description in one: its first line, cut."""
MAX_WORD_BYTES = 128
"""Bytes of what somebody searches for."""
MAX_PACKAGE_BYTES = 512
"""Bytes of the id of a package: 63 of its name, 251 of its publisher's, and a colon, are the longest."""

MAX_REQUESTS = 32
"""Requests of one node that wait for the disk; a fetch has eight."""
MAX_WAITING_BYTES = 32 << 20
"""Bytes of pieces in those."""
BURST = 2048
"""Requests that one node may send at once: more than two gigabytes of pieces."""
REQUEST_SECONDS = 0.001
"""Seconds until it may send one more: the one thread of a node stands still for a tenth of that for a small request,
and no disk reads a gigabyte a second for others.
"""
DOCUMENT_BYTES_OF_REQUEST = 2048
"""Bytes of a release document whose reading takes as long as a small request, and counts as one: so a node that asks
for pieces of many large releases in turn takes no more of the one thread than with small requests.
"""
MAX_NODES = 4096
"""Nodes whose rates are remembered: those that asked longest ago go first."""

MAX_SOURCES = 16
"""Nodes from which one release is fetched at once."""
MAX_FETCHES = 8
"""Releases that are fetched at once."""
PIECES_OF_SOURCE = 8
"""Pieces that one source is asked for at once: eight MiB cover a round trip of 80 ms at 100 MB/s."""
MAX_PIECES = 24
"""Pieces of one fetch that are asked for, or being written: what it holds of the node's memory, in MiB."""
MAX_LOOKS = 16
"""Files of a fetch that are looked at on the disk at once."""

HEAD_SECONDS = 30
"""Seconds for a source to answer which release is the newest; one that cannot be reached is noticed sooner."""
MAX_HEAD_ASKS = 3
"""How often a source is asked for its head that restarts, or whose connection breaks, meanwhile."""
MAX_LATER_BYTES = 16 << 20
"""Bytes of documents of later releases that are kept beside that of an older one, so that it can be served to others:
thousands of usual ones. With more of them others get it from nodes that have the newest."""
GRACE_SECONDS = 3.0
"""Seconds that others have to show a newer head, once a good one is there."""
DOCUMENT_SECONDS = 120
"""Seconds for a source to send a document: 4 MiB at 35 KB/s."""
DOCUMENT_PATIENCE_SECONDS = 5.0
"""Seconds after which one more source is asked for a document that has not come: those that show a head and then say
nothing, or next to nothing, hold up nobody. A document has a few KB; one of 4 MiB may come twice.
"""
PIECE_SECONDS = 120
"""Seconds for a source to send a piece: eight of a MiB under way, at 70 KB/s."""
PAUSES = (0.2, 1.0, 3.0, 5.0, 10.0)
"""Seconds before a source that is away or busy is asked again; the last one from then on."""
PATIENCE_SECONDS = 90.0
"""Seconds without a piece, a document or a head from anybody after which a fetch gives up: what has come stays."""

ABANDONED_SECONDS = 7 * 86400.0
"""Seconds after which what a fetch has left is removed if nobody has gone on with it."""
SWEEP_SECONDS = 3600.0
"""Seconds between two looks for that."""
DEFAULT_QUOTA = 16 << 30
"""Bytes that fetched releases, whole or not, may have on the disk unless the node is told otherwise."""
