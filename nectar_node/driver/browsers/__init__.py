"""Browsers on a real node: the door, and what is behind it that waits; loaded with `--http` alone."""
