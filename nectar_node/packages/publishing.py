"""Makes a release of a package's folder, and says what keeps one from being published."""

from __future__ import annotations

from collections.abc import Iterator

from kernel.contract.capability import Capability
from nectar_node.interfaces.messages import read_api_untrusted
from nectar_node.packages.contents import release_files
from nectar_node.packages.manifest import Package, capability_text, requested_capabilities
from nectar_node.packages.metadata import PackageMetadata
from nectar_node.releases.document import AskedRight, Release, ReleaseMetadata, check_metadata, document_hash
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.files import ReleaseFile, is_file_path
from nectar_node.releases.head import check_publisher
from nectar_node.releases.rules import check_new
from nectar_node.releases.versions import Version

MAX_SHOWN = 256
"""Characters of a path in a sentence."""


def make_release(package: Package, said: PackageMetadata, newest: Release | None, our: str, time: int) -> Release:
    """Return the release of a package that follows `newest`, for the node `our`; `time` is in Unix seconds.

    Raises BadRelease if it may not be published, BadPackage if its files cannot be read, and BadInterface.
    """
    check_publisher(package.id, our)
    if not said.version:
        raise BadRelease(
            f'{package.id} names no version: write one of three numbers, such as "version": "1.0.0", in its '
            "metadata.json."
        )
    files = release_files(package)
    _check_manifest(package, files)
    read_api_untrusted(package.id, [each.process for each in package.processes], said.interfaces)
    metadata = ReleaseMetadata(
        said.description, said.licence, said.changes, said.interfaces, _asked(package, said.reasons, our)
    )
    check_metadata(metadata)
    number, before = (1, None) if newest is None else (newest.number + 1, document_hash(newest.encode()))
    release = Release(package.id, Version(said.version), number, before, time, metadata, files)
    check_new(release, newest)
    return release


def _check_manifest(package: Package, files: tuple[ReleaseFile, ...]) -> None:
    if package.unknown_keys:
        keys = ", ".join(map(repr, package.unknown_keys))
        raise BadRelease(f"The manifest.json of {package.id} has unknown keys: {keys}. Mend it before you publish.")
    for file in files:
        if not is_file_path(file.path):
            path = file.path.encode(errors="replace").decode()
            raise BadRelease(f"{path[:MAX_SHOWN]!r}: a release cannot have a file of that name. Rename or remove it.")
    there = {file.path for file in files}
    for entry in package.entries:
        if entry.wasm_path.strip("/") not in there:
            raise BadRelease(
                f"The manifest.json of {package.id} names {entry.wasm_path} as the code of {entry.process}, and there "
                "is no such file: build the package before you publish."
            )


def _asked(package: Package, reasons: dict[str, str], our: str) -> tuple[AskedRight, ...]:
    texts = (capability_text(each, our) for each in _requested(package, our))
    return tuple(AskedRight(text, reasons.get(text, "")) for text in dict.fromkeys(texts))


def _requested(package: Package, our: str) -> Iterator[Capability]:
    for entry in package.entries:
        yield from requested_capabilities(entry, our)
    yield from package.scripts


def check_asks(package: Package, release: Release, our: str) -> None:
    """Raise BadRelease if a package asks for what its release does not say, which is what people read before they
    fetch it.
    """
    said = {each.capability for each in release.metadata.asks}
    for each in _requested(package, our):
        text, publishers = capability_text(each, our), capability_text(each, package.id.publisher)
        if said.isdisjoint((text, publishers)):
            raise BadRelease(
                f"{package.id} {release.version} asks for {text}, which its release does not say: its publisher has "
                "erred, or deceives."
            )
