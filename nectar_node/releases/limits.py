"""Bounds of releases. All of them are for what strangers write, and are checked before anything is built."""

PIECE_BYTES = 1 << 20
"""Bytes of a piece of a file, the last one aside: what one message carries, and what is checked at once."""
MAX_DOCUMENT_BYTES = 4 << 20
"""Bytes of a release document: ten thousand files with paths of usual length, or 1 GiB in pieces, need less."""
MAX_HEAD_BYTES = 1024
"""Bytes of a signed head: the longest package id, two hashes' worth of fields, and a signature."""
MAX_FILES = 10_000
"""Files of one package."""
MAX_BYTES = 1 << 30
"""Bytes of all of them."""
MAX_PATH_BYTES = 1024
"""Bytes of the path of a file in its package."""
MAX_VERSION_BYTES = 64
"""Characters of a version: a line of a table."""
MAX_NUMBER = 1_000_000
"""The highest number of a release: one each minute for two years."""
MAX_TIME = 253_402_300_799
"""The latest time of a release, in Unix seconds: the end of the year 9999, the last that has a date."""
MAX_CHAIN = 1024
"""Documents that a reader follows from a head back to the version that it wants."""
MAX_DESCRIPTION_BYTES = 4096
"""Bytes of what a package says of itself: a screen of text."""
MAX_LICENCE_BYTES = 256
"""Bytes of the name of a licence."""
MAX_CHANGES_BYTES = 64 << 10
"""Bytes of what has changed in a version."""
MAX_INTERFACES = 64
"""Files of interfaces."""
MAX_INTERFACES_BYTES = 256 << 10
"""Bytes of all of their text."""
MAX_ASKS = 1024
"""Capabilities that a package asks for, all of its processes together."""
MAX_ASK_BYTES = 4096
"""Bytes of a capability as people write it, and of why it is asked for."""
