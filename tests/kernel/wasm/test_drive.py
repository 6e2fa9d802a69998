"""G28: a guest sees its package's drive as a folder, and nothing else of the host. A real one, in C."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kernel.contract.guest import GuestConfig, Poll, SendResponse
from kernel.contract.limits import MAX_GUEST_FILES
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import GUESTS, MEMORY, OUR, arrival, loaded, poll

PREVIEW_1, NATIVE = "drive.wasm", "native.wasm"
"""A guest that uses WASI preview 1, and a component that uses WASI 0.2: they answer the same."""


class Drive:
    """A guest whose drive is a folder beside things that it must not see."""

    def __init__(self, engine: Engine, folder: Path, name: str) -> None:
        self.folder = folder / "drive"
        self.folder.mkdir()
        (folder / "secret").write_text("secret")
        (folder / "other").mkdir()
        config = GuestConfig(OUR, MEMORY, drive=str(self.folder))
        guest = loaded(engine, (GUESTS / name).read_bytes()).start(config)
        assert isinstance(guest, Fiber)
        self.guest = guest
        assert poll(guest) is Poll.RECEIVE, guest.end

    def ask(self, text: str) -> str:
        self.guest.resume(arrival(text.encode()))
        assert poll(self.guest) is Poll.RECEIVE, self.guest.end
        (answer,) = self.guest.effects
        self.guest.effects.clear()
        assert isinstance(answer, SendResponse)
        return answer.response.body.decode()


@pytest.fixture(params=[PREVIEW_1, NATIVE])
def drive(real: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Drive]:
    drive = Drive(real, tmp_path, request.param)
    yield drive
    drive.guest.close()


def test_g28_a_guest_writes_and_reads_its_drive(drive: Drive) -> None:
    assert drive.ask("write /note.txt some text") == "written"
    assert drive.ask("read /note.txt") == "some text"
    assert (drive.folder / "note.txt").read_text() == "some text"


@pytest.mark.parametrize(("drive", "refusal"), [(PREVIEW_1, ", errno 33"), (NATIVE, "")], indirect=["drive"])
def test_g28_a_guest_has_so_many_files_open_and_gets_wasis_error_for_more(drive: Drive, refusal: str) -> None:
    (drive.folder / "file").touch()
    before = len(os.listdir("/proc/self/fd"))
    assert drive.ask("hoard /file") == f"{MAX_GUEST_FILES}{refusal}"
    assert drive.ask("hoard /file") == f"0{refusal}"
    assert drive.ask("read /file") == "refused"
    assert len(os.listdir("/proc/self/fd")) == before + MAX_GUEST_FILES
    assert drive.ask("free") == "free"
    assert len(os.listdir("/proc/self/fd")) == before
    for _ in range(2 * MAX_GUEST_FILES):
        assert drive.ask("write /file text") == "written"
    assert drive.ask("hoard /file") == f"{MAX_GUEST_FILES}{refusal}"


def test_g28_what_the_node_puts_into_the_drive_is_there(drive: Drive) -> None:
    (drive.folder / "pkg").mkdir()
    (drive.folder / "pkg" / "data").write_text("given")
    assert drive.ask("read /pkg/data") == "given"
    assert drive.ask("list /") == "pkg "


@pytest.mark.parametrize("path", ["/../secret", "../secret", "/a/../../secret", "/../drive/../secret", "/./../secret"])
def test_g28_dots_do_not_leave_the_drive(drive: Drive, path: str) -> None:
    assert drive.ask(f"read {path}") == "refused"
    assert drive.ask(f"write {path} overwritten") == "refused"
    assert (drive.folder.parent / "secret").read_text() == "secret"


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", "/dev/null"])
def test_g28_absolute_paths_begin_at_the_drive(drive: Drive, path: str) -> None:
    assert drive.ask(f"read {path}") == "refused"
    full = str(drive.folder.parent / "secret")
    assert drive.ask(f"read {full}") == "refused"


def test_g28_a_symbolic_link_of_the_hosts_does_not_lead_out(drive: Drive) -> None:
    os.symlink("../secret", drive.folder / "relative")
    os.symlink(drive.folder.parent / "secret", drive.folder / "absolute")
    os.symlink("..", drive.folder / "up")
    for path in ("/relative", "/absolute", "/up/secret"):
        assert drive.ask(f"read {path}") == "refused", path
        assert drive.ask(f"write {path} overwritten") == "refused", path
    assert drive.ask("list /up") == "refused"
    assert (drive.folder.parent / "secret").read_text() == "secret"


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "..", "a/../../secret"])
def test_g28_a_symbolic_link_of_the_guests_does_not_lead_out(drive: Drive, target: str) -> None:
    made = drive.ask(f"link {target} /link")
    assert made == ("refused" if target.startswith("/") else "linked")
    assert drive.ask("read /link") == "refused"
    assert drive.ask("read /link/secret") == "refused"


def test_g28_nothing_is_moved_in_or_out(drive: Drive) -> None:
    drive.ask("write /note.txt text")
    assert drive.ask("move /note.txt /../other/note.txt") == "refused"
    assert drive.ask("move /../secret /secret") == "refused"
    assert sorted(path.name for path in drive.folder.parent.rglob("*")) == ["drive", "note.txt", "other", "secret"]


def open_files() -> list[str]:
    """The paths of all that this process has open."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one of the list itself
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found


def test_g28_what_a_guest_has_open_is_closed_with_it(drive: Drive) -> None:
    (drive.folder / "file").touch()
    drive.ask("hoard /file")
    assert str(drive.folder / "file") in open_files()
    drive.guest.close()
    assert not [path for path in open_files() if path.startswith(str(drive.folder))]


@pytest.mark.parametrize("drive", [PREVIEW_1], indirect=True)
def test_g28_there_is_no_folder_but_the_drive(drive: Drive) -> None:
    assert drive.ask("fds") == "3 "


def test_g28_there_are_no_variables_and_no_arguments(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "secret")
    assert drive.ask("env") == "0 variables, 0 arguments"
