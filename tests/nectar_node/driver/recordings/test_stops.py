"""A replay stops where it is asked to, shows what was there, and goes on without a difference."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.driver.recordings.replaying import find, replay_of
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.recording import looking
from nectar_node.recording.stops import ReplayEvent, StoppingReplay
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.nectar_node.driver.recordings.recorded import RECEIVES, SENDS, Recording

ECHO = "echo:echo:sys"


def _stopping(recording: Recording, node: str = RECEIVES) -> StoppingReplay:
    return StoppingReplay(partial(replay_of, find(recording.folder, node, 0), recording.keys[node]))


def test_a_message_is_found_by_its_words_and_the_replay_goes_on_from_there(recording: Recording) -> None:
    replay = _stopping(recording)
    stop = replay.go(ReplayEvent.parse("hello"))
    assert stop is not None
    assert "hello" in stop.why
    assert f"{RECEIVES}@{ECHO}" in stop.why
    assert replay.go(None) is None
    assert replay.difference is None
    assert replay.player.ended


def test_a_log_line_is_found_by_its_words(recording: Recording) -> None:
    stop = _stopping(recording, SENDS).go(ReplayEvent.parse("connected to"))
    assert stop is not None
    assert stop.why.startswith("at the log line net: connected to")


def test_a_step_and_a_time_are_found(recording: Recording) -> None:
    replay = _stopping(recording)
    stop = replay.go(ReplayEvent.parse("#30"))
    assert stop is not None
    assert stop.step >= 30
    later = replay.go(ReplayEvent.parse(f"{stop.seconds + 0.001:.6f}s"))
    assert later is not None
    assert (later.why, later.step >= stop.step) == ("the time that was asked for", True)


def test_what_is_not_there_is_found_nowhere(recording: Recording) -> None:
    replay = _stopping(recording)
    assert replay.go(ReplayEvent.parse("nothing of the kind")) is None
    assert replay.difference is None


@pytest.mark.parametrize("text", ["", "  "])
def test_an_event_without_words_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="name one of them"):
        ReplayEvent.parse(text)


def test_processes_sessions_memory_and_stack_are_shown_where_it_stops(recording: Recording) -> None:
    replay = _stopping(recording)
    assert replay.go(ReplayEvent.parse("hello")) is not None
    core = replay.player.core
    (echo,) = (row for row in looking.processes(core) if row["process"] == ECHO)
    assert echo["handled"] == 1
    assert {row["name"] for row in looking.sessions(core)} >= {SENDS}
    replay.go(ReplayEvent(step=replay.step + 1))  # in which the guest runs
    (place, *_) = looking.find_in_memory(core, ECHO, b"hello")
    assert looking.memory(core, ECHO, place, 5) == b"hello"
    assert looking.stack(replay, ECHO)
    assert replay.go(None) is None
    assert replay.difference is None


@pytest.mark.parametrize(("process", "address"), [("nobody:a:b", 0), (ECHO, 1 << 40), ("half", 0)])
def test_memory_that_is_not_there_is_told(recording: Recording, process: str, address: int) -> None:
    replay = _stopping(recording)
    replay.go(ReplayEvent.parse("hello"))
    with pytest.raises(BadInput):
        looking.memory(replay.player.core, process, address, 1)


def test_the_command_stops_and_answers_what_it_is_asked_as_json(recording: Recording) -> None:
    asked = ("ps", f"stack {ECHO}", "mail nobody", "memory", f"find {ECHO} 0xz", "step 1", "go", "step", "nonsense")
    options = [text for each in asked for text in ("--ask", each)]
    done = nectar(
        *("replay", str(recording.folder), "--node", RECEIVES, "--break", "hello", "--json", *options),
        folder=recording.network,
    )
    assert done.code == 0, done.err
    first, _ = json.JSONDecoder().raw_decode(done.out)
    assert "hello" in first["why"]
    assert [row["process"] for row in first["processes"]]
    assert 'There is no "nonsense"' in done.err
    assert "The replay is at its end." in done.err
    assert "Traceback" not in done.err


def test_a_command_that_finds_nothing_to_stop_at_says_so_and_fails(recording: Recording) -> None:
    words = ("replay", str(recording.folder), "--node", RECEIVES, "--break", "no such words")
    done = nectar(*words, folder=recording.network)
    assert (done.code, "There is nothing of the kind in the recording: no such words" in done.err) == (1, True)


def test_errors_name_the_command_that_replays_to_the_message(network: LocalTestnet, tmp_path: Path) -> None:
    name = "recorded-c.nec"
    network.add(name, BootOptions(record=tmp_path))
    network.message(name, f"{name}@nobody:echo:sys", "lost", timeout=1)
    (row,) = (
        json.loads(line) for line in nectar("errors", "--node", name, "--json", folder=network.folder).out.splitlines()
    )
    network.stop(name)
    words = shlex.split(row["replay"])[1:]
    assert words[:2] == ["replay", "--node"]
    done = nectar(*words, "--ask", "ps")
    assert done.code == 0, done.err
    assert "nobody:echo:sys" in done.out.splitlines()[0]
