"""Reads what a package says of itself in metadata.json, beside its name, and its interfaces.

The shapes are the existing node's: {"version": [0, 1, 0], …} of early 2024, {"properties": {"current_version": "0.1.0",
"license": …}, "description": …} of later, and ours, which has all of it on top: version, description, license, changes,
and reasons: {capability: why it is asked for}. What is not of the expected kind counts as absent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nectar_node.packages.interfaces import read_interface_files
from nectar_node.packages.manifest import Package, metadata_fields
from nectar_node.releases.document import ApiFile
from nectar_node.releases.errors import BadRelease
from nectar_node.releases.versions import Version


class PackageMetadata(NamedTuple):
    """What a package says of itself."""

    version: str
    """By semver; empty: it does not say."""
    description: str
    licence: str
    changes: str
    reasons: dict[str, str]
    """Why it asks for what, by the capability as people write it."""
    interfaces: tuple[ApiFile, ...]


def read_metadata(package: Package) -> PackageMetadata:
    """Return what a package says of itself; raises BadPackage."""
    inner = package.folder
    folders = (inner, inner.parent) if inner.name == "pkg" else (inner,)
    fields = metadata_fields(folders)
    below = fields.get("properties")
    properties = below if isinstance(below, dict) else {}
    reasons = fields.get("reasons")
    return PackageMetadata(
        _version(fields.get("version") or properties.get("current_version")),
        _text(fields.get("description")),
        _text(fields.get("license") or fields.get("licence") or properties.get("license")),
        _text(fields.get("changes")),
        {key: why for key, why in reasons.items() if isinstance(why, str)} if isinstance(reasons, dict) else {},
        read_interface_files(inner),
    )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _version(value: Any) -> str:
    text = ".".join(map(str, value)) if isinstance(value, list) else _text(value)
    try:
        return Version(text).text
    except BadRelease:
        return ""
