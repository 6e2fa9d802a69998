"""Bounds of interfaces, which strangers write."""

from nectar_node.releases.limits import MAX_INTERFACES_BYTES

MAX_TEXT_BYTES = MAX_INTERFACES_BYTES
"""Characters of all files of a package together; a parser's work and memory grow with that and with nothing else."""
MAX_DEPTH = 32
"""Types within types: real interfaces have six, and whoever walks through one needs a stack of so many calls."""
MAX_EXAMPLE_PARTS = 500
"""Values within an example: more of them are no help to a reader, and their number may double with each type."""
MAX_SHOWN_BYTES = 40
"""Characters of a value that a sentence quotes."""
MAX_ITEMS = 1000
"""Elements of one list that somebody types in a form."""
