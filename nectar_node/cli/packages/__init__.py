"""The commands about packages from other nodes."""
