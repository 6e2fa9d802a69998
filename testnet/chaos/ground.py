"""What a chaos run does to a testnet beside asking its nodes: faults, the life of nodes, and files that are sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nectar_node.base.folder import is_paused
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.inboxes import PARTIAL, inbox, look_at_received, partial_files
from testnet.real.links.client import LINKS_ENDED, LinksProcess, Row
from testnet.real.nodes.processes import NodeProcesses


class ChaosGround(Protocol):
    """A testnet, on this machine or on several. All methods raise NodeError."""

    def why_no_links(self) -> str | None:
        """Return why there are no links that faults can be on; None: there are."""

    def apply(self, kind: str, parameters: dict[str, Any], seconds: float) -> int:
        """Let a fault hold for so many seconds, and return its number."""

    def remove(self, number: int) -> None:
        """End a fault; raises BadInput if it has ended."""

    def faults(self) -> list[Row]:
        """Return the faults that hold, as rows of `testnet.real.links.control`."""

    def is_paused(self, name: str) -> bool:
        """Whether the node's process is stopped."""

    def start(self, name: str) -> None:
        """Boot a node as it was booted before, unless it runs."""

    def resume(self, name: str) -> None:
        """Let a paused node go on."""

    def lend(self, name: str, file: Path) -> str:
        """Return the path under which the node's machine has a file of ours."""

    def take_back(self, name: str, path: str) -> None:
        """Remove it there."""

    def received(self, name: str, file: str) -> tuple[int, str] | None:
        """Return the size and the BLAKE2b, in hexadecimal digits, of what is in the node's inbox under that name; None:
        nothing is."""

    def drop_received(self, name: str, file: str) -> None:
        """Remove it there."""

    def partial(self, names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the files that are not whole yet, with the node that receives each."""

    def drop_partial(self, files: set[tuple[str, str]]) -> None:
        """Remove such files."""


@dataclass(frozen=True, slots=True)
class LocalGround:
    """A testnet on this machine."""

    network: LocalNetwork
    lifeline: int | None = None
    """The lifeline of nodes that are booted here (`testnet.real.lifeline`); None: they outlive this process."""

    def why_no_links(self) -> str | None:
        """See `ChaosGround`."""
        return None if LinksProcess(self.network).pid is not None else LINKS_ENDED

    def apply(self, kind: str, parameters: dict[str, Any], seconds: float) -> int:
        """See `ChaosGround`."""
        row = LinksProcess(self.network).ask("apply", kind=kind, parameters=parameters, seconds=seconds)
        return int(row["number"])

    def remove(self, number: int) -> None:
        """See `ChaosGround`."""
        LinksProcess(self.network).ask("remove", number=number)

    def faults(self) -> list[Row]:
        """See `ChaosGround`."""
        return list(LinksProcess(self.network).ask("faults")["faults"])

    def is_paused(self, name: str) -> bool:
        """See `ChaosGround`."""
        pid = self.network.place(name).owner()
        return pid is not None and is_paused(pid)

    def start(self, name: str) -> None:
        """See `ChaosGround`."""
        NodeProcesses(self.network, lifeline=self.lifeline).start(name)

    def resume(self, name: str) -> None:
        """See `ChaosGround`."""
        NodeProcesses(self.network).resume(name)

    def lend(self, name: str, file: Path) -> str:
        """See `ChaosGround`."""
        return str(file)

    def take_back(self, name: str, path: str) -> None:
        """See `ChaosGround`."""
        Path(path).unlink(missing_ok=True)

    def received(self, name: str, file: str) -> tuple[int, str] | None:
        """See `ChaosGround`."""
        return look_at_received(self.network, name, file)

    def drop_received(self, name: str, file: str) -> None:
        """See `ChaosGround`."""
        inbox(self.network, name).joinpath(file).unlink(missing_ok=True)

    def partial(self, names: Sequence[str]) -> set[tuple[str, str]]:
        """See `ChaosGround`."""
        return partial_files(self.network, names)

    def drop_partial(self, files: set[tuple[str, str]]) -> None:
        """See `ChaosGround`."""
        for name, file in files:
            inbox(self.network, name).joinpath(PARTIAL, file).unlink(missing_ok=True)
