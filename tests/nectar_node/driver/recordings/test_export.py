"""An export tells what happened, and holds nothing that is secret."""

from __future__ import annotations

import json
from pathlib import Path

from nectar_node.driver.recordings.replaying import find
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.recording.taped_core import StepKind
from net.names import keyfile
from tests.commands import nectar
from tests.nectar_node.driver.recordings.recorded import RECEIVES, SENDS, Recording


def test_an_export_has_every_step_and_the_nodes_own_log_but_no_body_key_or_random_number(
    recording: Recording, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    done = nectar("replay", recording.folder, "--node", RECEIVES, "--export", file, folder=recording.network)
    assert done.code == 0, done.err
    assert "cannot be replayed" in done.out
    text = file.read_text()
    header, *rows = map(json.loads, text.splitlines())
    assert (header["recording"], header["replayable"]) == (RECEIVES, False)
    entries = list(find(recording.folder, RECEIVES, 0).entries(recording.keys[RECEIVES]))
    assert len(rows) == len(entries)
    assert any("connected to" in line for row in rows for line in row.get("log", ()))
    seed = keyfile.unlock_key_file(LocalNetwork(recording.network).place(RECEIVES).key, None).identity.seed
    for secret in (b"hello", seed, *(each.body for each in entries if each.kind == StepKind.ENTROPY)):
        assert secret.decode("latin-1") not in text
        assert secret.hex() not in text


def test_a_file_that_is_there_is_not_overwritten(recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text("mine")
    done = nectar("replay", recording.folder, "--node", SENDS, "--export", file, folder=recording.network)
    assert (done.code, file.read_text()) == (2, "mine")
