"""What can be done to the nodes of a testnet that run as processes, known by nothing but its folder."""

from __future__ import annotations

import contextlib
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nectar_node.base.folder import is_paused
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import kept_options
from nectar_node.launcher.local_network import LocalNetwork
from testnet.model.rule import Attack, NotAtThisLevel
from testnet.real.nodes import attackers, impostors
from testnet.real.nodes.addresses import Place

_STOPS_WITHIN = 10.0
"""Seconds in which a process notices that it is paused, however busy the machine is."""
_GLANCE = 0.002


@dataclass(frozen=True, slots=True)
class NodeProcesses:
    """Those of `network`; see `Nodes`. Raises `nectar_node.base.errors.NodeError`."""

    network: LocalNetwork
    place: Callable[[str], Place] | None = None
    """Gives a place, which the links know from then on, to the host of an impostor or a hostile peer; None: there
    are no links."""
    lifeline: int | None = None
    """What those end with that are started here (`testnet.real.lifeline`); None: they outlive us."""

    def crash(self, host: str) -> bool:
        """End the node as kill -9 does, if it runs; its host lives. Whether it ran."""
        return launch.kill(self.network.place(host))

    def start(self, host: str) -> launch.StartedNode | None:
        """Boot the node again, if it does not run, with its key, its disk and its packages. With the options with which
        it was started last; None: it runs already."""
        place = self.network.place(host)
        if place.owner() is not None:
            return None
        options = replace(kept_options(place), lifeline=self.lifeline)
        return launch.start(self.network, [(host, options)])[0]

    def stop(self, host: str) -> str | None:
        """It ends in order; how: "stopped" or "killed". None: it did not run."""
        return launch.stop([self.network.place(host)]).get(host)

    def cut_power(self, host: str) -> None:
        """Cut the power of the node's machine: nobody is told, and at its next boot the disk has what was synced.
        Nobody takes away what a running system has not synced."""
        raise NotAtThisLevel(f"The power of {host} can be cut in a simulation only: here, let it crash.")

    def step_clock(self, host: str, seconds: float) -> None:
        """Let the machine's wall clock jump by `seconds` from where it is, for good. All nodes have the clock of this
        machine."""
        raise NotAtThisLevel(f"The clock of {host} is that of this machine: it can be stepped in a simulation only.")

    def fill_disk(self, host: str) -> None:
        """Let the node's disk take no more bytes. Until it boots again: its process can write to no file. The disk is
        the whole machine's."""
        self._limit_files(host, 0)

    def free_disk(self, host: str) -> None:
        """Give the node's disk its usual capacity again."""
        self._limit_files(host, None)

    def _limit_files(self, host: str, size: int | None) -> None:
        """No file that the node's process writes can be larger than `size` bytes; None: as large as it always could."""
        pid = self.network.place(host).owner()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it ends just now
                _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most if size is None else size, most))

    def impersonate(self, host: str, by: str) -> None:
        """Boot a node at the host `by` with the name and the packages of `host`, and another key. Raises NotAtThisLevel
        where nothing can lead dials astray."""
        if self.place is None:
            raise NotAtThisLevel(f"{host} can be impersonated only where its links lead through something.")
        impostors.start(self.network, host, by, self.place(by), self.lifeline)

    def dismiss(self, host: str) -> None:
        """End the node that `impersonate` has booted at `host`, for good."""
        impostors.dismiss(self.network, host)

    def attack(self, attack: Attack, by: str) -> None:
        """Start a hostile peer named `by`. With as much as goes."""
        where = self.place(by) if self.place is not None else None
        attackers.start(self.network, attack, by, where, self.lifeline)

    def call_off(self, by: str) -> None:
        """Let the hostile peer leave, with all of its connections."""
        attackers.call_off(self.network, by)

    def pause(self, host: str) -> bool:
        """Stop the node as SIGSTOP does; its host accepts connections. Whether it runs. It does nothing more when this
        returns: the signal alone takes its time."""
        place = self.network.place(host)
        runs = launch.send_signal(place, signal.SIGSTOP)
        limit = time.monotonic() + _STOPS_WITHIN
        while (pid := place.owner()) is not None and not is_paused(pid) and time.monotonic() < limit:
            time.sleep(_GLANCE)
        return runs

    def resume(self, host: str) -> bool:
        """Let a paused node go on. Whether it runs."""
        return launch.send_signal(self.network.place(host), signal.SIGCONT)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM; 0 where there is no /proc, or no such process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
