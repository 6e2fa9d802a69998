"""Answers each request with its own body and blob. The blob is handed on without being loaded."""

import nectar


@nectar.on_request
def answer(request: nectar.Request) -> nectar.Reply:
    return nectar.Reply(request.body, inherit=True)
