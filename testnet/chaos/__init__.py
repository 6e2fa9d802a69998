"""Faults drawn from a seed on a running testnet, under traffic of files and requests, and a report of the results."""
