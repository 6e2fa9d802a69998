"""The modules that pages take from others are those that `vendored.json` names, byte for byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import nectar_node

FOLDER = Path(nectar_node.__file__).parent / "web" / "vendor"
PACKAGES = json.loads((FOLDER / "vendored.json").read_text())


def test_each_vendored_file_has_the_hash_that_is_written_down() -> None:
    """Nobody has edited a vendored file by hand, and none is there that the list does not know."""
    expected = {target: file["sha256"] for package in PACKAGES.values() for target, file in package["files"].items()}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.iterdir()
        if path.name != "vendored.json"
    }
    assert found == expected


def test_each_vendored_package_has_its_version_its_archives_hash_and_its_licence() -> None:
    """Whoever updates or audits them finds all of it in one place."""
    for name, package in PACKAGES.items():
        assert package["version"][0].isdigit()
        assert len(package["archive_sha256"]) == 64
        assert f"{name}.LICENSE" in package["files"]
