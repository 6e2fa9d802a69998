"""Recordings of several nodes are one journal, in which a message is seen on both its nodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.recording.errors import BadRecording
from testnet.real.local import LocalTestnet
from testnet.real.recorded import recorded_nodes
from tests.commands import nectar

ONE, TWO = "one.nec", "two.nec"


def test_a_message_is_seen_on_both_nodes_in_the_order_of_time(tmp_path: Path) -> None:
    """Whatever the nodes follow themselves: one sends a share of its traces to a collector, one writes all."""
    record = tmp_path / "recordings"
    record.mkdir(mode=0o700)
    with LocalTestnet(tmp_path / "net") as network:
        network.add(REGISTRAR_NAME, BootOptions(packages=()))
        traced = BootOptions(record=record, otlp="http://127.0.0.1:9", otlp_sample=0.0)
        network.boot({ONE: traced, TWO: BootOptions(record=record, trace=True)})
        assert network.message(ONE, f"{TWO}@echo:echo:sys", "are you there")["body"] == "are you there"
    page = tmp_path / "page.html"
    done = nectar("sim", "report", record, "-o", page, folder=network.folder)
    assert done.code == 0, done.err
    text = page.read_text()
    assert "are you there" in text
    assert f'"nectar replay {record} --node {ONE}"' in text
    assert f'"recordings of {ONE}, {TWO}"' in text
    assert '"clock":"real"' in text
    assert "nectar sim replay" not in text
    for name in (ONE, TWO):
        stopped = nectar("replay", record, "--node", name, "--until", "are you there", folder=network.folder)
        assert f"{TWO}@echo:echo:sys" in stopped.out.splitlines()[0], stopped
    first, second = (text.index(json.dumps(name)) for name in (ONE, TWO))
    assert first != second


def test_a_folder_without_recordings_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="--record"):
        recorded_nodes([tmp_path], lambda _: bytes(32))
    done = nectar("sim", "report", tmp_path, "-o", tmp_path / "page.html")
    assert (done.code != 0, "Traceback" in done.err) == (True, False)


def test_two_journals_are_not_one_page(tmp_path: Path) -> None:
    done = nectar("sim", "report", "a.journal", "b.journal", "-o", tmp_path / "page.html")
    assert (done.code, "A page shows one journal" in done.err) == (2, True)
