"""Actions on the nodes of a testnet over several machines, as one of the machines carries them out."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.backups import RemoteTrouble
from testnet.model.rule import Attack, Nodes, NotAtThisLevel


@dataclass(frozen=True, slots=True)
class NodesHere(Nodes):
    """Does to the nodes that are `here` what `nodes` does, and nothing to the others: their own machines do."""

    nodes: Nodes
    here: frozenset[str]

    def crash(self, host: str) -> object:
        return self.nodes.crash(host) if host in self.here else None

    def start(self, host: str) -> object:
        return self.nodes.start(host) if host in self.here else None

    def pause(self, host: str) -> object:
        return self.nodes.pause(host) if host in self.here else None

    def resume(self, host: str) -> object:
        return self.nodes.resume(host) if host in self.here else None

    def cut_power(self, host: str) -> object:
        return self.nodes.cut_power(host)

    def step_clock(self, host: str, seconds: float) -> object:
        return self.nodes.step_clock(host, seconds)

    def fill_disk(self, host: str) -> object:
        return self.nodes.fill_disk(host) if host in self.here else None

    def free_disk(self, host: str) -> object:
        return self.nodes.free_disk(host) if host in self.here else None

    def break_disk(self, host: str) -> object:
        return self.nodes.break_disk(host) if host in self.here else None

    def mend_disk(self, host: str) -> object:
        return self.nodes.mend_disk(host) if host in self.here else None

    def slow_guests(self, host: str, seconds: float) -> object:
        return self.nodes.slow_guests(host, seconds)

    def drift_clock(self, host: str, rate: float) -> object:
        return self.nodes.drift_clock(host, rate)

    def limit_memory(self, host: str, limited: bool) -> object:
        return self.nodes.limit_memory(host, limited)

    def refuse_spawns(self, host: str, refused: bool) -> object:
        return self.nodes.refuse_spawns(host, refused)

    def trouble_remote(self, host: str, remote: str, how: RemoteTrouble) -> object:
        return self.nodes.trouble_remote(host, remote, how)

    def mend_remote(self, host: str, remote: str, how: RemoteTrouble) -> object:
        return self.nodes.mend_remote(host, remote, how)

    def impersonate(self, host: str, by: str) -> object:
        """Raise NotAtThisLevel: the impostor would need a place on every machine."""
        raise NotAtThisLevel(
            f"{host} cannot be impersonated in a testnet over several machines: take one on this machine."
        )

    def dismiss(self, host: str) -> object:
        return None

    def attack(self, attack: Attack, by: str) -> object:
        """Raise NotAtThisLevel: the hostile peer would need a place on every machine."""
        raise NotAtThisLevel("Hostile peers are for testnets on one machine.")

    def call_off(self, by: str) -> object:
        return None
