"""Runs one fuzz target under atheris, which watches what code each input reaches; a program of its own for `network`.

python -m tests.fuzz.guided TARGET SECONDS SEED FOLDER

FOLDER holds the inputs to begin with, and gets those that were found to be new; one that fails lies there as `crash-…`.
"""

from __future__ import annotations

import sys
from pathlib import Path

MAX_INPUT_BYTES = 2048
MAX_RESIDENT_MIB = 1024
"""Of this process, the fuzzer's own memory included."""
INPUT_SECONDS = 20
"""After which an input counts as hung; the slowest takes a tenth of one."""


def main(name: str, seconds: str, seed: str, folder: str) -> None:
    """Does not come back: libFuzzer ends the process, with a code that is not 0 if an input has failed."""
    import atheris

    with atheris.instrument_imports(
        include=[
            "net",
            "kernel.wasm.binary",
            "nectar_node.peers.envelope",
            "nectar_node.peers.grant_rows",
            "tests.fuzz",
        ]
    ):
        from tests.fuzz.network import runner

    corpus = Path(folder) / "corpus"
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-rss_limit_mb={MAX_RESIDENT_MIB}",
        f"-timeout={INPUT_SECONDS}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], runner(name))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
