"""The requests of each system process, as data: what callers of each generation send, and what they can parse."""
