"""What comes with the node: the packages in its own folder, and no others, and the SDK for processes.

A package names its publisher itself, and anybody can write `sys` there. So the place of its folder decides.
"""

from __future__ import annotations

from pathlib import Path

import nectar_node


def find_data(package: Path, installed: str, in_clone: str) -> Path:
    """Return a folder of data: `installed` in the folder of `package`, where a wheel has it, or else, in a clone,
    `in_clone` beside it."""
    inside = package / installed
    return inside if inside.is_dir() else package.parent / in_clone


_HERE = Path(nectar_node.__file__).resolve().parent
SHIPPED_FOLDER = find_data(_HERE, "shipped_packages", "packages")
"""A folder for each package; pyproject.toml says what a wheel has of them."""
SDK_FOLDER = find_data(_HERE, "sdk", "sdk")
"""What processes are written with: `zig/`, and in it `wit/`, the interface that all languages share."""
WEB_FOLDER = _HERE / "web"
"""The files of the node's own page; some are also for other pages of ours."""
OUR_PUBLISHER = "sys"
"""The publisher of the packages that come with the node, and of the system processes."""
LOCAL_PUBLISHER = "local"
"""The publisher of any other package that names none."""


def is_shipped(folder: Path) -> bool:
    """Whether the package in this folder, with all links resolved, came with the node."""
    return SHIPPED_FOLDER in folder.parents


def find_shipped(name: str) -> Path | None:
    """Return the folder of the package of that name that comes with the node; None: there is none."""
    found = SHIPPED_FOLDER / name
    is_one = Path(name).parts == (name,) and (found / "pkg" / "manifest.json").is_file()
    return found if is_one else None


def shipped() -> list[str]:
    """Return the names of the packages that come with the node."""
    return sorted(each.name for each in SHIPPED_FOLDER.iterdir() if find_shipped(each.name))


def default_publisher(folder: Path) -> str:
    """Return the publisher of the package in this folder, with all links resolved, if it names none."""
    return OUR_PUBLISHER if is_shipped(folder) else LOCAL_PUBLISHER


def page_files() -> dict[str, bytes]:
    """Return the files of the node's own page by path, such as `vendor/htm.js`."""
    files = sorted(path for path in WEB_FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(WEB_FOLDER).as_posix(): path.read_bytes() for path in files}
