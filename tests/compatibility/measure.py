"""Plays all cases with a guest of each interface, and says for each what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any as Json

from testnet.faults.disk_full import DiskFull
from tests.compatibility.case import NOTHING, Ask, Case, Lacking, Matching, Play, Table, by
from tests.compatibility.guest import Got, Guest
from tests.compatibility.tables.databases import KV, SQLITE
from tests.compatibility.tables.files import VFS
from tests.compatibility.tables.http_client import HTTP_CLIENT
from tests.compatibility.tables.http_server import HTTP_SERVER
from tests.compatibility.tables.node import ABSENT, HOMEPAGE, KERNEL, NET, RPC, STATE, TERMINAL, TIMER

TABLES = (VFS, HTTP_SERVER, HTTP_CLIENT, KV, SQLITE, KERNEL, NET, TIMER, STATE, TERMINAL, HOMEPAGE, ABSENT, RPC)
AT_ONCE = 1.0
"""Seconds within which somebody is answered at once."""

Verdict = str | None
"""What came in place of what was expected; None: as expected."""
UNKNOWN = "—"
"""The verdict on a request that a generation does not know."""


def measure(guest: Guest, tables: Sequence[Table] = TABLES, *, last: bool = False) -> dict[tuple[str, str], Verdict]:
    """Play the cases of all tables, or the `last` ones; the verdicts by the titles of the tables and the names of the
    cases.
    """
    verdicts: dict[tuple[str, str], Verdict] = {}
    for table in tables:
        matching, unanswered = Matching(), None
        for case in table.cases:
            if last is not (isinstance(case, Play) and case.last):
                continue
            assert (table.title, case.name) not in verdicts, case.name
            verdicts[table.title, case.name] = verdict = _play(guest, table, case, matching)
            if unanswered is not None and verdict is not None:
                verdicts[table.title, unanswered] = verdict  # what it should have done is not there
            unanswered = case.name if _is_unanswered(case, guest) else None
    return verdicts


def _is_unanswered(case: Case, guest: Guest) -> bool:
    return isinstance(case, Ask) and by(guest.generation, case.answer) is NOTHING


def _play(guest: Guest, table: Table, case: Case, matching: Matching) -> Verdict:
    if isinstance(case, Play):
        return _watch(guest, case) if guest.generation in case.generations else UNKNOWN
    body = by(guest.generation, case.body)
    if body is None:
        return UNKNOWN
    to = str(by(guest.generation, case.to or table.to))
    expected = by(guest.generation, case.answer)
    filled = matching.fill(body, guest.names)
    if expected is NOTHING:
        guest.send(to, filled, case.blob, case.mime)
        guest.lab.rest(0.1)
        return None
    before = guest.lab.now
    fault = guest.lab.inject(DiskFull(guest.node)) if case.full_disk else None
    got = guest.ask(to, filled, case.blob, case.mime)
    if fault is not None:
        guest.lab.withdraw(fault)
    if case.at_once and guest.lab.now - before > AT_ONCE:
        return f"{got.shown()} after a while"
    return _verdict(case, to, expected, got, matching, guest)


def _watch(guest: Guest, case: Play) -> Verdict:
    try:
        return case.run(guest)
    except Lacking as lacking:
        return str(lacking)
    except (LookupError, ValueError) as error:  # what has come is not of the shape that it should have
        return f"nothing that can be read: {error!r}"


def _verdict(case: Ask, to: str, expected: Json, got: Got, matching: Matching, guest: Guest) -> Verdict:
    if got.kind != "r":
        return got.shown()
    if got.source != to:
        return f"{got.source} answers"
    try:
        if callable(expected):
            return None if expected(got.body) else got.shown()
        value = json.loads(got.body)
    except ValueError:
        return got.shown()
    if not matching.fits(_filled(expected, guest), value):
        return got.shown()
    return None if case.gets is None or got.blob == case.gets else "another blob"


def _filled(value: Json, guest: Guest) -> Json:
    """The guest's names in their places in an expected answer."""
    if isinstance(value, dict):
        return {key: _filled(each, guest) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, guest) for each in value]
    if isinstance(value, str):
        for name, filled in guest.names.items():
            value = value.replace(f"${name}", filled)
    return value
