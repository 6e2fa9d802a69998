"""Actions on the nodes of a testnet that run as processes, found through its folder alone."""

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
from testnet.model.backups import RemoteTrouble
from testnet.model.rule import Attack, Nodes, NotAtThisLevel
from testnet.real.nodes import attackers, impostors
from testnet.real.nodes.addresses import NodePlace

_STOPS_WITHIN = 10.0
"""Seconds in which a process notices that it is paused, however busy the machine is."""
_GLANCE = 0.002


@dataclass(slots=True)
class NodeProcesses(Nodes):
    """Actions on the nodes of `network`. Raises `nectar_node.base.errors.NodeError`."""

    network: LocalNetwork
    place: Callable[[str], NodePlace] | None = None
    """Gives a place, which the links know from then on, to the host of an impostor or a hostile peer; None: there
    are no links."""
    lifeline: int | None = None
    """The lifeline of all that is started here (`testnet.real.lifeline`); None: it outlives us."""

    def crash(self, host: str) -> bool:
        """End the node as kill -9 does; return whether it ran."""
        return launch.kill(self.network.place(host))

    def start(self, host: str) -> launch.StartedNode | None:
        """Boot the node with the options of its last start; return None if it runs already."""
        place = self.network.place(host)
        if place.owner() is not None:
            return None
        options = replace(kept_options(place), lifeline=self.lifeline)
        return launch.start(self.network, [(host, options)])[0]

    def stop(self, host: str) -> str | None:
        """End the node in order; return "stopped" or "killed", or None if it did not run."""
        return launch.stop([self.network.place(host)]).get(host)

    def cut_power(self, host: str) -> None:
        """Raise NotAtThisLevel: what a running system has not synced cannot be taken away."""
        raise NotAtThisLevel(f"The power of {host} can be cut in a simulation only: here, let it crash.")

    def step_clock(self, host: str, seconds: float) -> None:
        """Raise NotAtThisLevel: all nodes have the clock of this machine."""
        raise NotAtThisLevel(f"The clock of {host} is that of this machine: it can be stepped in a simulation only.")

    def slow_guests(self, host: str, seconds: float) -> None:
        """Raise NotAtThisLevel: guests run in the node's own process."""
        raise NotAtThisLevel(f"The processes of {host} can be made slow in a simulation only: here, pause the node.")

    def drift_clock(self, host: str, rate: float) -> None:
        """Raise NotAtThisLevel: all nodes have the clock of this machine."""
        raise NotAtThisLevel(f"The clock of {host} is that of this machine: it can drift in a simulation only.")

    def limit_memory(self, host: str, limited: bool) -> None:
        """Raise NotAtThisLevel: the limit of a node's process is the node's as well."""
        raise NotAtThisLevel(f"The memory of {host}'s processes can be refused in a simulation only.")

    def refuse_spawns(self, host: str, refused: bool) -> None:
        """Raise NotAtThisLevel: it would have to be another node."""
        raise NotAtThisLevel(f"What processes of {host} spawn can be refused in a simulation only.")

    def trouble_remote(self, host: str, remote: str, how: RemoteTrouble) -> None:
        """Raise NotAtThisLevel: the remotes of real nodes are not the lab's."""
        raise NotAtThisLevel(f"The remotes of {host} can fail in a simulation only.")

    def mend_remote(self, host: str, remote: str, how: RemoteTrouble) -> None: ...

    def fill_disk(self, host: str) -> None:
        """Let the node's process write to no file until it boots again: the disk is the whole machine's."""
        self._limit_files(host, 0)

    def free_disk(self, host: str) -> None:
        self._limit_files(host, None)

    def break_disk(self, host: str) -> None:
        """Raise NotAtThisLevel: the disk is this machine's, and does not fail."""
        raise NotAtThisLevel(f"The disk of {host} is that of this machine: it can fail in a simulation only.")

    def mend_disk(self, host: str) -> None: ...

    def _limit_files(self, host: str, size: int | None) -> None:
        """Limit the files that the node's process writes to `size` bytes; None: lift the limit."""
        pid = self.network.place(host).owner()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most if size is None else size, most))

    def impersonate(self, host: str, by: str) -> None:
        """Boot an impostor of `host`; raises NotAtThisLevel where dials cannot be redirected."""
        if self.place is None:
            raise NotAtThisLevel(f"{host} can be impersonated only where its links lead through something.")
        impostors.start(self.network, host, by, self.place(by), self.lifeline)

    def dismiss(self, host: str) -> None:
        impostors.dismiss(self.network, host)

    def attack(self, attack: Attack, by: str) -> None:
        """Start a hostile peer named `by`, as strong as possible."""
        where = self.place(by) if self.place is not None else None
        attackers.start(self.network, attack, by, where, self.lifeline)

    def call_off(self, by: str) -> None:
        attackers.call_off(self.network, by)

    def pause(self, host: str) -> bool:
        """Stop the node, as SIGSTOP does, and return whether it runs. It has stopped when this returns, since the
        signal alone takes its time."""
        place = self.network.place(host)
        runs = launch.send_signal(place, signal.SIGSTOP)
        limit = time.monotonic() + _STOPS_WITHIN
        while (pid := place.owner()) is not None and not is_paused(pid) and time.monotonic() < limit:
            time.sleep(_GLANCE)
        return runs

    def resume(self, host: str) -> bool:
        """Let a paused node go on; return whether it runs."""
        return launch.send_signal(self.network.place(host), signal.SIGCONT)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 where there is no /proc, or no such process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
