"""`lookups`: a registrar with 100,000 names answers a node that asks for many of them; and how long it takes to start.

The asking node verifies two signatures of each record, which is most of the work of both together; the registrar hands
out records as they lie in its table. The reference passes requests and answers of 100 bytes, and does nothing else.
"""

from __future__ import annotations

import os
import time

from bench.lab import folder, printed, program
from bench.measure import Reference, Result, absolute, in_turns, ratio
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.peers.name_rows import rows_of
from nectar_node.storage.database import Database
from net.base.limits import RECORD_SECONDS
from net.names import keyfile
from net.names.directory import Endpoint, HeldRecord, NameRecord, grant_record, sign_record
from net.names.identity import Identity
from net.names.keyfile import Keys
from testnet.real.local import LocalTestnet

NAMES = 100_000
COUNT = 4_000
OUTSTANDING = 64
AT_ONCE = 10_000
"""Names that are written in one transaction, so that few are held."""
GOAL = 0.004
"""Times the round trips of a bare trio TCP loop, which passes all that are outstanding in one go: two thousand a second
where that makes half a million."""
GOAL_MILLISECONDS = 0.5
"""Milliseconds of one look-up: two thousand a second."""
GOAL_START_SECONDS = 5.0


def name_of(number: int) -> str:
    """Return the name of that number in the registrar."""
    return f"node-{number}.nec"


def run() -> list[Result]:
    """Measure the look-ups."""
    with folder() as place:
        net = LocalTestnet(place / "net")
        empty = LocalTestnet(place / "empty")
        fill(net, NAMES)
        full_starts, empty_starts = in_turns(lambda: _start(net), lambda: _start(empty))
        with net.start():
            ours, theirs = in_turns(
                lambda: _ask(net), lambda: program("tcp_requests", str(10 * COUNT), str(OUTSTANDING))
            )
    bare = Reference.of("a registrar without names", empty_starts, "seconds")
    milliseconds = [1000 / each for each in ours]
    return [
        ratio("lookups", ours, theirs, (f"trio TCP, {OUTSTANDING} outstanding", "a second"), GOAL),
        absolute("lookup_time", milliseconds, "milliseconds", GOAL_MILLISECONDS),
        absolute("registrar_start", full_starts, "seconds", GOAL_START_SECONDS, bare),
    ]


def fill(net: LocalTestnet, names: int) -> None:
    """Write a registrar's key and so many names, as if it had granted them."""
    place = net.place(REGISTRAR_NAME)
    place.create()
    registrar, owner = (Identity(REGISTRAR_NAME, os.urandom(32)) for _ in range(2))
    keyfile.create_key_file(place.key, keyfile.seal(Keys(registrar, None), None, os.urandom))
    now = int(time.time())
    database, _ = Database.open(str(place.store))
    for first in range(0, names, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, names))
        records = (_record(name_of(number), registrar, owner, now) for number in numbers)
        database.commit(rows_of(records, registrar.public_key))
    database.close()


def _record(name: str, registrar: Identity, owner: Identity, now: int) -> HeldRecord:
    endpoints = (Endpoint("127.0.0.1", 9000),)
    record = NameRecord(name, owner.public_key, endpoints, (), 1, now, now + RECORD_SECONDS)
    return grant_record(sign_record(record, owner), registrar).held()


def _start(net: LocalTestnet) -> float:
    begin = time.perf_counter()
    with net.start():
        return time.perf_counter() - begin


def _ask(net: LocalTestnet) -> float:
    return float(printed("bench.asker", str(net.folder), str(COUNT), str(OUTSTANDING)))
