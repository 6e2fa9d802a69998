"""Faults drawn from a seed on a running testnet, while files and requests go between its nodes; and what came of it."""
