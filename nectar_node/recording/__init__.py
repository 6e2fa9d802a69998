"""The flight recorder: what a node's core was told, and the same core told it once more."""
