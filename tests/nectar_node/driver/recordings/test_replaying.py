"""Real nodes are recorded, one of them until it is killed, and replayed without them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nectar_node.core import core
from nectar_node.driver.recordings.replaying import find
from nectar_node.recording.errors import BadRecording
from tests.nectar_node.driver.recordings.recorded import RECEIVES, SENDS, Recording


@pytest.mark.parametrize("node", [SENDS, RECEIVES])
def test_what_a_node_did_is_done_again_byte_for_byte_also_if_it_was_killed(recording: Recording, node: str) -> None:
    player, difference = recording.replay(node)
    assert difference is None
    assert player.steps > 100
    assert str(player.core.our) == node


def test_a_changed_core_shows_its_first_difference(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "EVENTS_AT_ONCE", 0)
    _, difference = recording.replay(RECEIVES)
    assert difference is not None
    assert difference.recorded != difference.replayed


def test_a_changed_byte_is_reported(recording: Recording, tmp_path: Path) -> None:
    copy = shutil.copytree(recording.folder, tmp_path / "copy")
    (segment,) = (copy / RECEIVES / "boot-000001").iterdir()
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(BadRecording, match="damaged"):
        recording.replay(RECEIVES, copy)


def test_a_recording_without_its_beginning_says_what_can_be_done(recording: Recording, tmp_path: Path) -> None:
    copy = shutil.copytree(recording.folder, tmp_path / "copy")
    (segment,) = (copy / RECEIVES / "boot-000001").iterdir()
    data = segment.read_bytes().replace(b'"segment":1', b'"segment":2', 1)
    segment.with_name("000002.recording").write_bytes(data)
    segment.unlink()
    with pytest.raises(BadRecording, match="larger --keep"):
        recording.replay(RECEIVES, copy)


def test_of_several_nodes_one_must_be_named(recording: Recording) -> None:
    with pytest.raises(Exception, match="say which with --node"):
        find(recording.folder, "", 0)
