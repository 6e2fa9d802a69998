"""Releases that are to be had from other nodes."""

from __future__ import annotations

from kernel.contract.address import PackageId
from nectar_node.control.clients import Client
from nectar_node.core.core import NodeCore
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.shelf import HeldRelease
from nectar_node.releases.versions import Version


async def fetch_release(core: NodeCore, package: PackageId, version: Version | None, client: Client) -> HeldRelease:
    """Return a release whose files are here: that of a version, or the newest. `client` is told how far it has come.

    Raises NodeError if it cannot be had.
    """
    del client
    for held in core.shelf.of(package):
        if held.folder is not None and version in (None, held.version):
            return held
    wanted = f"{package} {version}" if version is not None else str(package)
    raise BadRelease(f"{core.our} does not have {wanted}, nor a node that serves it.")
