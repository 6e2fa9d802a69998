"""The testnet of a chaos run whose nodes are on other machines."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nectar_node.base.errors import BadInput
from testnet.chaos.nodes import RunningTestnet, check_count, check_packages
from testnet.hosts.far import check_quiet, far_ground, far_network
from testnet.hosts.kept import KeptHosts
from testnet.hosts.network import asked


@contextmanager
def running_on_hosts(kept: KeptHosts, folder: Path, tell: Callable[[str], None]) -> Iterator[RunningTestnet]:
    """Yield the testnet on those machines, which runs and stays up; raises NodeError."""
    with (
        asked(kept) as hosts,
        far_network(hosts, folder) as network,
        far_ground(hosts, network) as ground,
        tempfile.TemporaryDirectory(prefix="nectar-chaos-") as scratch,
    ):
        nodes = check_quiet(network, ground)
        check_count(nodes, network)
        if held := ground.faults():
            words = "; ".join(str(row["words"]) for row in held)
            mend = network.command("testnet fault remove", "all")
            raise BadInput(f"There are faults already ({words}): `{mend}` ends them.")
        check_packages(network, nodes)
        tell(f"Using the running testnet on {len(hosts.names)} machines, which stays up.")
        yield RunningTestnet(network, nodes, scratch=Path(scratch), far=ground)
