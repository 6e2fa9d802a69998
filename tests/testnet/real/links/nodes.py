"""Nodes that only note what is done to them."""

from __future__ import annotations

from testnet.model.backups import RemoteTrouble
from testnet.model.rule import Attack


class NotedNodes:
    """See `testnet.model.rule.Nodes`."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.refuses: Exception | None = None

    def crash(self, host: str) -> None:
        self._note(f"crash {host}")

    def start(self, host: str) -> None:
        self._note(f"start {host}")

    def pause(self, host: str) -> None:
        self._note(f"pause {host}")

    def resume(self, host: str) -> None:
        self._note(f"resume {host}")

    def cut_power(self, host: str) -> None:
        self._note(f"cut the power of {host}")

    def step_clock(self, host: str, seconds: float) -> None:
        self._note(f"step the clock of {host} by {seconds:g}")

    def fill_disk(self, host: str) -> None:
        self._note(f"fill the disk of {host}")

    def free_disk(self, host: str) -> None:
        self._note(f"free the disk of {host}")

    def break_disk(self, host: str) -> None:
        self._note(f"break the disk of {host}")

    def mend_disk(self, host: str) -> None:
        self._note(f"mend the disk of {host}")

    def slow_guests(self, host: str, seconds: float) -> None:
        self._note(f"slow the processes of {host} down by {seconds:g}")

    def drift_clock(self, host: str, rate: float) -> None:
        self._note(f"let the clock of {host} run at {rate:g}")

    def limit_memory(self, host: str, limited: bool) -> None:
        self._note(f"limit the memory of {host}: {limited}")

    def refuse_spawns(self, host: str, refused: bool) -> None:
        self._note(f"refuse the spawns of {host}: {refused}")

    def trouble_remote(self, host: str, remote: str, how: RemoteTrouble) -> None:
        self._note(f"trouble the remote {remote} of {host}: {how}")

    def mend_remote(self, host: str, remote: str, how: RemoteTrouble) -> None:
        self._note(f"mend the remote {remote} of {host}: {how}")

    def impersonate(self, host: str, by: str) -> None:
        self._note(f"impersonate {host} by {by}")

    def dismiss(self, host: str) -> None:
        self._note(f"dismiss {host}")

    def attack(self, attack: Attack, by: str) -> None:
        self._note(f"attack {attack.node} by {by}")

    def call_off(self, by: str) -> None:
        self._note(f"call off {by}")

    def _note(self, text: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.noted.append(text)
