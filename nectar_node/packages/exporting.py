"""Writes a release as a zip, with what proves it, for whoever is to get it by another way than from a node."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

from kernel.contract.address import PackageId
from nectar_node.base.errors import BadPackage
from nectar_node.packages.manifest import METADATA_FILE
from nectar_node.releases.files import PROOF_FILE

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of all entries, so that the same release is the same zip."""


def write_zip(path: Path, folder: Path, package: str, version: str, proof: str) -> None:
    """Write the release whose files lie in `folder` to the zip `path`, which is not there yet; `proof` is what proves
    it, in hexadecimal digits. Raises BadPackage.

    Its files are below `pkg/`, so that they stay what was published, whatever lies beside them.
    """
    id = PackageId.parse(package)
    metadata = {"package": id.package, "publisher": id.publisher, "version": version}
    made = path.with_name(f".{path.name}.new")
    try:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_entry(METADATA_FILE), json.dumps(metadata, indent=2) + "\n")
            archive.writestr(_entry(PROOF_FILE), bytes.fromhex(proof))
            for place, folders, names in os.walk(folder):
                folders.sort()
                for name in sorted(names):
                    file = Path(place, name)
                    with (
                        file.open("rb") as source,
                        archive.open(_entry(f"pkg/{file.relative_to(folder).as_posix()}"), "w") as target,
                    ):
                        while data := source.read(1 << 20):
                            target.write(data)
        made.rename(path)
    except OSError as error:
        raise BadPackage(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        made.unlink(missing_ok=True)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
