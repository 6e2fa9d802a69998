"""Packages of other publishers, as they come to a node as zips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nectar_node.packages.contents import with_digest
from nectar_node.packages.exporting import write_zip
from nectar_node.packages.manifest import read_package
from nectar_node.packages.metadata import read_metadata
from nectar_node.packages.publishing import make_release
from nectar_node.releases.document import Release
from nectar_node.releases.head import head_of, sign_head
from nectar_node.releases.proof import encode_proof
from net.names.identity import Identity
from tests.nectar_node.cli.real_node import copy_package


def package(target: Path, name: str, version: str, code: bytes | None = None, **metadata: Any) -> Path:
    """The folder of a package `name:publisher` with a process `echo` that answers."""
    package, _, publisher = name.partition(":")
    folder = copy_package("echo", target)
    said = {"package": package, "publisher": publisher, "version": version, **metadata}
    (folder / "metadata.json").write_text(json.dumps(said))
    manifest = [
        entry for entry in json.loads((folder / "manifest.json").read_text()) if entry["process_name"] == "echo"
    ]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "ping.wasm").unlink(missing_ok=True)
    (folder / "version").write_text(version)
    if code is not None:
        (folder / "echo.wasm").write_bytes(code)
    return folder


class Publisher:
    """A node that publishes one package, and gives out its releases as zips."""

    def __init__(self, identity: Identity, name: str, folder: Path) -> None:
        self.identity = identity
        self.id = f"{name}:{identity.name}"
        self.releases: list[Release] = []
        self._folder = folder

    def publish(
        self,
        version: str,
        code: bytes | None = None,
        signed_by: Identity | None = None,
        asks: tuple[str, ...] = (),
        api: str = "",
        **said: Any,
    ) -> Path:
        """The zip of the next release; `api` describes its messages, beside its files."""
        folder = self._folder / f"{version}-{len(self.releases)}"
        if api:
            (folder / "api").mkdir(parents=True)
            (folder / "api" / "api.wit").write_text(api)
            folder = folder / "pkg"
        package(folder, self.id, version, code, **said)
        if asks:
            manifest = json.loads((folder / "manifest.json").read_text())
            manifest[0]["request_capabilities"] = list(asks)
            (folder / "manifest.json").write_text(json.dumps(manifest))
        read = with_digest(read_package(folder, self.identity.name))
        before = self.releases[-1] if self.releases else None
        self.releases.append(make_release(read, read_metadata(read), before, self.identity.name, 1000))
        return self.zip(folder, len(self.releases), signed_by or self.identity)

    def folder_of(self, version: str) -> Path:
        """The folder of a version."""
        return next(each for each in self._folder.iterdir() if each.is_dir() and each.name.startswith(f"{version}-"))

    def zip(self, folder: Path, number: int, signed_by: Identity) -> Path:
        """A zip of a folder's files, with a head that leads to the release of that number."""
        documents = [each.encode() for each in self.releases[:number]]
        head = head_of(self.releases[number - 1], documents[-1], 1000)
        signed = sign_head(head, self.identity.name, signed_by.sign)
        path = folder.parent / f"{folder.name}.zip"
        path.unlink(missing_ok=True)
        proof = encode_proof(signed, reversed(documents)).hex()
        write_zip(path, folder, self.id, self.releases[number - 1].version.text, proof)
        return path
