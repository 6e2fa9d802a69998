"""What `nectar top` shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.main import main
from nectar_node.cli.top import NodeLoad, Sample, Sort, loads
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.real_node import NODE, RealNode
from tests.nectar_node.cli.served_node import make_network, serve_node
from tests.nectar_node.cli.terminal import check_screen
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]


def row(name: str, **more: Any) -> dict[str, Any]:
    address = f"a.nec@{name}:p:sys"
    return {"address": address, "state": "waiting for a message", "inbox": 0, "memory_bytes": 1024, **more}


def sample(at: float, *rows: dict[str, Any]) -> Sample:
    return Sample(at, {str(each["address"]): each for each in rows}, {})


BEFORE = sample(10.0, row("a", messages=100, cpu_seconds=1.0), row("b", messages=0, cpu_seconds=5.0))
NOW = sample(12.0, row("a", messages=300, cpu_seconds=1.5), row("b", messages=2, cpu_seconds=6.0, inbox=7))


def test_rates_are_what_happened_between_two_looks_at_who_was_there() -> None:
    state = "waiting for a message"
    assert loads(BEFORE, NOW, Sort.CPU) == [
        NodeLoad("b:p:sys", state, 1.0, 0.5, 7, 1024),
        NodeLoad("a:p:sys", state, 100.0, 0.25, 0, 1024),
    ]
    before = sample(0.0, row("again", messages=100, cpu_seconds=9.0))
    now = sample(1.0, row("again", messages=1, cpu_seconds=0.1), row("new", messages=5, cpu_seconds=None))
    assert [(each.messages, each.cpu) for each in loads(before, now, Sort.CPU)] == [(None, None), (None, None)]


@pytest.mark.parametrize(("sort", "first"), [(Sort.CPU, "b"), (Sort.MESSAGES, "a"), (Sort.INBOX, "b")])
def test_the_busiest_comes_first(sort: Sort, first: str) -> None:
    assert loads(BEFORE, NOW, sort)[0].process == f"{first}:p:sys"


def test_one_that_spins_comes_first_and_takes_no_more_than_a_core(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spin.wasm").write_bytes(wat("(loop $again (br $again))"))
    where = ["--node", NODE, "--dir", str(node.network)]
    assert main(["start", str(tmp_path / "spin.wasm"), *where]) == 0
    capsys.readouterr()

    busiest: dict[str, Any] = {}

    def spins_first() -> bool:
        assert main(["top", *where, "--json"]) == 0
        busiest.update(json.loads(capsys.readouterr().out)["processes"][0])
        return bool(busiest["process"] == "spin:spin:local")

    until(spins_first)  # beside other work it may have had no turn between two looks
    assert busiest["memory_bytes"] is not None
    assert 0 < busiest["cpu"] < 1.1


def answers() -> Any:
    looks = iter(range(1000))

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"ok": {"processes": [row("echo", messages=100 * next(looks), cpu_seconds=0.0)]}}

    return answer


def test_without_a_terminal_it_is_one_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(tmp_path)
    command = ["top", "--node", "a.nec", "--dir", str(tmp_path), "--interval", "0.1"]
    with serve_node(tmp_path, "a.nec", answers()) as node:
        assert main(command) == 0
        heading, line = capsys.readouterr().out.splitlines()
        assert heading == "PROCESS\tMSG/S\tCPU\tINBOX\tMEMORY\tSTATE"
        name, rate, *rest = line.split("\t")
        assert (name, rest) == ("echo:p:sys", ["0%", "0", "1.0 KiB", "idle"])
        assert 0 < int(rate) <= 1000
        assert node.commands() == ["ps", "ps"]
        assert main([*command, "--json"]) == 0
        (process,) = json.loads(capsys.readouterr().out)["processes"]
        assert process["process"] == "echo:p:sys"


WARNING = "Nothing was backed up to disk for 2 h: /mnt/disk is not there."


def test_warnings_come_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(tmp_path)
    answer = {"ok": {"processes": [row("echo")], "warnings": [WARNING]}}
    command = ("top", "--node", "a.nec", "--dir", str(tmp_path), "--interval", "0.1")
    with serve_node(tmp_path, "a.nec", lambda _: answer):
        assert main(command) == 0
        assert capsys.readouterr().err == WARNING + "\n"
        assert main([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["warnings"] == [WARNING]
        check_screen(command, WARNING[:20].encode(), b"q")


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_on_a_terminal_it_goes_on_until_q_or_ctrl_c_and_leaves_the_terminal_as_it_was(
    tmp_path: Path, key: bytes
) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", answers()):
        words = ("top", "--node", "a.nec", "--dir", str(tmp_path), "--interval", "0.1")
        check_screen(words, b"echo:p:sys", key)
