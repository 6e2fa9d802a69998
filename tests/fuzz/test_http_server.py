"""A repeatable slice of the fuzzing of the HTTP server."""

from __future__ import annotations

import random

from tests.fuzz.http_server_doors import server

ROUNDS = 60


def test_nothing_is_left_when_browsers_and_processes_have_gone() -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for number in range(ROUNDS):
        data = chance.randbytes(chance.randrange(200, 900))
        try:
            server(data)
        except Exception as error:
            error.add_note(f"seed {seed}, round {number}: {data.hex()}")
            raise
