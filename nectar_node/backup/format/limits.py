"""The bounds and sizes of backups. Those of the format are in `docs/backup-format.md` too."""

CHUNK_AVERAGE = 512 * 1024
"""Bytes of a chunk of a file, on average: a change of one byte costs so much, and an index has 40 bytes for each."""
CHUNK_LEAST = 128 * 1024
"""Bytes of the smallest chunk of a file, except its last one."""
MAX_CHUNK_BYTES = 2 * 1024 * 1024
"""Bytes of the largest chunk; readers allocate no more for one."""
LISTING_AVERAGE = 32 * 1024
"""Bytes of a chunk of a listing, or of a list of ids, on average: what one changed file costs in its snapshot."""
LISTING_LEAST = 8 * 1024
LISTING_MOST = 128 * 1024

PACK_RAW_BYTES = 8 * 1024 * 1024
"""Bytes of chunks, before compression, after which a pack is closed: few requests a GiB, and few packs in memory."""
MAX_PACK_CHUNKS = 16 * 1024
"""Chunks in one pack: its directory stays below a MiB."""
MAX_PACK_BYTES = 32 * 1024 * 1024
"""Bytes of a pack that readers accept."""
MAX_BOX_BYTES = 16 * 1024 * 1024
"""Bytes of an index object or a head that readers accept."""
INDEX_CHUNKS = 128 * 1024
"""Chunks after which an index object is closed: 5 MiB."""
LEAST_OBJECT_BYTES = 4096
"""Bytes of the smallest object: below that, all look the same."""

INLINE_BYTES = 512
"""Bytes of a file that its entry holds itself: a chunk of its own would cost nearly as much."""
INLINE_IDS = 32
"""Ids that a stream's reference holds itself; more of them are a stream of their own."""
MAX_LEVEL = 4
"""How deep lists of ids may be nested: with 1,000 ids a chunk, beyond any disk."""
MAX_ENTRY_BYTES = 16 * 1024
"""Bytes of one entry of a listing: two paths of 4,096 bytes and a reference."""
MAX_PATH_BYTES = 4096
"""Bytes of a path, as Linux has it."""

MAX_RINGS = 256
"""Key rings that are tried with a phrase."""
MAX_RING_BYTES = 64 * 1024
MAX_EPOCHS = 512
"""Changes of keys in the life of a backup."""
MAX_OBJECTS = 4_000_000
"""Objects of one kind that a remote may list: a hundred TiB in packs, or eight years of one backup a minute."""
MAX_NUMBER = (1 << 63) - 1
"""The highest number of a head."""
MAX_NAME_BYTES = 256
"""Bytes of a node's name in a head."""

IN_FLIGHT = 4
"""Operations that the engine begins before it waits for one: with packs of 8 MiB, they hold less than 100 MiB."""
