"""Requests of processes that the HTTP server refuses, in the shapes of both generations of packages."""

from __future__ import annotations


class ServerRefused(Exception):
    """A process's request is refused; carries the early packages' error, the later ones' and a sentence."""

    def __init__(self, early: object, late: object, sentence: str) -> None:
        super().__init__(sentence)
        self.early = early
        self.late = late


def malformed(sentence: str) -> ServerRefused:
    """Return the refusal of a request that is not understood."""
    return ServerRefused({"BadRequest": {"req": sentence}}, "MalformedRequest", sentence)


def not_pushed(late: str, sentence: str) -> ServerRefused:
    """Return the refusal of what is to go to a browser by WebSocket; `late` is the later packages' error."""
    return ServerRefused({"WebSocketPushError": {"error": sentence}}, late, sentence)


def flag_untrusted(fields: object, name: str) -> bool:
    """Return a flag, which is false where it is missing; raises ServerRefused."""
    value = fields.get(name, False) if isinstance(fields, dict) else False
    if not isinstance(value, bool):
        raise malformed(f"{name} is neither true nor false")
    return value
