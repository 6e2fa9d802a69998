"""Runs the commands of `nectar` on a testnet in a folder; in this process, which is faster than one for each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands import nectar


@dataclass(frozen=True)
class Shell:
    """A terminal in front of the testnet in `folder`."""

    folder: Path

    def say(self, *words: str) -> str:
        """What a command that succeeds prints, on both streams."""
        ended = nectar(*words, folder=self.folder)
        assert ended.code == 0, ended.err
        return ended.out + ended.err

    def json(self, *words: str) -> Any:
        """The result of a command that succeeds."""
        return json.loads(self.say(*words, "--json"))

    def fails(self, *words: str) -> tuple[int, str]:
        """Exit code and sentence of a command that fails."""
        ended = nectar(*words, folder=self.folder)
        assert (bool(ended.code), ended.out, ended.err.count("\n")) == (True, "", 1), ended
        return ended.code, ended.err.strip()

    def greet(self, source: str, target: str, timeout: int = 60) -> str:
        """How the request from the hello package of one node to that of another has ended."""
        body = json.dumps({"Ask": {"node": target, "name": "x", "timeout": timeout}})
        arguments = ["message", "our@hello:hello:sys", body, "--node", source, "--timeout", str(timeout + 10)]
        answer = json.loads(self.json(*arguments)["body"])
        return str(answer["Failed"]["kind"] if "Failed" in answer else next(iter(answer)))

    def node(self, name: str) -> dict[str, Any]:
        """Its row of `nectar testnet status`."""
        nodes = self.json("testnet", "status")["nodes"]
        return next(row for row in nodes if row["name"] == name)
