"""What a guest's resources of WASI 0.2 take of the node is bounded, whatever it opens, lists, sleeps for or drops."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel.contract.drive import Drive
from kernel.contract.errors import GuestTrap
from kernel.wasm.engine import Engine
from kernel.wasm.wasi import clocks, files, io
from kernel.wasm.wasi.host_drive import HostDrive
from kernel.wasm.wasi.state import (
    MAX_LISTED,
    MAX_MOMENT,
    Descriptor,
    DirectoryEntries,
    InputStream,
    Pollable,
    WasiState,
)
from tests.kernel.wasm.component_texts import guest_component

NO_MEMORY = 22
"""The case insufficient-memory of error-code."""
TYPES = files.ACTS["wasi:filesystem/types"]
OPEN_AT, READ_DIRECTORY = (TYPES[f"[method]descriptor.{name}"] for name in ("open-at", "read-directory"))
NEXT_ENTRY = TYPES["[method]directory-entry-stream.read-directory-entry"]
FOLLOW, READ = 1, 1


def state_of(drive: Drive | None = None, monotonic: Callable[[], int] = lambda: 1, most_files: int = 16) -> WasiState:
    return WasiState(lambda _verbosity, _data: None, bytes, lambda: 1, monotonic, drive, most_files)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "drive").mkdir()
    return tmp_path / "drive"


def opened(state: WasiState, path: str) -> tuple[int, Descriptor]:
    (root, _), *_ = files.ACTS["wasi:filesystem/preopens"]["get-directories"](state)
    case, handle = OPEN_AT(state, state.get(root, Descriptor.kind), FOLLOW, path, 0, READ)
    assert case == 0, handle
    return handle, state.get(handle, Descriptor.kind)


def test_g28_a_file_in_a_folder_takes_one_descriptor_of_the_node(folder: Path) -> None:
    for number in range(8):
        (folder / str(number)).mkdir()
        (folder / str(number) / "file").touch()
    state = state_of(HostDrive(str(folder)))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(8):
        opened(state, f"{number}/file")
    assert len(os.listdir("/proc/self/fd")) - before == 8


def test_listings_hold_only_so_many_names_together(folder: Path) -> None:
    for number in range(100):
        (folder / str(number)).touch()
    state = state_of(HostDrive(str(folder)))
    _, root = opened(state, ".")
    listings = []
    while (answer := READ_DIRECTORY(state, root))[0] == 0:
        listings.append(answer[1])
    assert (len(listings), answer) == (MAX_LISTED // 100, (1, NO_MEMORY))
    state.drop(listings.pop(), DirectoryEntries.kind)
    assert READ_DIRECTORY(state, root)[0] == 0


def test_what_was_listed_makes_room_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel.wasm.wasi.state.MAX_LISTED", 3)
    for name in "abc":
        (folder / name).touch()
    state = state_of(HostDrive(str(folder)))
    _, root = opened(state, ".")
    _, handle = READ_DIRECTORY(state, root)
    entries: Any = state.get(handle, DirectoryEntries.kind)
    assert READ_DIRECTORY(state, root) == (1, NO_MEMORY)
    assert [NEXT_ENTRY(state, entries)[1] for _ in range(4)] == [(6, "a"), (6, "b"), (6, "c"), None]
    assert READ_DIRECTORY(state, root)[0] == 0


@pytest.mark.parametrize("duration", [MAX_MOMENT, MAX_MOMENT - 1, 1 << 63])
def test_a_sleep_until_beyond_the_end_of_time_ends_with_it(duration: int) -> None:
    now = [5]
    state = state_of(monotonic=lambda: now[0])
    pollable = state.get(
        clocks.ACTS["wasi:clocks/monotonic-clock"]["subscribe-duration"](state, duration), Pollable.kind
    )
    assert pollable.deadline is not None
    assert pollable.deadline <= MAX_MOMENT
    state.slept(pollable.deadline)
    assert state.is_ready(pollable)
    now[0] = 1 << 70
    assert state.now() == MAX_MOMENT, "it fits the type of a moment"


@pytest.mark.parametrize(
    ("name", "numbers", "opens"),
    [
        ("link-at", "i32 i32 i32 i32 i32 i32 i32 i32", True),
        ("symlink-at", "i32 i32 i32 i32 i32 i32", True),
        ("create-directory-at", "i32 i32 i32 i32", True),
        ("unlink-file-at", "i32 i32 i32 i32", False),
    ],
)
def test_who_can_give_new_names_in_its_drive_is_watched_for_its_quota(
    replayable: Engine, name: str, numbers: str, opens: bool
) -> None:
    types = f"""(import "wasi:filesystem/types@0.2.0" (instance $types (export "[method]descriptor.{name}" (func))))"""
    lower = f'(core func $call (canon lower (func $types "[method]descriptor.{name}") (memory $mem)))'
    wasm = guest_component(types, ((f"call (param {numbers})", lower),), "")
    assert replayable.load(wasm).opens_files is opens


def test_a_dropped_pollable_is_none_in_a_poll() -> None:
    state = state_of()
    handle = state.add(Pollable(None))
    state.drop(handle, Pollable.kind)
    with pytest.raises(GuestTrap, match=r"is no handle of wasi:io/poll\.pollable"):
        io.ACTS["wasi:io/poll"]["poll"](state, (handle,))
    with pytest.raises(GuestTrap, match=r"is no handle of wasi:io/poll\.pollable"):
        state.drop(handle, Pollable.kind)


def test_one_that_is_polled_twice_is_ready_twice() -> None:
    state = state_of()
    handle = state.add(Pollable(0))
    assert io.ACTS["wasi:io/poll"]["poll"](state, (handle, handle)).ready(state) == (0, 1)


def test_a_stream_outlives_the_descriptor_that_it_was_made_of(folder: Path) -> None:
    (folder / "file").write_text("text")
    state = state_of(HostDrive(str(folder)), most_files=1)
    before = len(os.listdir("/proc/self/fd"))
    handle, file = opened(state, "file")
    _, stream = TYPES["[method]descriptor.read-via-stream"](state, file, 0)
    state.drop(handle, Descriptor.kind)
    del file
    with pytest.raises(AssertionError):
        opened(state, "file")  # what the stream has open counts
    source = state.get(stream, InputStream.kind)
    assert io.ACTS["wasi:io/streams"]["[method]input-stream.read"](state, source, 1 << 64) == (0, b"text")
    del source
    state.drop(stream, InputStream.kind)
    assert len(os.listdir("/proc/self/fd")) == before
