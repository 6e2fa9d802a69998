"""Build the guests of the tests from their sources; needs the extra `guests`. The results are committed.

python tests/guests/build.py
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
WIT = HERE.parent.parent / "sdk" / "zig" / "wit" / "nectar-process-0.7.0.wit"
COMPILE = (
    *(sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-O2", "-s"),
    "-Wl,-z,stack-size=65536",
)
TOOLS = str(Path(sysconfig.get_path("scripts")) / "wasm-tools")


def main() -> None:
    """Compile every C file to a core module, and `echo` to a component too."""
    for source in sorted(HERE.glob("*.c")):
        subprocess.run([*COMPILE, "-o", source.with_suffix(".wasm"), source], check=True)
    embedded, component = HERE / "echo.embedded.wasm", HERE / "echo.component.wasm"
    core = HERE / "echo.wasm"
    subprocess.run([TOOLS, "component", "embed", WIT, "--world", "process", core, "-o", embedded], check=True)
    subprocess.run([TOOLS, "component", "new", embedded, "-o", component], check=True)
    embedded.unlink()


if __name__ == "__main__":
    main()
