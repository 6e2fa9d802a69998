"""A node with packages, which measures what its standard input says; `bench.languages` runs it with this version of the
project and with an earlier one, so it uses only what both have.

Lines of the input: "trips TARGET COUNT SIZE", answered with the seconds of one request and its response; "processor",
answered with the seconds of processor time that the node has had; "memory", answered with the KiB that it has, of
pages that processes share, and that one has mapped several times, its part; and "anonymous", with those of them that
are no pages of files, which the system drops when it needs the memory.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from bench.lab import SENDER, folder, ping
from testnet.real.local import LocalTestnet


def _proportional_kib(pid: int | None, kind: str = "Pss") -> int:
    """Return the memory of a process in KiB, of some kind; the picture of a guest's memory after its start is mapped by
    all guests of one program, so the resident size would count it for each."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith(f"{kind}:"))


def _processor_seconds(pid: int | None) -> float:
    """Return the processor time that all threads of a process have had; the earlier version does not measure that."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def main() -> None:
    """Run a node with the packages whose folders are given, until the input ends."""
    packages = tuple(Path(each) for each in sys.argv[1:])
    with folder() as place, LocalTestnet(place / "net") as net:
        net.boot({SENDER: replace(net.options, packages=packages)})
        print("ready", flush=True)
        for line in sys.stdin:
            match line.split():
                case ["trips", target, count, size]:
                    print(ping(net, target, int(count), int(size)), flush=True)
                case ["processor"]:
                    print(_processor_seconds(net.pid(SENDER)), flush=True)
                case ["memory"]:
                    print(_proportional_kib(net.pid(SENDER)), flush=True)
                case ["anonymous"]:
                    print(_proportional_kib(net.pid(SENDER), "Pss_Anon"), flush=True)


if __name__ == "__main__":
    main()
