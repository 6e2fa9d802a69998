"""What processes are told when the HTTP client does not do what they ask, in the shapes of both generations."""

from __future__ import annotations


class CallRefused(Exception):
    """A request is refused; carries the early packages' error, the later ones' and a sentence."""

    def __init__(self, early: object, late: object, sentence: str) -> None:
        super().__init__(sentence)
        self.early = early
        self.late = late


def alike(error: object, sentence: str) -> CallRefused:
    """Return an error that has one shape for all."""
    return CallRefused(error, error, sentence)


def malformed(sentence: str) -> CallRefused:
    """Return the error for a request that cannot be understood."""
    return CallRefused({"BadRequest": {"req": sentence}}, "MalformedRequest", sentence)


def not_built(sentence: str) -> CallRefused:
    """Return the error for a request that cannot be sent as it is."""
    return CallRefused({"RequestFailed": {"error": sentence}}, {"BuildRequestFailed": sentence}, sentence)


def not_done(sentence: str) -> CallRefused:
    """Return the error for a request that has failed."""
    return CallRefused({"RequestFailed": {"error": sentence}}, {"ExecuteRequestFailed": sentence}, sentence)


def not_opened(url: str, sentence: str) -> CallRefused:
    """Return the error for a WebSocket that is not opened."""
    return alike({"WsOpenFailed": {"url": url[:1000]}}, sentence)


def not_pushed(late: object, sentence: str) -> CallRefused:
    """Return the error for a message of a WebSocket that is not sent; `late` is the later packages'."""
    return CallRefused({"WsPushFailed": {"req": sentence}}, late, sentence)


def push_failed(sentence: str) -> CallRefused:
    """Return the same, where the later packages have no error of their own for it."""
    return not_pushed({"ExecuteRequestFailed": sentence}, sentence)


def unknown_channel(channel: int) -> CallRefused:
    """Return the error for a message on a WebSocket that is not open."""
    return not_pushed({"WsPushUnknownChannel": {"channel_id": channel}}, f"there is no channel {channel}")
