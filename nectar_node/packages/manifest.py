"""Reads and checks packages: a folder with manifest.json and compiled processes. Starts nothing.

The shapes are the existing node's. manifest.json: an array of {process_name, process_wasm_path, on_exit,
request_networking, request_capabilities, grant_capabilities, public}. metadata.json, in the same folder or in the one
above a `pkg`: {package, publisher, …} of early 2024, or the later {properties: {package_name, publisher, …}, …}; a
package without one is named by its folder, `package` or `package:publisher`; without a publisher it is of `local`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct

from kernel.capabilities.grants import KERNEL_PROCESS
from kernel.contract import limits
from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import MESSAGING, NETWORK, Capability, canonical
from kernel.contract.errors import BadAddress
from kernel.contract.guest import Grant
from kernel.contract.message import OnExit
from nectar_node.base.decoding import BadShape, convert_untrusted, decode_untrusted
from nectar_node.base.errors import BadInput, BadPackage
from nectar_node.base.plain_files import is_there, open_plain
from nectar_node.base.shipped import default_publisher
from nectar_node.contract.json_shapes import RequestRefused, on_exit_untrusted
from nectar_node.storage.operations import Location, is_part

T = TypeVar("T")

METADATA_FILE = "metadata.json"
"""The file with a package's name, and what else it says of itself (`nectar_node.packages.metadata`)."""
MAX_MANIFEST_BYTES = 1 << 20
"""Bytes of a manifest.json or metadata.json."""
MAX_ENTRIES = 1024
"""Processes of one package."""
MAX_UNKNOWN_KEYS = 8
"""Unknown keys of a manifest that are reported."""
NETWORK_WORD = "network"
"""The word that people write for the capability to use the network (G19)."""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One process of a package, as its manifest describes it."""

    process: ProcessId
    wasm_path: str
    """Path of its code in the package's drive `pkg`, such as `/main.wasm`."""
    on_exit: OnExit
    networking: bool
    capabilities: tuple[Capability, ...]
    """Capabilities that it asks for, except the network's."""
    grants: tuple[Grant, ...]
    """Which process is to hold which capability that this one issues."""
    public: bool


@dataclass(frozen=True, slots=True)
class Package:
    """A package folder that has been read."""

    id: PackageId
    folder: Path
    """The folder that holds manifest.json; it becomes the package's drive `pkg`."""
    entries: tuple[ManifestEntry, ...]
    unknown_keys: tuple[str, ...] = ()
    """Unknown keys of the manifest's objects, at most MAX_UNKNOWN_KEYS: they mean nothing, and may be misspelt."""
    origin: Path | None = None
    """The file or folder that `folder` was made from; None: `folder` is the user's own."""
    digest: str = ""
    """The digest of its files, in hex (`nectar_node.packages.contents`)."""
    scripts: tuple[Capability, ...] = ()
    """What its scripts ask for (`nectar_node.packages.scripts`)."""
    script_rights: frozenset[Capability] | None = None
    """The powerful capabilities that its scripts may get; None: all."""
    stands_in: bool = False
    """Whether its user lets it take names of system processes that the node does not have: else no package has them."""

    @property
    def source(self) -> Path:
        """Return where it came from, as its user knows it."""
        return self.origin or self.folder

    @property
    def processes(self) -> tuple[ProcessId, ...]:
        """Return the ids of all its processes."""
        return tuple(entry.process for entry in self.entries)

    def code(self, entry: ManifestEntry) -> Location:
        """Return where the code of one of its processes lies on disk."""
        return Location(str(self.folder), tuple(entry.wasm_path.strip("/").split("/")))


class _CapabilityWords(Struct, frozen=True):
    process: str
    params: Any


_Listed = Annotated[tuple[str | _CapabilityWords, ...], Meta(max_length=limits.MAX_CAPABILITIES)]
"""Process ids, each the capability to message it, and others with their params."""


class Rights(Struct, frozen=True, kw_only=True):
    """What the manifest of a process, or a script's entry, asks for."""

    request_networking: bool = False
    request_capabilities: _Listed = ()
    grant_capabilities: _Listed = ()
    public: bool = False


class _Fields(Rights, frozen=True, kw_only=True):
    process_name: str
    process_wasm_path: str
    on_exit: Any = "None"


_Manifest = Annotated[tuple[_Fields, ...], Meta(max_length=MAX_ENTRIES)]


class _Names(Struct, frozen=True):
    package: str = ""
    package_name: str = ""
    publisher: str = ""


class _Metadata(_Names, frozen=True):
    properties: _Names | None = None


# --- reading --------------------------------------------------------------------------------------------------------


def read_package(folder: Path, our: str) -> Package:
    """Return the package in `folder`, or in its subfolder pkg, for the node `our`; raises BadPackage."""
    try:
        folder = folder.resolve()
        inner = folder / "pkg" if is_there(folder / "pkg" / "manifest.json") else folder
        if not is_there(inner / "manifest.json"):
            raise BadPackage(f"{folder} is not a package: it has no manifest.json.")
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a name that is not text
        raise BadPackage(f"{folder} cannot be read: {error}.") from error
    outer = inner.parent if inner.name == "pkg" else inner
    package = _package_id(inner, outer)
    manifest = _read(inner / "manifest.json", tuple[dict[str, Any], ...])
    entries = parse_manifest_untrusted(manifest, package, our, inner / "manifest.json")
    unknown = sorted({key for item in manifest for key in item}.difference(_Fields.__struct_fields__))
    return Package(package, inner, entries, tuple(key[: limits.MAX_NAME_BYTES] for key in unknown[:MAX_UNKNOWN_KEYS]))


def _read(path: Path, type: type[T]) -> T:
    try:
        with open_plain(path) as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
        if len(data) > MAX_MANIFEST_BYTES:
            raise BadPackage(f"{path} is larger than {MAX_MANIFEST_BYTES >> 20} MiB.")
        return decode_untrusted(data, type)
    except OSError as error:
        raise BadPackage(f"{path} cannot be read: {error.strerror}.") from error
    except BadShape as error:
        raise BadPackage(f"{path} cannot be used: {error}.") from error


def _package_id(inner: Path, outer: Path) -> PackageId:
    """Return the id in metadata.json, else in the folder's name."""
    name, colon, publisher = outer.name.partition(":")
    source, default = outer, default_publisher(inner)
    for path in (inner / METADATA_FILE, outer / METADATA_FILE):
        if is_there(path):
            metadata = _read(path, _Metadata)
            said = metadata.properties or metadata
            name, publisher = said.package_name or said.package or name, said.publisher or publisher or default
            colon, source = ":", path
            break
    try:
        return PackageId.parse(f"{name}:{publisher if colon else default}")
    except BadAddress as error:
        where = "that path" if source is outer else str(source)
        raise BadPackage(
            f"{outer} does not name a package: {error}; rename the folder to `package:publisher`, or mend {where}."
        ) from error


def metadata_fields(folders: Iterable[Path]) -> dict[str, Any]:
    """Return the JSON object in the metadata.json of the first of these folders that has one; none: an empty object.
    Raises BadPackage.
    """
    for folder in folders:
        if is_there(folder / METADATA_FILE):
            return _read(folder / METADATA_FILE, dict[str, Any])
    return {}


# --- manifest.json --------------------------------------------------------------------------------------------------


def parse_manifest_untrusted(value: object, package: PackageId, our: str, path: Path) -> tuple[ManifestEntry, ...]:
    """Return the processes in the JSON of a manifest; raises BadPackage, naming the file `path` and what is wrong in
    it.
    """
    try:
        entries = tuple(_entry(each, package, our) for each in convert_untrusted(value, _Manifest))
        if len({entry.process for entry in entries}) < len(entries):
            raise ValueError("it names one process twice")
    except (BadAddress, ValueError, RecursionError) as error:
        raise BadPackage(f"{path} is not a manifest: {error!s}.") from error
    return entries


def _entry(fields: _Fields, package: PackageId, our: str) -> ManifestEntry:
    process, path = ProcessId.parse(f"{fields.process_name}:{package}"), _wasm_path(fields.process_wasm_path, package)
    return make_entry(process, path, _on_exit(fields.on_exit, our), fields, our)


def make_entry(process: ProcessId, wasm_path: str, on_exit: OnExit, rights: Rights, our: str) -> ManifestEntry:
    """Return the entry of a process with these rights; raises BadAddress, ValueError and RecursionError."""
    wanted = (Capability(Address(our, issuer), params) for issuer, params in map(_said, rights.request_capabilities))
    grants = tuple(Grant(*_said(each)) for each in rights.grant_capabilities)
    return ManifestEntry(
        process, wasm_path, on_exit, rights.request_networking, tuple(map(canonical, wanted)), grants, rights.public
    )


def _said(listed: str | _CapabilityWords) -> tuple[ProcessId, str]:
    if isinstance(listed, str):
        return ProcessId.parse(listed), MESSAGING
    return ProcessId.parse(listed.process), json.dumps(listed.params)


def _wasm_path(path: str, package: PackageId) -> str:
    """Return `/main.wasm`, for that or for `/package:publisher/pkg/main.wasm`, each with or without its first slash."""
    parts = f"/{path.lstrip('/')}".removeprefix(f"/{package}/pkg/").strip("/").split("/")
    if not all(is_part(part) for part in parts):
        raise ValueError(f"process_wasm_path {path[:256]!r} is not a path below the package's folder")
    return "/" + "/".join(parts)


def _on_exit(value: object, our: str) -> OnExit:
    try:
        return on_exit_untrusted(value, our)
    except RequestRefused:
        raise ValueError(
            'on_exit must be "None", "Restart" or {"Requests": [[address, {"body": …}, blob or null], …]}'
        ) from None


# --- capabilities, as people write them -----------------------------------------------------------------------------


def parse_capability(text: str, our: str) -> Capability:
    """Return the capability in `text`; raises BadInput.

    The forms are `network`, `process:package:publisher` (to message it) and `process:package:publisher PARAMS` with
    PARAMS as JSON.
    """
    if text == NETWORK_WORD:
        return Capability(Address(our, KERNEL_PROCESS), NETWORK)
    issuer, _, params = text.partition(" ")
    try:
        return canonical(Capability(Address(our, ProcessId.parse(issuer)), params.strip() or MESSAGING))
    except (BadAddress, ValueError, RecursionError) as error:
        raise BadInput(
            f"{text!r} is not a capability: expected `network`, `process:package:publisher` to message that process, "
            'or \'process:package:publisher {"some": "JSON"}\'.'
        ) from error


def capability_text(capability: Capability, our: str) -> str:
    """Return the text that `parse_capability` reads; the issuer's node is shown if it is another."""
    if capability == (Address(our, KERNEL_PROCESS), NETWORK):
        return NETWORK_WORD
    issuer = str(capability.issuer.process if capability.issuer.node == our else capability.issuer)
    return issuer if capability.params == MESSAGING else f"{issuer} {capability.params}"


def requested_capabilities(entry: ManifestEntry, our: str) -> tuple[Capability, ...]:
    """Return all that a process asks for, the network included, in the manifest's order."""
    network = Capability(Address(our, KERNEL_PROCESS), NETWORK)
    every = (network, *entry.capabilities) if entry.networking else entry.capabilities
    return tuple(dict.fromkeys(every))


def withhold(package: Package, denied: Iterable[Capability], our: str) -> Package:
    """Return the package as if it did not ask for `denied`; raises BadInput if nothing in it asks for one of them."""
    withheld = set(denied)
    requested = {capability for entry in package.entries for capability in requested_capabilities(entry, our)}
    for capability in sorted(withheld - requested):
        known = ", ".join(sorted(capability_text(each, our) for each in requested)) or "nothing"
        raise BadInput(
            f"No process of {package.id} asks for {capability_text(capability, our)!r}: it asks for {known}."
        )
    return replace(package, entries=tuple(_without(entry, withheld, our) for entry in package.entries))


def _without(entry: ManifestEntry, withheld: set[Capability], our: str) -> ManifestEntry:
    network = Capability(Address(our, KERNEL_PROCESS), NETWORK)
    kept = tuple(each for each in entry.capabilities if each not in withheld)
    return replace(entry, networking=entry.networking and network not in withheld, capabilities=kept)
