"""Mutants of `packages/`: guests, which are compiled anew."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

PACKAGES = (
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
