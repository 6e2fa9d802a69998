"""Encrypted backups, pure: the format of `docs/backup-format.md`, and the engine that writes, reads, checks and prunes it.

Nothing here waits: the engine says which operations a remote is to carry out (`operations`), and takes the results.
"""
