"""Names of nodes, packages, processes, and the address that joins them (G1).

Owns parsing, formatting and validation. The types themselves are plain tuples: building one from a guest's strings
costs a fraction of a microsecond and checks nothing; code that acts on an untrusted name calls `parse` or `validate`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from kernel.contract.errors import BadAddress

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NODE = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_PUBLISHER = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAME = re.compile(r"[a-z0-9_.-]{1,63}")

MAX_NODE_LENGTH = 253
"""Characters in a node id, as in a DNS name."""

OUR_NODE = "our"
"""The node in an address that stands for this node."""


class PackageId(NamedTuple):
    """A package and its publisher: `package:publisher`."""

    package: str
    publisher: str

    def __str__(self) -> str:
        return f"{self.package}:{self.publisher}"

    @staticmethod
    def parse(text: str) -> PackageId:
        """Return the package id in `text`. Raises BadAddress."""
        parts = text.split(":")
        if len(parts) != 2:
            raise BadAddress(f"{text!r} is not a package id: expected package:publisher")
        package = PackageId(*parts)
        _check_name(package.package, "package name", text)
        _check_publisher(package.publisher, text)
        return package


SYSTEM = PackageId("distro", "sys")
"""The package of the system processes. No process makes one of a guest's there; only the node's user does (G21)."""


class ProcessId(NamedTuple):
    """A process within its package: `process:package:publisher`."""

    process: str
    package: str
    publisher: str

    def __str__(self) -> str:
        return f"{self.process}:{self.package}:{self.publisher}"

    @property
    def package_id(self) -> PackageId:
        """The package that this process belongs to."""
        return PackageId(self.package, self.publisher)

    @staticmethod
    def parse(text: str) -> ProcessId:
        """Return the process id in `text`. Raises BadAddress."""
        parts = text.split(":")
        if len(parts) != 3:
            raise BadAddress(f"{text!r} is not a process id: expected process:package:publisher")
        process = ProcessId(*parts)
        _check_process(process, text)
        return process


class Address(NamedTuple):
    """Where a process runs: `node@process:package:publisher`."""

    node: str
    process: ProcessId

    def __str__(self) -> str:
        return f"{self.node}@{self.process}"

    @staticmethod
    def parse(text: str) -> Address:
        """Return the address in `text`, whose node is `our` or a node id. Raises BadAddress."""
        node, at, process = text.partition("@")
        if not at:
            raise BadAddress(f"{text!r} is not an address: expected node@process:package:publisher")
        if node != OUR_NODE:
            check_node(node, text)
        return Address(node, ProcessId.parse(process))

    def validate(self) -> Address:
        """Return this address if every part of it follows G1. Raises BadAddress."""
        _validate(self)
        return self


@lru_cache(4096)
def _validate(address: Address) -> None:
    text = str(address)
    if address.node != OUR_NODE:
        check_node(address.node, text)
    _check_process(address.process, text)


def check_node(node: str, within: str | None = None) -> str:
    """Return `node` if it is a node id. Raises BadAddress, quoting the text `within` which it stood."""
    if len(node) > MAX_NODE_LENGTH or not _NODE.fullmatch(node):
        raise BadAddress(
            f"{within or node!r}: node {node!r} is not a node id: expected labels of a-z, 0-9 and '-' joined by dots, "
            "such as some-user.nec"
        )
    return node


def _check_process(process: ProcessId, within: str) -> None:
    _check_name(process.process, "process name", within)
    _check_name(process.package, "package name", within)
    _check_publisher(process.publisher, within)


def _check_name(name: str, part: str, within: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadAddress(f"{within!r}: {part} {name!r} must be 1 to 63 of a-z, 0-9, '-', '_' and '.'")


def _check_publisher(publisher: str, within: str) -> None:
    if len(publisher) > MAX_NODE_LENGTH or not _PUBLISHER.fullmatch(publisher):
        raise BadAddress(f"{within!r}: publisher {publisher!r} must be labels of a-z, 0-9 and '-' joined by dots")
