"""Packages: a folder with manifest.json and compiled processes. Reads and checks them; starts nothing.

The manifest's shape is the existing node's: an array of {process_name, process_wasm_path, on_exit, request_networking,
request_capabilities, grant_capabilities, public}.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kernel.address import Address, PackageId, ProcessId
from kernel.capability import MESSAGING, Capability
from kernel.errors import BadAddress
from kernel.message import ON_EXIT_NONE, ON_EXIT_RESTART, OnExit
from nectar_node.errors import BadInput

MAX_MANIFEST_BYTES = 1 << 20
DEFAULT_PUBLISHER = "sys"
"""Of a package without metadata.json."""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One process of a package, as its manifest asks for it."""

    process: ProcessId
    wasm_path: str
    on_exit: OnExit
    networking: bool
    capabilities: tuple[Capability, ...]
    """Asked for."""
    grants: tuple[ProcessId, ...]
    """Who may message it."""
    public: bool


@dataclass(frozen=True, slots=True)
class Package:
    """A package folder that has been read."""

    id: PackageId
    folder: Path
    """Holds manifest.json; becomes the package's drive `pkg`."""
    entries: tuple[ManifestEntry, ...]


def read_package(folder: Path, our: str) -> Package:
    """The package in `folder`, or in its subfolder pkg; raises BadInput."""
    inner = folder / "pkg" if (folder / "pkg" / "manifest.json").is_file() else folder
    path = inner / "manifest.json"
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BadInput(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes.")
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{folder} is no package: it has no manifest.json.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error
    name = folder.parent.name if folder.name == "pkg" else folder.name
    try:
        package = PackageId.parse(f"{name}:{DEFAULT_PUBLISHER}")
        if not isinstance(value, list):
            raise TypeError("it must be an array with one object for each process")
        entries = tuple(_entry(item, package, our) for item in value)
    except KeyError as error:
        raise BadInput(f"{path} is no manifest: {error.args[0]} is missing.") from error
    except (BadAddress, TypeError, AttributeError, ValueError) as error:
        raise BadInput(f"{path} is no manifest: {error!s}.") from error
    return Package(package, inner.resolve(), entries)


def _entry(item: dict[str, object], package: PackageId, our: str) -> ManifestEntry:
    process = ProcessId.parse(f"{item['process_name']}:{package}")
    return ManifestEntry(
        process,
        _text(item["process_wasm_path"]),
        _on_exit(item.get("on_exit", "None")),
        item.get("request_networking", False) is True,
        tuple(_capability(wanted, our) for wanted in _list(item, "request_capabilities")),
        tuple(ProcessId.parse(str(holder)) for holder in _list(item, "grant_capabilities")),
        item.get("public", False) is True,
    )


def _text(value: object) -> str:
    text = str(value)
    text.encode()  # raises a ValueError: an escaped lone surrogate is no file's name
    return text


def _list(item: dict[str, object], key: str) -> list[object]:
    value = item.get(key, [])
    if not isinstance(value, list):
        raise TypeError(f"{key} must be an array")
    return value


def _on_exit(value: object) -> OnExit:
    match value:
        case "None":
            return ON_EXIT_NONE
        case "Restart":
            return ON_EXIT_RESTART
        case _:
            raise ValueError('on_exit must be "None" or "Restart"')


def _capability(wanted: object, our: str) -> Capability:
    """A process id (to message it), or {"process": id, "params": any JSON}."""
    if isinstance(wanted, dict):
        issuer = ProcessId.parse(str(wanted["process"]))
        return Capability(Address(our, issuer), json.dumps(wanted["params"]))
    return Capability(Address(our, ProcessId.parse(str(wanted))), MESSAGING)
