"""`python -m testnet.demo [FILE] [--keep]`: sends a file from send.nec to recv.nec, and shows what happens when things
break.

Everything is real: three nodes as operating system processes in a temporary folder, the command line that a user would
type, and the links of a testnet between them. The exit code is 1 if a step failed.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nectar_node.base.errors import NodeError
from nectar_node.console import output, streams
from testnet.cli.testnet import terminated_like_interrupt
from testnet.faults.reset import ConnectionReset
from testnet.model.where import Where
from testnet.real.lifeline import hold_lifeline
from testnet.real.links.thread import LoopbackLinks, run_loopback_links
from testnet.real.local import LocalTestnet

SENDER = "send.nec"
RECEIVER = "recv.nec"
DEFAULT_SIZE = 256 * 1024 * 1024
SEED = 7
TRANSFER_LIMIT = 600.0
"""Seconds after which a transfer is taken to hang."""

ASK_TIMEOUT = 20
"""Seconds; longer than a node tries to reach another one."""

IN_FLIGHT_LIMIT = 16 * 1024 * 1024
"""Bytes that may be on the way between two nodes (credit, and the buffers of the operating system), and are lost in a
cut; what was acknowledged must not be sent again."""

_FRAMING = 0.02
"""The most that records and frames add to the bytes of a file, as a share."""

_BLOCK = 4 * 1024 * 1024


class DemoFailed(Exception):
    """A step failed; the message says what was expected."""


@dataclass(slots=True)
class Demo:
    """The steps, and the table of what happened."""

    folder: Path
    nodes: LocalTestnet
    links: LoopbackLinks
    rows: list[tuple[str, str]] = field(default_factory=list)

    def start(self) -> None:
        """Start a registrar and two nodes, which reach each other through the links."""
        began = time.monotonic()
        self.nodes.start((SENDER, RECEIVER))
        self._record("testnet", f"registrar and 2 nodes ready after {output.duration(time.monotonic() - began)}")

    def transfer(self, file: Path) -> None:
        """Send a file, and check that it arrives byte for byte."""
        _heading(f"1. {file.name} ({output.size(file.stat().st_size)}) goes from {SENDER} to {RECEIVER}")
        result = self._send(file)
        check_equal(file, Path(result["host_path"]))
        rate = output.size(result["bytes_per_second"])
        self._record(
            "transfer", f"{output.size(result['bytes'])} in {result['seconds']:.1f} s, {rate}/s, every byte the same"
        )
        self._record("BLAKE3", result["hash"])

    def transfer_with_cut(self, file: Path) -> None:
        """Send a file, break its connection on the way, and check that the file arrives and that what had arrived is
        not sent again."""
        size = file.stat().st_size
        byte = size * 2 // 3  # so that its second connection, which carries what is left, comes to no such byte
        _heading(f"2. The TCP connection is cut at byte {byte:,}, while another {output.size(size)} are sent")
        self.links.cut(Where(SENDER, RECEIVER))  # bytes are counted from the beginning of a connection
        before, connections = self.links.counts(SENDER, RECEIVER), self._connections()
        with self.links.applied(ConnectionReset(byte=byte, where=Where(SENDER, RECEIVER, both=False))):
            result = self._send(file)
        after = self.links.counts(SENDER, RECEIVER)
        check_equal(file, Path(result["host_path"]))
        if after.resets == before.resets or self._connections() == connections:
            raise DemoFailed("the connection was never cut, or nobody connected again")
        passed = after.bytes - before.bytes
        if passed > size * (1 + _FRAMING) + IN_FLIGHT_LIMIT:
            raise DemoFailed(f"{passed:,} bytes passed the link for a file of {size:,}: too much was sent again")
        self._record("cut", f"at byte {byte:,}; connected again, every byte the same")
        again = max(0, passed - size)
        self._record("sent twice", f"{output.size(again)} at most, framing included (what was in flight)")

    def offline(self) -> None:
        """Let a Wasm process ask one on a node that has stopped, and check that it is told Offline."""
        _heading(f"3. {RECEIVER} stops, and a process on {SENDER} sends it a request")
        self.nodes.stop(RECEIVER)
        body = json.dumps({"Ask": {"node": RECEIVER, "name": "the demo", "timeout": ASK_TIMEOUT}})
        began = time.monotonic()
        arguments = ["message", "our@hello:hello:sys", body, "--node", SENDER, "--timeout", str(ASK_TIMEOUT + 5)]
        answer = json.loads(self._nectar(arguments, ASK_TIMEOUT + 30.0)["body"])
        if answer.get("Failed", {}).get("kind") != "Offline":
            raise DemoFailed(f"the process on {SENDER} answered {answer} instead of Offline")
        seconds = time.monotonic() - began
        print(f"hello:hello:sys answers: {json.dumps(answer)}")
        print(f"log of {SENDER}: {output.printable(self._logged('offline'))}")
        self._record("Offline", f"{SENDER}'s process was told so after {output.duration(seconds)}")

    def _connections(self) -> int:
        """Return how many connections have been made between the two, in either direction."""
        return sum(self.links.counts(*ends).connections for ends in ((SENDER, RECEIVER), (RECEIVER, SENDER)))

    def _logged(self, word: str) -> str:
        lines = [line for line in self.nodes.log(SENDER).splitlines() if "hello:hello:sys" in line and word in line]
        if not lines:
            raise DemoFailed(f"the log of {SENDER} does not show that its process received {word}")
        return lines[-1]

    def _send(self, file: Path) -> dict[str, Any]:
        return self._nectar(["send", str(file), "--from", SENDER, "--to", RECEIVER], TRANSFER_LIMIT)

    def _nectar(self, arguments: list[str], limit: float) -> dict[str, Any]:
        """Run one command; its progress and errors go to our terminal, its result is read from its JSON."""
        shown = shlex.join(["nectar", *arguments])
        print(f"$ {shown}", flush=True)
        command = [sys.executable, "-P", "-m", "nectar_node", *arguments, "--dir", str(self.nodes.folder), "--json"]
        ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=limit, check=False)
        if ended.returncode:
            raise DemoFailed(f"`{shown}` ended with exit code {ended.returncode}")
        result: dict[str, Any] = json.loads(ended.stdout)
        return result

    def _record(self, what: str, happened: str) -> None:
        self.rows.append((what, happened))


def _heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def check_equal(sent: Path, received: Path) -> None:
    """Raise DemoFailed unless both files have the same bytes."""
    with sent.open("rb") as one, received.open("rb") as other:
        offset = 0
        while True:
            expected, found = one.read(_BLOCK), other.read(_BLOCK)
            if expected != found:
                raise DemoFailed(f"{received} differs from {sent} within {_BLOCK} bytes of byte {offset}")
            if not expected:
                return
            offset += len(expected)


def write_random_file(path: Path, size: int, seed: int) -> Path:
    """Write `size` bytes that follow from `seed`, and do not compress, to `path`."""
    source = random.Random(seed)
    with path.open("wb") as file:
        for begin in range(0, size, _BLOCK):
            file.write(source.randbytes(min(_BLOCK, size - begin)))
    return path


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nectar-demo-"))
    try:
        yield folder
    finally:
        if keep:
            print(f"Everything is kept in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _testnet(folder: Path, keep: bool) -> Iterator[tuple[LocalTestnet, LoopbackLinks]]:
    place = folder / "testnet"
    with (
        hold_lifeline(place, () if keep else (folder,)) as lifeline,
        run_loopback_links(place) as links,
        LocalTestnet(place, links=links, lifeline=lifeline) as nodes,
    ):
        yield nodes, links


def run(file: Path | None, size: int, keep: bool) -> None:
    """Run all steps, in a temporary folder; raises DemoFailed and NodeError."""
    began = time.monotonic()
    with _folder(keep) as folder, _testnet(folder, keep) as (nodes, links):
        demo = Demo(folder, nodes, links)
        print(f"Starting a testnet: registrar.nec, {SENDER}, {RECEIVER}.", flush=True)
        demo.start()
        demo.transfer(file or write_random_file(folder / "demo.bin", size, SEED))
        demo.transfer_with_cut(write_random_file(folder / "demo-cut.bin", size, SEED + 1))
        demo.offline()
        nodes.close()
        demo.rows.append(("stopped", f"all nodes; the demo took {output.duration(time.monotonic() - began)}"))
        _heading("What happened")
        width = max(len(what) for what, _ in demo.rows)
        for what, happened in demo.rows:
            print(f"  {what:{width}}  {happened}")


def main() -> int:
    """Parse the arguments, run, and report the first thing that did not hold."""
    streams.make_usable()
    parser = argparse.ArgumentParser(prog="python -m testnet.demo", description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="what to send first (default: made up)")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE, metavar="BYTES", help="of the files that are made up")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the nodes, their files and logs")
    arguments = parser.parse_args()
    if arguments.file is not None and not arguments.file.is_file():
        parser.error(f"there is no file {arguments.file}")
    try:
        with terminated_like_interrupt():
            run(arguments.file, arguments.size, arguments.keep)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except (DemoFailed, NodeError, subprocess.TimeoutExpired) as error:
        print(f"\nThe demo failed: {str(error).rstrip('.')}. To look at the nodes' logs, use --keep.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
