"""The engine of encrypted backups, pure: it writes, reads, checks and prunes them.

Nothing here waits: the engine says which operations a remote is to carry out (`operations`), and takes the results.
"""
