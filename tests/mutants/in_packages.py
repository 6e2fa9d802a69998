"""Mutants of `packages/`: guests, which are compiled anew."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_INBOX = "tests/packages/test_file_transfer.py::test_"

PACKAGES = (
    Mutant(
        "idle-places-stay-taken",
        "A place whose sender sends nothing is nobody else's, and not that sender's for another file either.",
        "packages/file_transfer/transfers.zig",
        "        if (!transfer.runs(.receiving) or !transfer.isIdle()) continue;\n",
        "        if (!transfer.runs(.receiving) or clock >= 0) continue;\n",
        _INBOX + "a_node_whose_transfers_get_nowhere_gets_its_own_places_back_the_longest_idle_first",
    ),
    Mutant(
        "room-is-promised-twice",
        "A file may take the room that was promised to another one, which is still coming.",
        "packages/file_transfer/transfers.zig",
        "pub fn promised() u64 {\n    var sum: u64 = 0;\n",
        "pub fn promised() u64 {\n    var sum: u64 = 0;\n    if (clock >= 0) return sum;\n",
        _INBOX + "the_same_room_is_not_promised_twice",
    ),
    Mutant(
        "places-without-end",
        "One node may have all the places for files that are received at one time.",
        "packages/file_transfer/transfers.zig",
        "pub const max_of_node = 16;\n",
        "pub const max_of_node = 256;\n",
        "greedy",
        10,
    ),
    Mutant(
        "files-of-any-size",
        "Offers of exabytes are accepted as far as their size goes.",
        "packages/file_transfer/policy.zig",
        "    if (size <= max) return null;\n",
        "    if (size >= 0 or max > 0) return null;\n",
        "greedy",
        10,
    ),
)
