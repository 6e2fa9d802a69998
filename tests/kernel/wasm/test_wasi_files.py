"""G28: files by WASI preview 1 are the same on a simulated drive as on a real node's, call by call.

`both` makes each call twice, with Wasmtime's WASI on a folder of the host and with ours on a simulated disk, and fails
where they differ. So the values below say what both do, and a test without one says that they agree.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.contract.drive import Errno
from kernel.contract.guest import Arrival, GuestConfig, Poll, SendResponse
from kernel.contract.limits import MAX_GUEST_FILES
from kernel.contract.message import Request
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from testnet.sim import guest_drive
from tests.kernel.wasm.both_drives import TRAP, Both, SimulatedDrive
from tests.kernel.wasm.caller import (
    APPEND,
    ATIM,
    ATIM_NOW,
    BUFFER,
    CREAT,
    CUR,
    DIRECTORY,
    DRIVE,
    DSYNC,
    END,
    FOLLOW,
    FUNCTIONS,
    MTIM,
    NONBLOCK,
    READ,
    RESULT,
    RSYNC,
    SET,
    SYNC,
    VECTORS,
    WRITE,
    At,
    Caller,
    entries,
)
from tests.kernel.wasm.guests import GUESTS, MEMORY, OTHER, OUR, loaded, poll
from tests.kernel.wasm.wasi_storm import PARAMS, Storm
from tests.seeds import seeds

OK, TOO_MANY_FILES = 0, 33
CALLS = 150
"""Of one seed."""


@pytest.fixture
def both(real: Engine, replayable: Engine, tmp_path: Path) -> Iterator[Both]:
    both = Both(real, replayable, tmp_path)
    yield both
    assert both.same_trees()
    both.close()


@pytest.fixture
def simulated(replayable: Engine) -> Iterator[Caller]:
    """A guest on a simulated drive alone."""
    caller = Caller(replayable, SimulatedDrive().config())
    yield caller
    caller.guest.close()


def opened(both: Both, path: str, *arguments: int) -> int:
    errno, fd = both.open(path, *arguments)
    assert errno == OK
    return int(fd)


@pytest.mark.parametrize("seed", seeds(8, 2000))
def test_g28_calls_from_a_seed_come_to_the_same_on_both_drives(both: Both, seed: int) -> None:
    Storm(seed, both).blow(CALLS)


_IN_C = (
    *("write /note.txt some text", "read /note.txt", "read /missing", "list /", "link note.txt /link", "read /link"),
    *("link ../up /out", "read /out", "move /note.txt /moved", "read /link", "read /moved", "list /", "fds", "env"),
    *(
        "move /moved /../up",
        "write /../up text",
        "hoard /moved",
        "read /moved",
        "free",
        "read /moved",
        "write /moved x",
    ),
)
_IN_ZIG = ('"Read"', '{"Add": 1}', '{"Add": 20}', '"Read"', '{"Add": 300}', '"Read"')


@pytest.mark.parametrize(("wasm", "asked"), [("drive.wasm", _IN_C), ("ledger.wasm", _IN_ZIG)])
def test_g28_programs_in_c_and_zig_find_the_same_on_both_drives(
    real: Engine, replayable: Engine, tmp_path: Path, wasm: str, asked: tuple[str, ...]
) -> None:
    configs = GuestConfig(OUR, MEMORY, drive=str(tmp_path)), SimulatedDrive().config()
    ours, theirs = (
        [_said(guest, text) for text in asked]
        for guest in (
            _started(engine, wasm, config) for engine, config in zip((real, replayable), configs, strict=True)
        )
    )
    assert ours == theirs
    assert len(set(ours)) > 3


def _started(engine: Engine, wasm: str, config: GuestConfig) -> Fiber:
    guest = loaded(engine, (GUESTS / wasm).read_bytes()).start(config)
    assert isinstance(guest, Fiber)
    assert poll(guest) is Poll.RECEIVE, guest.end
    return guest


def _said(guest: Fiber, text: str) -> bytes:
    """What a guest answers; names in a folder may come in any order."""
    guest.resume(Arrival(OTHER, Request(False, 5, text.encode()), None, None))
    assert poll(guest) is Poll.RECEIVE, guest.end
    (answer,) = guest.effects
    guest.effects.clear()
    assert isinstance(answer, SendResponse)
    body = answer.response.body
    return b" ".join(sorted(body.split())) if text.startswith("list") else body


# --- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["f", "d", "new", "f/", "d/", "new/", ".", "d/.", "d/..", "l", "l/", "ld", "ld/", "dangling"]
)
def test_g28_all_ways_to_open_something(both: Both, path: str) -> None:
    both.mkdir("d")
    opened(both, "f", CREAT)
    for target, link in (("f", "l"), ("d", "ld"), ("nothing", "dangling")):
        both.symlink(target, link)
    for oflags in range(16):
        for rights in (0, READ, WRITE, READ | WRITE):
            for lookup in (0, FOLLOW):
                errno, fd = both.open(path, oflags, rights, 0, lookup)
                if errno == OK:
                    both.flags(fd)
                    both.stat(fd)
                    both.read(fd, 1)
                    both.write(fd, b"x")
                    both.simple("fd_close", fd)


@pytest.mark.parametrize(
    ("path", "errno"),
    [
        *(("", Errno.NOENT), ("/", Errno.PERM), ("/f", Errno.PERM), ("..", Errno.PERM), ("d/../../f", Errno.PERM)),
        *(
            ("d/../f", OK),
            ("nothing/../f", Errno.NOENT),
            ("f/..", Errno.NOTDIR),
            ("f/x", Errno.NOTDIR),
            ("a\0b", Errno.INVAL),
        ),
        *(("n" * 256, Errno.NAMETOOLONG), ("./" * 2047 + "f", OK), ("./" * 2048 + "f", Errno.NAMETOOLONG)),
        *(("up", Errno.PERM), ("d/up/f", OK), ("d/out", Errno.PERM), ("loop", Errno.LOOP), ("loop/x", Errno.LOOP)),
    ],
)
def test_g28_a_path_leads_nowhere_beyond_the_drive(both: Both, path: str, errno: int) -> None:
    both.mkdir("d")
    opened(both, "f", CREAT)
    for target, link in (("..", "up"), ("..", "d/up"), ("../../f", "d/out"), ("loop", "loop")):
        assert both.symlink(target, link) == OK
    assert both.open(path, 0, READ)[0] == errno
    assert both.stat_at(path)[0] == errno
    for lookup in (0, FOLLOW):
        both.set_times_at(path, 1, 2, ATIM | MTIM, lookup)
        both.stat_at(path, lookup)
    both.readlink(path)


def test_g28_paths_begin_at_a_folder_that_is_open_and_do_not_leave_it(both: Both) -> None:
    both.mkdir("d")
    opened(both, "f", CREAT)
    folder = opened(both, "d", DIRECTORY, READ)
    assert both.open("../f", 0, READ, 0, FOLLOW, folder)[0] == Errno.PERM
    assert both.open("g", CREAT, READ, 0, FOLLOW, folder)[0] == OK
    assert both.stat_at("d/g")[0] == OK
    assert both.rename("g", "h", folder, DRIVE) == OK
    assert both.open("f", 0, READ, 0, FOLLOW, 0)[0] == Errno.BADF
    assert both.open("f", 0, READ, 0, FOLLOW, opened(both, "f"))[0] == Errno.NOTDIR


@pytest.mark.parametrize("flags", [SYNC, DSYNC, RSYNC, SYNC | DSYNC | RSYNC])
def test_g28_files_are_not_opened_for_synced_writes(both: Both, flags: int) -> None:
    assert both.open("f", CREAT, READ | WRITE, flags)[0] == Errno.NOTSUP
    assert both.open("f", CREAT | DIRECTORY, READ | WRITE, flags)[0] == Errno.NOTSUP


def test_g28_a_guest_has_so_many_files_open(both: Both) -> None:
    opened(both, "f", CREAT)
    for _ in range(MAX_GUEST_FILES - 1):
        opened(both, "f")
    assert both.open("f")[0] == TOO_MANY_FILES
    assert both.simple("fd_close", 10) == OK
    assert both.open("f")[1] == 10
    assert both.open("f")[0] == TOO_MANY_FILES


# --- reading and writing ----------------------------------------------------------------------------------------------


def test_g28_reading_writing_and_seeking(both: Both) -> None:
    file = opened(both, "f", CREAT)
    assert both.write(file, b"hello", b"not this one") == (OK, 5)
    assert both.write(file, b"", b" world") == (OK, 6)
    assert both.read(file, 5) == (OK, b"")
    assert both.seek(file, -5, END) == (OK, 6)
    assert both.read(file, 0, 100, 100) == (OK, b"world")
    assert both.seek(file, 5, CUR) == (OK, 16)
    assert both.write(file, b"!") == (OK, 1)
    assert both.read(file, 100, offset=9) == (OK, b"ld\0\0\0\0\0!")
    assert both.write(file, b"J", offset=0) == (OK, 1)
    assert both.tell(file) == (OK, 17)
    assert both.simple("fd_filestat_set_size", file, 3) == OK
    assert both.read(file, 1) == (OK, b"")
    assert both.write(file, b"x") == (OK, 1)
    assert both.read(file, 100, offset=0) == (OK, b"Jel" + bytes(14) + b"x")
    assert both.seek(file, 0, SET) == (OK, 0)


def test_g28_places_in_a_file_that_cannot_be(both: Both) -> None:
    file, half = opened(both, "f", CREAT), 1 << 63
    assert both.seek(file, -1, SET)[0] == Errno.INVAL
    assert both.seek(file, -1, END)[0] == Errno.INVAL
    assert both.seek(file, half - 1, SET) == (OK, half - 1)
    assert both.read(file, 4)[0] == both.write(file, b"a")[0] == Errno.INVAL
    assert both.seek(file, half - 1, CUR) == (OK, 2 * half - 2)
    assert both.seek(file, 2, CUR)[0] == Errno.INVAL
    assert both.read(file, 4)[0] == both.write(file, b"")[0] == Errno.INVAL
    for offset in (half, 2 * half - 1):
        assert both.read(file, 4, offset=offset)[0] == both.write(file, b"a", offset=offset)[0] == Errno.INVAL
        assert both.simple("fd_filestat_set_size", file, offset) == Errno.INVAL
    assert both.simple("fd_advise", file, half, 1, 0) == OK
    assert both.simple("fd_advise", file, 1, half, 0) == Errno.INVAL
    assert both.simple("fd_allocate", file, 0, 1) == Errno.NOTSUP


def test_g28_a_file_that_is_appended_to_grows_at_its_end_whoever_writes(both: Both) -> None:
    file, other = opened(both, "f", CREAT, READ | WRITE, APPEND), opened(both, "f")
    assert both.write(other, b"abc") == (OK, 3)
    assert both.write(file, b"def") == (OK, 3)
    assert both.tell(file) == (OK, 6)
    assert both.write(file, b"ghi", offset=0) == (OK, 3)
    assert both.simple("fd_fdstat_set_flags", file, 0) == OK
    assert both.write(file, b"X", offset=0) == (OK, 1)
    assert both.read(file, 100, offset=0) == (OK, b"Xbcdefghi")
    for flags in (APPEND, NONBLOCK, APPEND | NONBLOCK):
        assert both.simple("fd_fdstat_set_flags", file, flags) == OK
        both.flags(file)
    assert both.simple("fd_fdstat_set_flags", file, SYNC) == Errno.INVAL


def test_g28_no_more_comes_of_one_call_than_with_wasmtime(both: Both) -> None:
    file = opened(both, "f", CREAT)
    both.simple("fd_filestat_set_size", file, 1 << 20)
    vector = {VECTORS: struct.pack("<II", both.callers[0].scratch + BUFFER, 98304)}
    for name, offset in (("fd_pread", (0,)), ("fd_read", ())):
        both.call(name, file, At(VECTORS), 1, *offset, At(RESULT), result=4, writes=vector)


def test_g28_descriptors_that_are_no_files(both: Both) -> None:
    folder = opened(both, ".", DIRECTORY, READ)
    for fd in (0, 1, 2, DRIVE, folder, 99):
        for call in (both.stat, both.flags, both.tell, both.readdir):
            call(fd)
        both.seek(fd, 0, SET)
        both.read(fd, 1)
        both.read(fd, 1, offset=0)
        if fd not in (1, 2):  # what is written there is printed
            both.write(fd, b"x")
        both.write(fd, b"x", offset=0)
        for name in ("fd_sync", "fd_datasync"):
            both.simple(name, fd)
        both.simple("fd_filestat_set_size", fd, 1)
        both.simple("fd_fdstat_set_flags", fd, 0)
        both.simple("fd_fdstat_set_rights", fd, 0, 0)
        both.simple("fd_advise", fd, 0, 0, 0)
        both.simple("fd_allocate", fd, 0, 0)
        both.simple("fd_prestat_dir_name", fd, At(RESULT), 0)
        both.simple("fd_prestat_dir_name", fd, At(RESULT), 1)
        both.simple("fd_prestat_get", fd, At(RESULT))
        both.set_times(fd, 1, 2, ATIM | MTIM)


def test_g28_numbers_of_closed_files_are_given_again(both: Both) -> None:
    first = [opened(both, "f", CREAT) for _ in range(5)]
    for fd in (first[1], first[3]):
        assert both.simple("fd_close", fd) == OK
    assert both.simple("fd_close", first[1]) == Errno.BADF
    assert [opened(both, "f") for _ in range(3)] == [first[3], first[1], first[4] + 1]
    assert both.simple("fd_renumber", first[0], first[2]) == OK
    assert both.tell(first[0])[0] == Errno.BADF
    assert both.simple("fd_renumber", first[2], 99) == Errno.BADF
    assert both.simple("fd_renumber", 99, first[2]) == Errno.BADF
    assert both.simple("fd_renumber", first[2], first[2]) == OK
    assert opened(both, "f") == first[0]
    assert both.simple("fd_close", DRIVE) == OK
    assert both.open("f")[0] == Errno.BADF


# --- names ------------------------------------------------------------------------------------------------------------

_PATHS = (
    "f",
    "g/",
    "d",
    "d/",
    "d/full",
    "d/empty",
    "d/empty/",
    "l",
    "ld",
    "ld/",
    "dangling",
    ".",
    "..",
    "",
    "new",
    "new/",
    "no/x",
    "f/x",
)


@pytest.mark.parametrize("path", _PATHS)
def test_g28_making_and_removing_names(both: Both, path: str) -> None:
    _populate(both)
    for call in (both.mkdir, both.rmdir, both.unlink, both.mkdir, both.readlink):
        call(path)
    both.symlink("f", path)
    both.symlink("", path)
    both.symlink("/f", path)
    both.link("f", path)
    both.link(path, "linked")
    both.link(path, "linked", FOLLOW)
    both.stat_at("linked", 0)


@pytest.mark.parametrize("path", _PATHS)
def test_g28_renaming_anything_to_anything(both: Both, path: str) -> None:
    for target in _PATHS:
        _populate(both)
        both.rename(path, target)
        assert both.same_trees()


def _populate(both: Both) -> None:
    for folder in ("d", "d/full", "d/empty"):
        both.mkdir(folder)
    for file in ("f", "g", "d/full/x"):
        errno, fd = both.open(file, CREAT)
        if errno == OK:
            both.simple("fd_close", fd)
    for target, link in (("f", "l"), ("d", "ld"), ("nothing", "dangling")):
        both.symlink(target, link)


def test_g28_a_file_stays_open_whatever_becomes_of_its_name(both: Both) -> None:
    file = opened(both, "f", CREAT)
    assert both.rename("f", "g") == OK
    assert both.write(file, b"abc") == (OK, 3)
    assert both.stat_at("g")[1][3] == 3
    assert both.unlink("g") == OK
    assert both.read(file, 3, offset=0) == (OK, b"abc")
    assert both.write(file, b"d") == (OK, 1)
    both.stat(file)
    assert both.simple("fd_sync", file) == OK
    assert both.link("g", "h") == Errno.NOENT


def test_g28_a_folder_stays_open_whatever_becomes_of_its_name(both: Both) -> None:
    for name in ("a", "b"):
        both.mkdir(name)
    folder = opened(both, "a", DIRECTORY, READ)
    assert both.rename("a", "b/c") == OK
    assert both.open("f", CREAT, READ, 0, FOLLOW, folder)[0] == OK
    assert both.stat_at("b/c/f")[0] == OK
    assert both.unlink("b/c/f") == both.rmdir("b/c") == OK
    assert both.mkdir("b/c") == OK  # another one
    assert both.open("f", CREAT, READ, 0, FOLLOW, folder)[0] == Errno.NOENT
    assert both.mkdir("d", folder) == Errno.NOENT
    assert both.symlink("x", "y", folder) == Errno.NOENT
    assert both.rename("b", "y", DRIVE, folder) == Errno.NOENT
    assert both.listing(folder) == [(b".", 3), (b"..", 3)]
    assert both.stat(folder)[0] == both.stat_at(".", FOLLOW, folder)[0] == OK


def test_g28_two_names_of_a_file_are_one_file(both: Both) -> None:
    file = opened(both, "f", CREAT)
    assert both.link("f", "g") == OK
    both.write(file, b"abc")
    assert both.stat_at("g")[1] == (1, 4, 2, 3)  # device, type, links, size
    assert both.rename("f", "g") == OK
    assert both.stat_at("f")[0] == OK  # POSIX: nothing happens
    assert both.unlink("f") == OK
    assert both.stat(file)[1] == (1, 4, 1, 3)


def test_g28_times_that_are_set_are_there(both: Both) -> None:
    both.mkdir("d")
    file = opened(both, "f", CREAT)
    both.symlink("f", "l")
    for path in ("f", "d", "l", "."):
        for lookup in (FOLLOW, 0):
            assert both.set_times_at(path, 1000, 2000 + lookup, ATIM | MTIM, lookup) == OK
            assert both.times("f" if path == "l" and lookup else path) == (1000, 2000 + lookup)
    assert both.set_times(file, 7, 8, ATIM | MTIM) == both.set_times(file, 9, 9, MTIM) == OK
    assert both.times("f") == (7, 9)
    assert both.set_times(file, 7, 8, ATIM | ATIM_NOW) == Errno.INVAL
    assert both.set_times(file, 1, 1, 0) == OK
    assert both.set_times_at("nothing", 1, 1, 0, 0) == OK  # Linux does not look
    assert both.set_times_at("nothing", 1, 1, 0, FOLLOW) == Errno.NOENT


# --- listing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [26, 27, 50, 52, 77, 78, 100, 4096])
def test_g28_a_folder_is_listed_in_pieces_of_any_size(both: Both, size: int) -> None:
    both.mkdir("d")
    for name in "abcdefgh":
        both.simple("fd_close", opened(both, f"d/{name}", CREAT))
    folder = opened(both, "d", DIRECTORY, READ)
    assert len(both.listing(folder, size)) == 10


def test_g28_what_does_not_fit_is_cut_off_in_a_listing(both: Both) -> None:
    for size in range(60):
        both.readdir(DRIVE, size)
    for cookie in (1, 2, 3, 1 << 32, 1 << 63, (1 << 64) - 1):
        both.readdir(DRIVE, 4096, cookie)


def test_g28_the_number_of_a_file_is_its_own_and_always_the_same(
    real: Engine, replayable: Engine, tmp_path: Path
) -> None:
    both = Both(real, replayable, tmp_path)
    both.mkdir("d")
    for name in ("f", "g", "d/h"):
        both.open(name, CREAT)
    both.link("f", "e")
    both.symlink("f", "l")
    for caller in both.callers:
        numbers = {name: _number(caller, name) for name in (".", "d", "d/h", "e", "f", "g", "l")}
        assert numbers["e"] == numbers["f"]
        assert len(set(numbers.values())) == len(numbers) - 1
        listed = {each.name.decode(): each.number for each in entries(caller.readdir(DRIVE)[2])}
        assert {name: number for name, number in listed.items() if name in numbers and name != ".."} == {
            name: number for name, number in numbers.items() if "/" not in name
        }
        assert caller.rename("d", "z") == caller.rename("g", "z/g") == OK
        assert (_number(caller, "z"), _number(caller, "z/g")) == (numbers["d"], numbers["g"])
    both.close()


def _number(caller: Caller, path: str) -> int:
    errno, found = caller.stat_at(path, 0)
    assert errno == OK
    assert found is not None
    return found.number


# --- what no honest guest does ----------------------------------------------------------------------------------------

_FAR, _LAST = 1 << 24, (1 << 32) - 1


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "fd_renumber"])
def test_g28_pointers_and_lengths_out_of_memory(both: Both, name: str) -> None:
    for number in (0, 3, _FAR - 4, _LAST - 7, _LAST):
        for other in (0, 8, (1 << 27) + 1, _LAST):
            fd = opened(both, "f", CREAT)
            first = fd if name.startswith("fd_") and name != "fd_readdir" else DRIVE
            rest = (number, other) * 4
            if name != "fd_filestat_set_size":
                both.simple(name, first, *rest[: PARAMS[name] - 1])
            both.simple("fd_close", fd)


@pytest.mark.parametrize(
    "call",
    [
        lambda both, fd: both.seek(fd, 0, 3),
        lambda both, fd: both.seek(99, 0, 256),
        lambda both, fd: both.simple("fd_advise", fd, 0, 0, 6),
        lambda both, fd: both.simple("fd_advise", 99, 0, 0, -1),
        lambda both, fd: both.simple("fd_fdstat_set_flags", fd, 32),
        lambda both, fd: both.simple("fd_fdstat_set_rights", 99, 1 << 30, 0),
        lambda both, fd: both.simple("fd_fdstat_set_rights", 99, 0, -1),
        lambda both, fd: both.open("f", 16),
        lambda both, fd: both.open("f", 0, 1 << 30),
        lambda both, fd: both.open("f", 0, READ, 32),
        lambda both, fd: both.open("f", 0, READ, 0, 2),
        lambda both, fd: both.open("f", 0, READ, 0, 0, DRIVE, 1 << 30),
        lambda both, fd: both.set_times(99, 0, 0, 16),
        lambda both, fd: both.call("fd_tell", fd, At(RESULT + 1)),
        lambda both, fd: both.call("fd_filestat_get", fd, At(RESULT + 4)),
        lambda both, fd: both.call("fd_write", fd, At(VECTORS + 1), 1, At(RESULT)),
    ],
)
def test_g28_unknown_flags_and_cases_and_misaligned_pointers_end_the_guest(both: Both, call) -> None:  # type: ignore[no-untyped-def]
    assert call(both, opened(both, "f", CREAT)) == TRAP


def test_g28_text_that_is_no_utf_8_is_no_path(both: Both) -> None:
    for call in (both.mkdir, both.rmdir, both.unlink, both.readlink, both.open, both.stat_at):
        outcome = call(b"a\xff")
        assert (outcome[0] if isinstance(outcome, tuple) else outcome) == Errno.ILSEQ
    assert both.rename(b"a", b"\xff") == both.link(b"\xff", b"a") == both.symlink(b"\xff", b"a") == Errno.ILSEQ


# --- what a simulation has of its own --------------------------------------------------------------------------------


def test_g28_numbers_times_and_order_are_the_same_in_every_run(replayable: Engine) -> None:
    def seen() -> list[object]:
        caller, found = Caller(replayable, SimulatedDrive().config()), list[object]()
        for name in ("d", "b", "c", "a"):
            caller.mkdir(name)
            caller.open(f"{name}/{name}", CREAT)
        caller.rename("a", "d/z")
        caller.set_times_at("b", 0, 0, ATIM_NOW, 0)
        for path in (".", "d/z", "b", "b/b", "c/c"):
            found.append(caller.stat_at(path))
        found += [caller.readdir(DRIVE), caller.readdir(caller.open("d", DIRECTORY, READ)[1])]
        caller.guest.close()
        return found

    assert seen() == seen()


def test_a_write_far_behind_the_end_takes_none_of_the_hosts_memory(simulated: Caller) -> None:
    _, fd = simulated.open("f", CREAT)
    for offset in (guest_drive.MOST_BYTES, 1 << 43):
        assert simulated.write(fd, b"a", offset=offset)[0] == Errno.NOSPC
    assert simulated.write(fd, b"a", offset=1 << 44)[0] == Errno.FBIG
    assert simulated.simple("fd_filestat_set_size", fd, 1 << 35) == OK  # a hole takes nothing
    assert simulated.write(fd, b"a", offset=0) == (OK, 1)
    assert simulated.write(fd, b"a", offset=1 << 34)[0] == Errno.NOSPC


def test_a_drive_takes_so_many_bytes_and_files(simulated: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_drive, "MOST_BYTES", 100_000)
    monkeypatch.setattr(guest_drive, "MOST_FILES", 20)
    _, fd = simulated.open("f", CREAT)
    assert [simulated.write(fd, bytes(30_000))[0] for _ in range(4)] == [OK, OK, OK, Errno.NOSPC]
    assert simulated.simple("fd_filestat_set_size", fd, 0) == OK
    assert simulated.write(fd, bytes(30_000), offset=0) == (OK, 30_000)
    made = [simulated.mkdir(f"d{number}") for number in range(30)]
    assert made == [OK] * 18 + [Errno.NOSPC] * 12


def test_a_drive_is_no_deeper_than_a_real_node_counts(simulated: Caller) -> None:
    folder, most = DRIVE, guest_drive.MOST_DEPTH
    for depth in range(most):
        assert simulated.mkdir("d", folder) == OK
        errno, inner = simulated.open("d", DIRECTORY, READ, at=folder)
        assert errno == OK, depth
        if folder != DRIVE:
            assert simulated.simple("fd_close", folder) == OK
        folder = inner
    assert simulated.mkdir("d", folder) == Errno.NOSPC
    assert simulated.open("f", CREAT, at=folder)[0] == Errno.NOSPC
    assert simulated.mkdir("e") == OK
    assert simulated.rename("d", "e/d") == Errno.NOSPC
    assert simulated.rename("d", "f") == OK


def test_g28_the_first_buffer_that_is_not_empty_is_found_behind_any_number_of_others(both: Both) -> None:
    file = opened(both, "f", CREAT)
    for empty in (0, 1, 1023, 1024, 8191, 8192, 8193, 12_000):
        vectors = struct.pack("<II", 5, 0) * empty + struct.pack("<II", both.callers[0].scratch, 3)
        writes = {VECTORS: b"abc", BUFFER: vectors}
        assert both.call("fd_write", file, At(BUFFER), empty + 1, At(RESULT), writes=writes, result=4)[1] == b"\3\0\0\0"
