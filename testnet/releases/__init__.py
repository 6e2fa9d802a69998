"""Releases in a network under test: what a node has of them, and how it lies about that."""
