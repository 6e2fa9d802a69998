"""Whole nodes in virtual time: the same `NodeCore` that runs on trio, driven by an event heap, without sockets or a
clock."""
