"""What guests of all interfaces find, together."""

from __future__ import annotations

from pathlib import Path

from testnet.model.lab import PACKAGES
from testnet.sim.programs import Programs
from tests.compatibility.case import INTERFACES
from tests.compatibility.guest import guests, node_of
from tests.compatibility.measure import measure
from tests.compatibility.page import Verdicts, without_names


def measure_all(folder: Path, programs: Programs) -> dict[str, Verdicts]:
    """The verdicts of each interface's guest, which is put together in `folder`."""
    names = [node_of(interface) for interface in INTERFACES]
    with guests(folder, programs, (PACKAGES / "homepage", PACKAGES / "terminal")) as all_of_them:
        found = [measure(guest) for guest in all_of_them]
        last = [measure(guest, last=True) for guest in all_of_them]
        pairs = zip(all_of_them, found, last, strict=True)
        return {guest.interface: without_names({**one, **other}, names) for guest, one, other in pairs}
