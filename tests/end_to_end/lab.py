"""Two nodes with links between them, and the command line, for the tests in this folder."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testnet.faults.stall import Stall
from testnet.model.where import Where
from testnet.real.links.stream import PIECE_BYTES
from testnet.real.links.thread import LoopbackLinks
from testnet.real.local import LocalTestnet
from tests.commands import Ended, nectar
from tests.waiting import LIMIT, until

SENDER = "send.nec"
RECEIVER = "recv.nec"
HELLO = "our@hello:hello:sys"
FILE_TRANSFER = "our@file_transfer:file_transfer:sys"
MIB = 1024 * 1024


def command(*arguments: str | Path, folder: Path | None = None) -> list[str]:
    """A command line of `nectar`, for a process of its own: one that is signalled, or typed at."""
    words = [sys.executable, "-P", "-m", "nectar_node", *map(str, arguments)]
    return words if folder is None else [*words, "--dir", str(folder)]


def random_file(path: Path, size: int) -> Path:
    """A file of `size` bytes that do not compress and differ from file to file."""
    path.write_bytes(random.Random(path.name).randbytes(size))
    return path


@dataclass
class Lab:
    """A testnet of registrar, sender and receiver."""

    nodes: LocalTestnet
    links: LoopbackLinks
    stall: int = 0
    """The number of the fault that holds what is sent."""

    @property
    def folder(self) -> Path:
        return self.nodes.folder

    @property
    def inbox(self) -> Path:
        """Where the receiver's package keeps what arrived."""
        return self.nodes.place(RECEIVER).drives / "file_transfer:sys" / "inbox"

    def arrived(self) -> set[str]:
        """The names of the files that have arrived; partial ones are hidden."""
        return {path.name for path in self.inbox.iterdir() if not path.name.startswith(".")}

    def mend(self) -> None:
        """Start what does not run."""
        self.nodes.start((SENDER, RECEIVER))

    def connections(self) -> int:
        """That have been made between the two, whoever dialed."""
        return sum(self.links.counts(*ends).connections for ends in ((SENDER, RECEIVER), (RECEIVER, SENDER)))

    def nectar(self, *arguments: str | Path) -> Ended:
        """Run one command in this testnet to its end."""
        return nectar(*arguments, folder=self.folder)

    def send(self, file: Path) -> dict[str, Any]:
        """Send `file`; it must arrive, byte for byte."""
        ended = self.nectar("send", file, "--from", SENDER, "--to", RECEIVER, "--json")
        assert ended.code == 0, ended.err
        result: dict[str, Any] = ended.json
        assert Path(result["host_path"]).read_bytes() == file.read_bytes()
        return result

    @contextmanager
    def sending(self, file: Path, stalled_at: int) -> Iterator[subprocess.Popen[str]]:
        """A transfer that is under way: so many bytes have passed the link, and no more do until `release`."""
        self.links.cut(Where(SENDER, RECEIVER))  # bytes are counted from the beginning of a connection
        before = self.links.counts(SENDER, RECEIVER).bytes
        self.stall = self.links.apply(Stall(Where(SENDER, RECEIVER, both=False), stalled_at))
        arguments = command("send", file, "--from", SENDER, "--to", RECEIVER, folder=self.folder)
        environment, pipe = {**os.environ, "PYTHONUNBUFFERED": "1"}, subprocess.PIPE
        with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
            try:
                most = before + stalled_at - PIECE_BYTES
                until(lambda: process.poll() is not None or self.links.counts(SENDER, RECEIVER).bytes >= most)
                assert process.poll() is None
                yield process
            finally:
                self.release()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LIMIT)
                process.kill()

    def release(self) -> None:
        """Let everything pass."""
        self.links.remove(self.stall)

    def ask(self, target: str, body: object, node: str = SENDER, timeout: int = 20) -> Any:
        """Inject a request with a JSON body, and return the response's."""
        answer = self.nodes.message(node, target, json.dumps(body), timeout)
        assert answer["outcome"] == "response", answer
        return json.loads(answer["body"])
