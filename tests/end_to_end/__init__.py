"""Promises kept by real nodes: operating system processes, real sockets, real guests, the command line of a user."""
