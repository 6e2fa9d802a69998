"""Makes a node's configuration from the arguments of the command line."""

from __future__ import annotations

from pathlib import Path

from kernel.contract.address import PackageId
from kernel.contract.errors import BadAddress
from nectar_node.base.errors import BadInput
from nectar_node.base.shipped import SHIPPED_FOLDER
from nectar_node.contract.config import (
    DEFAULT_KEEP,
    DEFAULT_SPAN_SHARE,
    REGISTRAR_NAME,
    GenesisFile,
    HttpPlace,
    NodeConfig,
    RecordPlace,
    SpanPlace,
    StaticFile,
)
from nectar_node.launcher.boot_options import BootOptions, encode_options
from nectar_node.launcher.local_network import LocalNetwork

SHIPPED = ("echo", "file_transfer", "hello", "terminal")
"""The packages that every node runs; the others are examples, for users to install."""
WITH_PAGES = ("homepage",)
"""Those that a node runs which serves browsers."""


def make_config(
    network: LocalNetwork,
    name: str,
    options: BootOptions,
    ready_descriptor: int | None = None,
    lifeline: int | None = None,
) -> NodeConfig:
    """Return a node's configuration; raises CannotJoin if there is no testnet.

    The descriptors are those of `NodeConfig`, and of the process that becomes the node.
    """
    return NodeConfig(
        name=name,
        folder=network.place(name),
        genesis=None if name == REGISTRAR_NAME or options.directory else GenesisFile.load(network.folder),
        network_folder=network.folder,
        host=options.host,
        port=options.port,
        advertise=options.advertise,
        routers=options.routers,
        reservations=options.reservations,
        packages=booted_packages(name, options),
        consent=options.consent,
        ready_descriptor=ready_descriptor,
        lifeline=lifeline,
        password=options.password,
        memory_bytes=options.memory_bytes,
        cipher=options.cipher,
        trace=options.trace,
        record=None if options.record is None else RecordPlace(options.record, options.keep or DEFAULT_KEEP),
        metrics=options.metrics,
        spans=_spans(options),
        rescue=options.rescue,
        take_over=options.take_over,
        quotas=options.quotas,
        releases_quota=options.releases_quota,
        http=_http(options),
        http_client_private=tuple(map(_package_id, options.http_client_private)),
        invitation=options.invitation,
        by_invitation=name == REGISTRAR_NAME and options.invite_only is True,
        static=StaticFile(*options.directory) if options.directory is not None else None,
        boot_file=encode_options(options),
    )


def _package_id(text: str) -> PackageId:
    try:
        return PackageId.parse(text)
    except BadAddress as error:
        raise BadInput(f"http-client-private cannot be used: {error}.") from error


def _spans(options: BootOptions) -> SpanPlace | None:
    if options.otlp is None:
        return None
    return SpanPlace(options.otlp, DEFAULT_SPAN_SHARE if options.otlp_sample is None else options.otlp_sample)


def _http(options: BootOptions) -> HttpPlace | None:
    if options.http is None:
        return None
    tls = None if options.tls is None else (str(options.tls[0]), str(options.tls[1]))
    return HttpPlace(*options.http, tls, options.http_name, options.rpc_open)


def booted_packages(name: str, options: BootOptions) -> tuple[Path, ...]:
    """Return the folders of the packages that a node starts at every boot."""
    if options.packages is None:
        return () if name == REGISTRAR_NAME else shipped_packages(with_pages=options.http is not None)
    return options.packages


def shipped_packages(*, with_pages: bool = False) -> tuple[Path, ...]:
    """Return the packages that come with the node, which every node but the registrar runs unless told otherwise; with
    those of a node that serves browsers.
    """
    names = (*SHIPPED, *WITH_PAGES) if with_pages else SHIPPED
    return tuple(SHIPPED_FOLDER / name / "pkg" for name in names)
