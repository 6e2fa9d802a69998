"""Whole nodes in virtual time: the same `NodeCore` that runs on trio, driven by an event heap; no socket, no clock."""
