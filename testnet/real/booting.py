"""What `testnet up` adds to the options of nodes: a place for browsers, and packages beside those that they ran."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nectar_node.base.consent import Consent
from nectar_node.contract.config import LOOPBACK, REGISTRAR_NAME
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.launcher.node_config import booted_packages


def with_http(name: str, booted: BootOptions) -> BootOptions:
    """Return the options of a node that browsers reach: where they did before, or at a free port."""
    return booted if name == REGISTRAR_NAME or booted.http is not None else replace(booted, http=(LOOPBACK, 0))


def with_packages(
    network: LocalNetwork, name: str, booted: BootOptions, folders: tuple[Path, ...], said: Consent
) -> BootOptions:
    """Return the options of a node that runs these packages beside those that it ran before; the registrar runs none.
    Raises NodeError for powers that nobody has granted.
    """
    from nectar_node.cli.starting.boot import with_consent  # which takes longer to load than all else here

    if name == REGISTRAR_NAME:
        return booted
    packages = tuple(dict.fromkeys((*booted_packages(name, booted), *folders)))
    return with_consent(network.place(name), replace(booted, packages=packages), said)
