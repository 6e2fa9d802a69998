"""What an author is told when compilers cannot be fetched."""

from __future__ import annotations

from nectar_node.toolchains.once import not_installed

LOG = "npm error A complete log of this run can be found in: x"


def test_a_registry_that_cannot_be_reached_is_told_as_that_and_not_as_a_version_that_is_missing() -> None:
    pip = (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...: [Errno 111] Connection "
        "refused')': /simple/ziglang/\nERROR: Could not find a version that satisfies the requirement\n"
        "ERROR: No matching distribution found for ziglang==0.17.1"
    )
    npm = f"npm error code ECONNREFUSED\nnpm error errno ECONNREFUSED\n{LOG}"
    for told in (pip, npm):
        said = str(not_installed("ziglang, which compiles Zig", told))
        assert said.startswith("ziglang, which compiles Zig, cannot be fetched, since its registry cannot be reached.")


def test_any_other_reason_is_the_last_line_that_tells_one() -> None:
    npm = f"npm error code ENOSPC\nnpm error no space left on device\n{LOG}"
    assert str(not_installed("rollup", npm)) == "rollup, cannot be installed: npm error no space left on device"
    assert str(not_installed("rollup", "")) == "rollup, cannot be installed: no reason is told"
