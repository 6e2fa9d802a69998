"""The commands of a running node, and the socket over which they come; imports `core` and what is below."""
