"""Peers and bytes: messages between named nodes, over Noise sessions. Imports neither `kernel` nor `nectar_node`.

Floors, from below; a folder imports only folders below it: `base`, `names`, `contract`, `session`, `peering`, and `io`,
which imports `base` and `contract` alone and is the only one that waits.
"""
