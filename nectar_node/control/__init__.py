"""What can be asked of a running node, and the socket on which it is asked; imports `core` and what is below."""
