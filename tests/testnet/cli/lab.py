"""Runs the commands of `nectar` on a testnet in a folder; in this process, which is faster than one for each."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nectar_node.cli.main import main


@dataclass(frozen=True)
class Shell:
    """A terminal in front of the testnet in `folder`."""

    folder: Path

    def say(self, *words: str) -> str:
        """What a command that succeeds prints, on both streams."""
        code, out, err = self._run(words)
        assert code == 0, err
        return out + err

    def json(self, *words: str) -> Any:
        """The result of a command that succeeds."""
        return json.loads(self.say(*words, "--json"))

    def fails(self, *words: str) -> tuple[int, str]:
        """Exit code and sentence of a command that fails."""
        code, out, err = self._run(words)
        assert (bool(code), out, err.count("\n")) == (True, "", 1), (code, out, err)
        return code, err.strip()

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

    def _run(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        """Exit code, and what is printed on both streams."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*words, "--dir", str(self.folder)])
        return code, out.getvalue(), err.getvalue()
