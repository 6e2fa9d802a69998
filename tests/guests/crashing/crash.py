"""Raises three calls deep, as a request wants it; answers any other."""

import nectar


@nectar.on_request
def handle(request: nectar.Request) -> bytes:
    return look_up(request.body)


def look_up(body: bytes) -> bytes:
    return element(body, len(body) if body == b"bounds" else 0)


def element(body: bytes, index: int) -> bytes:
    return bytes([body[index]])
