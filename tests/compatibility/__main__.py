"""`make compatibility`: measures, and writes docs/compatibility.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

from testnet.sim.programs import Programs
from tests.compatibility.all_guests import measure_all
from tests.compatibility.page import PAGE, page

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(measure_all(Path(folder), Programs())))
    print(f"{PAGE} is written.")
