"""Scenarios: one file each, a topology and what happens in it; run from a seed, each gives the same journal again."""
