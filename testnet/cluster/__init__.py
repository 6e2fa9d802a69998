"""Sweeps on a cluster of machines: a scheduler of Dask, its workers, and what travels to them."""
