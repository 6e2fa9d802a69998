"""What may lie in a package's folder in the place of a file: it is told at once, and nothing hangs or is installed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from nectar_node.authoring.build import build
from nectar_node.base.errors import BadPackage
from tests.nectar_node.cli.published import package
from tests.nectar_node.cli.real_node import RealNode, real_node
from tests.nectar_node.cli.test_install import copies


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[RealNode]:
    """The node `a.nec`, on which none of these tests leaves anything."""
    with real_node(tmp_path_factory.mktemp("net"), engine) as node:
        yield node


def device(path: Path) -> None:
    """A link to a file without an end."""
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


INSTEAD = pytest.mark.parametrize("instead", [os.mkfifo, device, loop])
FILES = ("manifest.json", "metadata.json", "scripts.json", "echo.wasm", ".release", "more")


@INSTEAD
@pytest.mark.parametrize("file", FILES)
def test_a_pipe_a_device_or_a_loop_in_the_place_of_a_file_is_named_and_nothing_is_installed(
    node: RealNode, tmp_path: Path, file: str, instead: Callable[[Path], None]
) -> None:
    folder = package(tmp_path / "chess", "chess:ann.test", "1.0.0")
    (folder / file).unlink(missing_ok=True)
    instead(folder / file)
    for words in (("install", folder, "--unsigned"), ("start", folder)):
        assert str(folder / file) in node.fails(*words)
    assert copies(node) == set()


@INSTEAD
@pytest.mark.parametrize("file", FILES)
def test_no_such_package_is_published(
    node: RealNode, tmp_path: Path, file: str, instead: Callable[[Path], None]
) -> None:
    folder = package(tmp_path / "chess", "chess:a.nec", "1.0.0")
    (folder / file).unlink(missing_ok=True)
    instead(folder / file)
    assert str(folder / file) in node.fails("publish", folder)
    assert copies(node) == set()


@INSTEAD
@pytest.mark.parametrize("file", ["pkg/manifest.json", "metadata.json", "src/echo.zig", "src/more.bin"])
def test_no_such_package_is_built(tmp_path: Path, file: str, instead: Callable[[Path], None]) -> None:
    folder = tmp_path / "box"
    (folder / "pkg").mkdir(parents=True)
    (folder / "src").mkdir()
    (folder / "metadata.json").write_text(json.dumps({"package": "box", "publisher": "local"}))
    (folder / "pkg/manifest.json").write_text(json.dumps([{"process_name": "echo", "process_wasm_path": "/echo.wasm"}]))
    (folder / "src/echo.zig").write_text("")
    (folder / file).unlink(missing_ok=True)
    instead(folder / file)
    with pytest.raises((BadPackage, OSError)) as raised:
        build(folder)
    assert str(folder / file) in str(raised.value)
