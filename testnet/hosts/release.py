"""Which release of the project runs: the same code has the same text, wherever and however it is installed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import testnet

_PACKAGES = ("kernel", "net", "nectar_node", "testnet")
_DATA = ("nectar_node/sdk/", "nectar_node/shipped_packages/")
"""What a wheel has there beside the code, and a clone elsewhere: Python of the guests' side."""


def running_release() -> str:
    """Return a hash of the project's Python code, as 16 hexadecimal digits."""
    return release_in(Path(testnet.__file__).resolve().parent.parent)


def release_in(root: Path) -> str:
    """Return the hash of the code in a folder: a clone, or what a wheel has been installed into."""
    digest = hashlib.blake2s(digest_size=8)
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = str(path.relative_to(root))
            if not name.startswith(_DATA):
                data = path.read_bytes()
                digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()
