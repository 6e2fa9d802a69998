"""What all threads of a run share."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from nectar_node.launcher.local_network import LocalNetwork
from testnet.chaos.ground import ChaosGround, LocalGround
from testnet.chaos.report import ChaosReport
from testnet.real.traces import TracePipes

_GLANCE = 0.02


@dataclass(slots=True)
class ChaosContext:
    """A testnet under chaos."""

    network: LocalNetwork
    nodes: tuple[str, ...]
    seed: int
    scratch: Path
    """A folder for files to send."""
    report: ChaosReport
    lifeline: int | None = None
    """The lifeline of nodes that are booted here (`testnet.real.lifeline`); None: they outlive this process."""
    traces: TracePipes | None = None
    """The traces of its nodes; None: they write none."""
    far: ChaosGround | None = None
    """The machines of its nodes; None: they are on this one."""
    finishing: threading.Event = field(default_factory=threading.Event)
    """Set when nothing new is to begin."""
    hurried: threading.Event = field(default_factory=threading.Event)
    """Set when the user does not want to wait for what takes long."""
    gone: bool = False
    """Whether the testnet, or the process of its links, was stopped from outside."""
    abandoned: bool = False
    """The user does not even want to wait for outcomes."""
    ends_within: float = 60.0
    """Seconds in which a process is gone whose connections have ended, however busy the machine is."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards the counts of the report."""
    _began: float = field(default_factory=time.monotonic)
    _patience_ends: float = float("inf")

    @property
    def ground(self) -> ChaosGround:
        """Return what is done to the testnet beside asking its nodes."""
        return LocalGround(self.network, self.lifeline) if self.far is None else self.far

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def be_patient(self, seconds: float) -> None:
        """Wait so long from now on for what is under way."""
        self._patience_ends = self.now + seconds

    def has_no_patience(self) -> bool:
        """Whether that is over."""
        return self.abandoned or self.gone or self.now > self._patience_ends

    def others(self, name: str) -> list[str]:
        """Return all nodes but that one."""
        return [node for node in self.nodes if node != name]

    def runs(self, name: str) -> bool:
        """Whether the node is there and not paused."""
        return self.network.place(name).owner() is not None and not self.ground.is_paused(name)

    def has_ended(self, name: str, pid: int | None) -> bool:
        """Return whether that process of the node, which has hung up, has ended: a node that lives owes an answer."""
        limit = time.monotonic() + self.ends_within
        while (owner := self.network.place(name).owner()) == pid and time.monotonic() < limit:
            time.sleep(_GLANCE)
        if owner == pid:
            with self.lock:
                self.report.problems.append(f"{name} hung up though it runs")
        return owner != pid
