"""Fuzzes the Wasm boundary: every import of every version, and WASI, called with what no honest guest would pass.

python -m tests.fuzz.boundary --seconds 60 [--seed S]

A puppet, a guest that calls what a script says, gets scripts that begin honest and are then damaged: pointers at the
edges of memory, lengths beyond it, discriminants without a case, text that is not UTF-8, return pointers that overlap
the arguments, a cabi_realloc that lies, traps, spins, grows or calls back. After each it is checked that nothing but
that guest has suffered: a canary beside it answers, no host function failed for a reason of its own, and now and then
that memory does not grow. The scripts of a batch are the same in every run of its seed, and those of fibers run
the same.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel.contract.address import Address
from kernel.contract.events import Kill
from kernel.contract.guest import GuestConfig
from kernel.contract.message import LazyLoadBlob
from kernel.wasm.adapter import WASI
from kernel.wasm.canonical.wit import INTERFACES, Bytes, Function, Interface, List, Option, Record, Scalar, Text, Type
from kernel.wasm.engine import Engine
from nectar_node.storage.operations import Location, MakeFolder
from testnet.sim.disk.disk import SimDisk
from testnet.sim.guest_drive import GuestDrive
from tests.fuzz.batches import Batches
from tests.kernel.wasm import reference
from tests.kernel.wasm.native import NATIVE, native_component
from tests.kernel.wasm.node import Node, pid
from tests.kernel.wasm.puppet import (
    ARGUMENTS,
    HEAP,
    PAGES,
    SLOTS,
    Import,
    Op,
    Realloc,
    Script,
    imports_of,
    puppet,
)

SCRIPTS = 150
"""Of a batch."""
BATCH_SECONDS = 120
"""After which a batch counts as hung; it takes two."""
MAX_GROWTH = 64 << 20
"""Bytes that the process may grow by from the first third of a batch to its end."""
POLLS = 40
"""That a script gets; one that spins uses them up and is killed."""
MEMORY_BYTES = 16 << 20
DISK_BYTES = 4 << 20
"""Of the disk of a guest without a host folder, which lies in memory, and there is a synced copy of it."""

_I, _L = "i32", "i64"
WASI_FUNCTIONS = {
    "args_get": (_I, _I),
    "args_sizes_get": (_I, _I),
    "environ_get": (_I, _I),
    "environ_sizes_get": (_I, _I),
    "clock_res_get": (_I, _I),
    "clock_time_get": (_I, _L, _I),
    "fd_advise": (_I, _L, _L, _I),
    "fd_allocate": (_I, _L, _L),
    "fd_close": (_I,),
    "fd_datasync": (_I,),
    "fd_fdstat_get": (_I, _I),
    "fd_fdstat_set_flags": (_I, _I),
    "fd_fdstat_set_rights": (_I, _L, _L),
    "fd_filestat_get": (_I, _I),
    "fd_filestat_set_size": (_I, _L),
    "fd_filestat_set_times": (_I, _L, _L, _I),
    "fd_pread": (_I, _I, _I, _L, _I),
    "fd_prestat_get": (_I, _I),
    "fd_prestat_dir_name": (_I, _I, _I),
    "fd_pwrite": (_I, _I, _I, _L, _I),
    "fd_read": (_I, _I, _I, _I),
    "fd_readdir": (_I, _I, _I, _L, _I),
    "fd_renumber": (_I, _I),
    "fd_seek": (_I, _L, _I, _I),
    "fd_sync": (_I,),
    "fd_tell": (_I, _I),
    "fd_write": (_I, _I, _I, _I),
    "path_create_directory": (_I, _I, _I),
    "path_filestat_get": (_I, _I, _I, _I, _I),
    "path_filestat_set_times": (_I, _I, _I, _I, _L, _L, _I),
    "path_link": (_I, _I, _I, _I, _I, _I, _I),
    "path_open": (_I, _I, _I, _I, _I, _L, _L, _I, _I),
    "path_readlink": (_I, _I, _I, _I, _I, _I),
    "path_remove_directory": (_I, _I, _I),
    "path_rename": (_I, _I, _I, _I, _I, _I),
    "path_symlink": (_I, _I, _I, _I, _I),
    "path_unlink_file": (_I, _I, _I),
    "poll_oneoff": (_I, _I, _I, _I),
    "random_get": (_I, _I),
    "sched_yield": (),
    "sock_accept": (_I, _I, _I),
    "sock_recv": (_I, _I, _I, _I, _I, _I),
    "sock_send": (_I, _I, _I, _I, _I),
    "sock_shutdown": (_I, _I),
}
"""Params of WASI preview 1; every one returns an errno. Without proc_exit, which only ends the guest."""

_TOP = PAGES << 16
_EDGES = (0, 1, 2, 3, 4, 7, 8, 255, 256, 1023, 1024, 65535, 2**20, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 4, 2**32 - 1)
_PLACES = (ARGUMENTS, SLOTS, HEAP, _TOP - 8, _TOP - 4, _TOP - 1, _TOP, _TOP + 1)


class Found(AssertionError):
    """Something other than the hostile guest was harmed."""


@dataclass(frozen=True)
class Subject:
    """A version and the puppet that speaks it."""

    interface: Interface
    imports: list[Import]
    wasm: bytes
    first_wasi: int
    """Which of the imports is WASI's first one."""

    @staticmethod
    def of(interface: Interface) -> Subject:
        """The puppet with every import of a version and of WASI preview 1."""
        wasi = [Import(WASI, name, params, (_I,)) for name, params in WASI_FUNCTIONS.items()]
        imports = [*imports_of(interface), *wasi]
        return Subject(interface, imports, puppet(imports), len(imports_of(interface)))

    @staticmethod
    def native(interface: Interface) -> Subject:
        """The component with every import of a version and of WASI 0.2."""
        ours = imports_of(interface)
        return Subject(interface, [*ours, *NATIVE], native_component(interface.module), len(ours))


class Chance:
    """Hostile values from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def number(self) -> int:
        """A core number: an edge, a place, near one, or anything."""
        chance = self.random
        match chance.randrange(6):
            case 0 | 1:
                return chance.choice(_EDGES)
            case 2 | 3:
                return chance.choice(_PLACES) + chance.randrange(-64, 64)
            case 4:
                return chance.randrange(64)
        return chance.getrandbits(chance.choice((8, 16, 32, 64)))

    def value(self, kind: Type) -> Any:
        """An honest value of a type."""
        chance = self.random
        match kind:
            case Scalar.BOOL:
                return chance.random() < 0.5
            case Scalar():
                return chance.choice((0, 1, 5, 60, 256 ** reference.size(kind) - 1))
            case Text():
                return chance.choice(("", "our.nec", "canary", "target", "tests", "sys", "{}", '"messaging"', "é漢"))
            case Bytes():
                return chance.randbytes(chance.choice((0, 1, 40, 5000)))
            case List(of):
                return tuple(self.value(of) for _ in range(chance.choice((0, 0, 1, 3))))
            case Option(of):
                return None if chance.random() < 0.5 else self.value(of)
            case Record(fields):
                return tuple(self.value(field) for _, field in fields)
        cases = reference.cases(kind)
        number = chance.randrange(len(cases))
        payload = cases[number]
        return number, self.value(payload) if payload else None

    def blob(self) -> LazyLoadBlob | None:
        """A blob, or none."""
        sizes = (None, 0, 10, 100_000)
        size = self.random.choice(sizes)
        return None if size is None else LazyLoadBlob(self.random.choice((None, "text/plain")), bytes(size))


def script_untrusted(chance: Chance, subject: Subject) -> bytes:
    """A script that no honest guest would run."""
    script = Script(subject.interface)
    for _ in range(chance.random.randrange(1, 6)):
        _STEPS[chance.random.randrange(len(_STEPS))](chance, subject, script)
    if chance.random.random() < 0.3:
        script.answer(b"alive")
    return _damaged(chance, script.body()) if chance.random.random() < 0.3 else script.body()


def _honest_call(chance: Chance, subject: Subject, script: Script) -> None:
    function = chance.random.choice(subject.interface.functions)
    script.call(function.name, *_values(chance, function), slot=chance.random.randrange(8))


def _values(chance: Chance, function: Function) -> list[Any]:
    return [chance.value(kind) for _, kind in function.params]


def _bent_call(chance: Chance, subject: Subject, script: Script) -> None:
    """A call whose arguments are laid out honestly, with some core numbers replaced."""
    function = chance.random.choice(subject.interface.functions)
    plain = Script(subject.interface)
    numbers = plain.numbers(function, _values(chance, function))
    script.write(*plain.laid_out())
    for _ in range(chance.random.randrange(4)):
        if numbers:
            numbers[chance.random.randrange(len(numbers))] = chance.number()
    script.raw(subject.interface.functions.index(function), numbers)


def _wild_call(chance: Chance, subject: Subject, script: Script) -> None:
    index = chance.random.randrange(len(subject.imports))
    script.raw(index, [chance.number() for _ in subject.imports[index].params])


def _wasi_call(chance: Chance, subject: Subject, script: Script) -> None:
    index = chance.random.randrange(subject.first_wasi, len(subject.imports))
    numbers = [chance.number() for _ in subject.imports[index].params]
    if numbers and chance.random.random() < 0.7:
        numbers[0] = chance.random.randrange(8)
    script.raw(index, numbers)


def _scribble(chance: Chance, _: Subject, script: Script) -> None:
    words = b"".join((chance.number() % 2**32).to_bytes(4, "little") for _ in range(chance.random.randrange(1, 40)))
    script.write(chance.random.choice((ARGUMENTS, SLOTS, HEAP, _TOP - 256)), words)


def _realloc(chance: Chance, subject: Subject, script: Script) -> None:
    rarely = chance.random.random() < 0.01
    modes = [each for each in Realloc if (each is Realloc.SPIN) is rarely]
    mode = chance.random.choice(modes)
    value = chance.random.randrange(len(subject.imports)) if mode is Realloc.CALL else chance.number() % 2**32
    script.do(Op.REALLOC, mode, value)


def _harm(chance: Chance, _: Subject, script: Script) -> None:
    ops = [Op.GROW, Op.GROW, Op.TRAP, Op.RECURSE, Op.RETURN]
    op = Op.SPIN if chance.random.random() < 0.01 else chance.random.choice(ops)
    script.do(op, chance.random.choice((1, 10, 100, 65536, 2**32 - 1)))


_STEPS = (
    *(_honest_call, _honest_call, _bent_call, _bent_call, _bent_call, _bent_call),
    *(_wild_call, _wild_call, _wasi_call, _wasi_call, _scribble, _scribble, _realloc, _harm),
)


def _damaged(chance: Chance, body: bytes) -> bytes:
    """The same with some of its bytes replaced."""
    damaged = bytearray(body)
    for _ in range(chance.random.randrange(1, 12)):
        damaged[chance.random.randrange(len(damaged))] = chance.random.getrandbits(8)
    return bytes(damaged)


class Batch:
    """One engine, one version, one node, and the scripts of one seed."""

    def __init__(self, seed: int, drive: Path) -> None:
        self.chance = Chance(seed)
        make = Subject.native if self.chance.random.random() < 0.4 else Subject.of
        self.subject = make(self.chance.random.choice(list(INTERFACES.values())))
        on_host = make is Subject.native and self.chance.random.random() < 0.5
        self.engine = Engine(None, replayable=not on_host)
        self.program = self.engine.load(self.subject.wasm)
        self.node = _FuzzNode(str(drive) if on_host else _drive_in_memory(), memory=MEMORY_BYTES)
        self.node.programs["canary"] = self.program
        self.node.start("canary", self.program)

    def run(self, count: int) -> None:
        """Let the target run scripts; raises Found."""
        before = 0
        for number in range(count):
            self.attack()
            self.check()
            if number == count // 3:
                before = _resident_bytes()
        grown = _resident_bytes() - before
        if grown > MAX_GROWTH:
            raise Found(f"the process grew by {grown} bytes")

    def attack(self) -> None:
        """One script."""
        node = self.node
        if not node.runs("target"):
            node.start("target", self.program)
        node.tell("target", script_untrusted(self.chance, self.subject), self.chance.blob(), timeout=5)
        node.settle(POLLS)
        node.pass_time(10, POLLS)
        if node.machine.can_run or self.chance.random.random() < 0.2:
            for process in list(node.kernel.processes):
                if process != pid("canary"):
                    node.machine.handle(Kill(process), node.now)
            node.settle(POLLS)

    def check(self) -> None:
        """Whether anything but the target was harmed; raises Found."""
        node = self.node
        failed = [text for _, text in node.output if "the host failed" in text]
        if failed:
            raise Found(failed[0])
        node.output.clear()
        node.dead.clear()
        node.answers.clear()
        node.states.clear()
        body = Script(self.subject.interface).answer(b"tweet").body()
        token = node.tell("canary", body)
        node.settle(POLLS)
        if token not in node.answers:
            raise Found("the canary does not answer any more")


class _FuzzNode(Node):
    """With a drive."""

    def __init__(self, drive: str | GuestDrive, memory: int) -> None:
        self._drive = drive
        super().__init__(memory=memory)

    def _configure(self, address: Address) -> GuestConfig:
        return super()._configure(address)._replace(drive=self._drive)


def _drive_in_memory() -> GuestDrive:
    """One of a simulation, on a disk that is soon full."""
    disk = SimDisk(lambda: 0.0, DISK_BYTES)
    root, package = "node/vfs", "tests:sys"
    disk.perform(MakeFolder(Location(root, (package,))))
    return GuestDrive(disk, (root, package), lambda: 0)


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run_batch(seed: int, count: int = SCRIPTS) -> None:
    """One batch in this process; raises Found."""
    with tempfile.TemporaryDirectory() as folder:
        Batch(seed, Path(folder)).run(count)


BATCHES = Batches("tests.fuzz.boundary", "scripts", SCRIPTS, BATCH_SECONDS, run_batch)


if __name__ == "__main__":
    sys.exit(BATCHES.main())
