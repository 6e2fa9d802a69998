"""Releases over the network: what a node serves to others, and how it fetches what its user wants. Pure."""
