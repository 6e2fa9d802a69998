"""The networks that a test may run in: what the plugin needs of each, beyond the Lab that the test sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from kernel.contract.errors import BadModule
from nectar_node.base.errors import BadPackage
from nectar_node.packages.manifest import read_package
from testnet.journal.journal import time_of
from testnet.model.invariants import Violation, Watch
from testnet.model.lab import Lab, Level
from testnet.model.packages import check_built
from testnet.real.nodes import namespaces
from testnet.real.socket_lab import SocketLab, open_socket_lab
from testnet.real.trace_check import TraceCheck, check_traces
from testnet.runs.play import judge_histories
from testnet.sim.programs import Programs
from testnet.sim.run import finish
from testnet.sim.simulation import Simulation

ANY_NODE = "any.nec"
"""To read a package that is on no node yet."""


class Moment(NamedTuple):
    """A moment of a run."""

    now: float
    """The time of the `Lab`."""
    events: int
    """The length of the journal by then."""


class LabRun(Protocol):
    """A network, from its beginning to its end."""

    lab: Lab
    """The lab of the run."""

    def check_package(self, folder: Path) -> None:
        """Raise NodeError if its processes cannot run there, as far as that is known beforehand."""

    def finish(self) -> None:
        """Raise Violation if an invariant has been broken, or does not hold at the end; the test has passed."""

    def found(self) -> Violation | None:
        """Return the violation so far, as far as it is known."""

    def outstanding(self) -> list[str]:
        """Return the requests that have not ended yet, for people."""

    def moment(self) -> Moment:
        """Return the present moment."""

    def journal(self, until: Moment | None = None) -> Sequence[str]:
        """Return a line for each event so far, or until then."""


class SimRun(LabRun):
    """A run in virtual time, with the invariants watched in every step of every message."""

    def __init__(self, seed: int, programs: Programs) -> None:
        self.lab = Simulation(seed, programs, watches=True)
        self._watch = Watch()
        self.lab.watch(self._watch)
        self._programs = programs

    def close(self) -> None:
        """End all nodes."""
        self.lab.close()

    def check_package(self, folder: Path) -> None:
        check_built(folder)
        package = read_package(folder, ANY_NODE)
        for entry in package.entries:
            file = package.folder / entry.wasm_path.strip("/")
            try:
                self._programs.load(file.read_bytes())
            except OSError as error:
                raise BadPackage(f"{file}, the code of {entry.process}, cannot be read: {error.strerror}.") from error
            except BadModule as error:
                raise BadPackage(f"{file} is not a process that can run here: {error}.") from error

    def finish(self) -> None:
        if self._watch.found is not None:
            raise self._watch.found
        judge_histories(self.lab)
        finish(self.lab, self._watch)

    def found(self) -> Violation | None:
        return self._watch.found

    def outstanding(self) -> list[str]:
        return self._watch.outstanding()

    def moment(self) -> Moment:
        return Moment(self.lab.now, self.lab.recording.events)

    def journal(self, until: Moment | None = None) -> Sequence[str]:
        return self.lab.journal[: None if until is None else until.events]


class RealRun(LabRun):
    """A run on real nodes of this machine, in real time."""

    def __init__(self, lab: SocketLab) -> None:
        self.lab = lab
        self._known = (-1, TraceCheck())
        """The number of bytes of traces at the last check, and its result."""

    def check_package(self, folder: Path) -> None:
        """Raise NodeError if the package is invalid; nodes say at their boot whether its code can run."""
        read_package(folder, ANY_NODE)

    def finish(self) -> None:
        """Raise Violation if an invariant has been broken; unfinished requests are not counted, since the nodes run
        on."""
        check = self._check_traces()
        if check.watch.found is not None:
            raise check.watch.found
        if check.problem:
            raise Violation(check.problem)  # nobody can say that all holds
        judge_histories(self.lab)

    def found(self) -> Violation | None:
        return self._check_traces().watch.found

    def outstanding(self) -> list[str]:
        return self._check_traces().watch.outstanding()

    def moment(self) -> Moment:
        return Moment(self.lab.now, len(self.lab.journal))

    def journal(self, until: Moment | None = None) -> Sequence[str]:
        done = self.lab.journal[: None if until is None else until.events]
        seen = self._check_traces().journal
        if until is not None:
            seen = [line for line in seen if time_of(line) <= until.now]
        return sorted((*done, *seen), key=time_of)

    def _check_traces(self) -> TraceCheck:
        size = self.lab.traces.catch_up()
        if size != self._known[0]:
            self._known = size, check_traces(self.lab.traces, self.lab.running)
        return self._known[1]


@contextmanager
def open_run(level: Level, seed: int, folder: Path, programs: Programs) -> Iterator[LabRun]:
    """Yield a network at this level, in which nothing runs yet."""
    if level is Level.SIMULATION:
        with closing(SimRun(seed, programs)) as run:
            yield run
        return
    with open_socket_lab(folder, seed, level) as lab:
        yield RealRun(lab)


def unavailable(level: Level) -> str | None:
    """Return in one sentence why there is no such network on this machine, or None."""
    return namespaces.unavailable() if level is Level.NAMESPACES else None
