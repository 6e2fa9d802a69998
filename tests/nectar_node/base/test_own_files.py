"""A folder is trusted only if it is ours, as ssh treats ~/.ssh: owners, modes and links count on the way down."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base import own_files
from nectar_node.base.errors import NotOurs

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o777], ids=lambda umask: f"umask {umask:03o}")
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """All of this holds whatever the umask."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of ours."""
    own_files.make_folder(tmp_path / "place")
    return tmp_path / "place"


def mode(path: Path) -> int:
    """Of what is there, links not followed."""
    return stat.S_IMODE(path.lstat().st_mode)


def make(path: Path, content: bytes = b"theirs", permissions: int = 0o600) -> Path:
    """A file, as somebody has left it."""
    path.write_bytes(content)
    path.chmod(permissions)
    return path


# --- what is made -----------------------------------------------------------------------------------------------------


def test_what_is_made_is_for_us_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    own_files.make_folder(folder)
    own_files.write(folder / "written", b"content")
    os.close(own_files.open_file(folder / "opened", os.O_WRONLY | os.O_CREAT))
    assert own_files.read(folder / "written") == b"content"
    assert [mode(path) for path in (folder.parent, folder)] == [0o700] * 2
    assert [mode(path) for path in sorted(folder.iterdir())] == [0o600] * 2


def test_a_file_is_written_anew_with_its_mode_and_read_up_to_a_length(place: Path) -> None:
    make(place / "file", b"before", 0o644)
    own_files.write(place / "file", b"after")
    assert (own_files.read(place / "file"), mode(place / "file")) == (b"after", 0o600)
    own_files.write(place / "file", b"content")
    assert own_files.read(place / "file", 4) == b"cont"


def test_a_write_that_fails_leaves_the_file_as_it_was(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_files.write(place / "file", b"before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        own_files.write(place / "file", b"after")
    assert own_files.read(place / "file") == b"before"
    assert [path.name for path in place.iterdir()] == ["file"]


def test_what_is_not_there_is_no_refusal(place: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        own_files.read(place / "file")
    assert caught.value.filename == str(place / "file")
    own_files.remove(place / "file")
    own_files.check(place / "file", secret=True)
    own_files.tighten(place / "folder")


# --- links ------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_a_link_is_neither_written_nor_read_nor_made(place: Path, tmp_path: Path) -> None:
    target = make(tmp_path / "target", b"precious")
    (place / "log").symlink_to(target)
    (place / "lock").symlink_to(tmp_path / "nothing")
    for name, flags in (("log", os.O_RDONLY), ("log", os.O_WRONLY | os.O_CREAT), ("lock", os.O_RDWR | os.O_CREAT)):
        with pytest.raises(NotOurs, match=rf"{place / name} is a link, which is not followed here: remove it, or"):
            own_files.open_file(place / name, flags)
    with pytest.raises(NotOurs, match="is a link"):
        own_files.write(place / "log", b"overwritten")
    with pytest.raises(NotOurs, match="is a link"):
        own_files.check(place / "log")
    assert target.read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()


def test_nothing_of_a_link_is_written_to_or_taken_away_but_itself(place: Path, tmp_path: Path) -> None:
    target = make(tmp_path / "target", b"precious")
    (place / ".file.new").symlink_to(target)
    own_files.write(place / "file", b"content")
    assert (target.read_bytes(), own_files.read(place / "file")) == (b"precious", b"content")
    assert not (place / "file").is_symlink()
    target = make(tmp_path / "target", b"precious")
    (place / "control.sock").symlink_to(target)
    own_files.remove(place / "control.sock")
    assert target.read_bytes() == b"precious"
    assert not (place / "control.sock").is_symlink()


def test_a_link_to_a_folder_that_we_have_made_is_a_way_to_it_but_no_circle(place: Path, tmp_path: Path) -> None:
    own_files.make_folder(tmp_path / "far" / "away")
    (place / "here").symlink_to("../far")
    (place / "there").symlink_to(place / "here")
    own_files.write(place / "there" / "away" / "file", b"content")
    assert own_files.read(tmp_path / "far" / "away" / "file") == b"content"
    assert own_files.read(place / "there" / ".." / "far" / "away" / "file") == b"content"
    (place / "one").symlink_to("two")
    (place / "two").symlink_to("one")
    with pytest.raises(NotOurs, match="link"):
        own_files.make_folder(place / "one" / "folder")


@AS_ROOT
def test_a_link_to_a_folder_that_another_user_has_made_is_not(tmp_path: Path) -> None:
    own_files.make_folder(tmp_path / "ours")
    (tmp_path / "link").symlink_to("ours")
    os.lchown(tmp_path / "link", NOBODY, NOBODY)
    with pytest.raises(NotOurs, match=rf"{tmp_path}/link is a link that user \w+ made: choose another --dir\."):
        own_files.make_folder(tmp_path / "link" / "folder")


# --- owners -----------------------------------------------------------------------------------------------------------


def test_what_belongs_to_another_user_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_files.write(place / "file", b"content")
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    monkeypatch.setattr(own_files, "_trusted", lambda: {0, real, real + 1})
    for refused in (
        lambda: own_files.read(place / "file"),
        lambda: own_files.write(place / "file", b"ours"),
        lambda: own_files.remove(place / "file"),
        lambda: own_files.make_folder(place),
        lambda: own_files.tighten(place),
    ):
        with pytest.raises(NotOurs, match=rf"{place} belongs to user \w+: choose another --dir\."):
            refused()
    monkeypatch.undo()
    assert own_files.read(place / "file") == b"content"


def test_a_folder_on_the_way_that_another_user_owns_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_files.make_folder(place / "within")
    mine = own_files._trusted() - {os.geteuid()}
    monkeypatch.setattr(own_files, "_trusted", lambda: mine - {place.stat().st_uid})
    with pytest.raises(NotOurs, match="choose another place"):
        own_files.make_folder(place / "within")


@AS_ROOT
def test_a_file_that_another_user_has_put_into_our_folder_is_refused(place: Path) -> None:
    os.chown(make(place / "testnet.json"), NOBODY, NOBODY)
    with pytest.raises(NotOurs, match=rf"{place}/testnet.json belongs to user \w+: choose another --dir\."):
        own_files.read(place / "testnet.json")
    with pytest.raises(NotOurs, match="belongs to"):
        own_files.write(place / "testnet.json", b"ours")


@AS_ROOT
def test_whoever_has_become_root_by_sudo_may_use_their_own_folders(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_files.make_folder(place / "within")
    os.chown(place, NOBODY, NOBODY)
    with pytest.raises(NotOurs, match=rf"{place} belongs to user \w+, who could replace {place}/within: choose"):
        own_files.make_folder(place / "within")
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    own_files.make_folder(place / "within")


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("permissions", [0o602, 0o622, 0o666])
def test_a_file_that_others_can_write_is_refused_with_the_command_that_mends_it(place: Path, permissions: int) -> None:
    file = make(place / "testnet.json", permissions=permissions)
    with pytest.raises(NotOurs, match=rf"{file} can be written by everybody: see that .*`chmod go-w {file}`"):
        own_files.read(file)
    file.chmod(0o644)
    assert own_files.read(file) == b"theirs"


def test_a_folder_that_others_can_write_is_refused_or_tightened_by_who_checks_each_file(place: Path) -> None:
    own_files.write(place / "file", b"content")
    place.chmod(0o757)
    with pytest.raises(NotOurs, match=rf"{place} can be written by everybody: .*`chmod go-w {place}`"):
        own_files.read(place / "file")
    own_files.tighten(place)
    assert (own_files.read(place / "file"), mode(place)) == (b"content", 0o755)


def test_a_folder_on_the_way_that_others_can_write_is_refused_unless_it_is_sticky(place: Path) -> None:
    own_files.make_folder(place / "within")
    place.chmod(0o777)
    with pytest.raises(NotOurs, match=rf"{place} can be written by everybody, who could replace {place}/within: "):
        own_files.make_folder(place / "within")
    place.chmod(0o1777)
    own_files.make_folder(place / "within")


def test_the_group_of_one_user_is_nobody_else(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make(place / "file", permissions=0o664)
    monkeypatch.setattr(own_files, "_is_own_group", lambda group, user: False)
    with pytest.raises(NotOurs, match="can be written by its group"):
        own_files.read(file)
    monkeypatch.setattr(own_files, "_is_own_group", lambda group, user: True)
    assert own_files.read(file) == b"theirs"


@pytest.mark.parametrize("permissions", [0o604, 0o640])
def test_a_secret_that_others_can_read_is_refused(place: Path, permissions: int) -> None:
    file = make(place / "key", permissions=permissions)
    own_files.check(file)
    with pytest.raises(NotOurs, match=rf"{file} is a secret that (everybody|its group) can read: `chmod 600 {file}`"):
        own_files.check(file, secret=True)
    file.chmod(0o600)
    own_files.check(file, secret=True)


# --- what else may be there -------------------------------------------------------------------------------------------


def test_a_pipe_in_the_place_of_a_file_hangs_nobody(place: Path) -> None:
    os.mkfifo(place / "log", 0o600)
    os.chmod(place / "log", 0o600)
    for flags in (os.O_RDONLY, os.O_WRONLY | os.O_CREAT):
        with pytest.raises(NotOurs, match="is not a file"):
            own_files.open_file(place / "log", flags)
    with pytest.raises(OSError, match="No such device"):
        own_files.open_file(place / "log", os.O_WRONLY | os.O_NONBLOCK, pipe=True)


def test_a_file_that_the_user_has_named_may_be_roots_and_behind_links(place: Path) -> None:
    named = make(place / "directory")
    (place / "link").symlink_to(named)
    own_files.check_named_file(place / "link")
    own_files.check_named_file(Path("/etc/passwd"))
    named.chmod(0o606)
    with pytest.raises(NotOurs, match="can be written by everybody"):
        own_files.check_named_file(place / "link")
    with pytest.raises(FileNotFoundError):
        own_files.check_named_file(place / "nothing")
