"""A package as its user starts it: with what its scripts ask for, which they get when they are run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nectar_node.base.errors import BadPackage
from nectar_node.base.plain_files import open_plain
from nectar_node.packages.contents import with_digest
from nectar_node.packages.manifest import Package, read_package
from nectar_node.packages.scripts import MAX_SCRIPTS_BYTES, SCRIPTS_FILE, requested_untrusted


def read_startable(folder: Path, our: str) -> Package:
    """Return the package in `folder`, for the node `our`; raises BadPackage."""
    package = read_package(folder, our)
    path = package.folder / SCRIPTS_FILE.strip("/")
    try:
        with open_plain(path) as file:
            data = file.read(MAX_SCRIPTS_BYTES + 1)
    except FileNotFoundError:
        return with_digest(package)
    except OSError as error:
        raise BadPackage(f"{path} cannot be read: {error.strerror}.") from error
    return replace(with_digest(package), scripts=requested_untrusted(data, package.id, our))
