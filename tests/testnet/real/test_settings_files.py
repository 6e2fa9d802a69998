"""The JSON files of a network, of a node and of its links: their versions, and a disk that does not take them."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nectar_node.base.errors import CannotStart, NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import GENESIS_FILE, REGISTRAR_NAME, GenesisFile
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import BootOptions, keep_options, kept_options
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links import process
from testnet.real.links.claim import allot, links_folder, read
from testnet.real.local import LocalTestnet
from testnet.real.nodes.addresses import Allocation, LoopbackNetwork

GENESIS = GenesisFile("registrar.nec", b"k" * 32, "127.0.0.1", 4000)
Use = Callable[[Path], object]


def _keep(folder: Path) -> None:
    keep_options(NodeFolder(folder), BootOptions(port=7000))


def _allot(folder: Path) -> None:
    links_folder(folder).path.mkdir(exist_ok=True)
    allot(folder, Allocation(LoopbackNetwork("127.1.2")), "a.nec")


FILES: dict[str, tuple[str, Use, Use]] = {
    "boot.json": ("boot.json", _keep, lambda folder: kept_options(NodeFolder(folder))),
    "testnet.json": ("testnet.json", GENESIS.save, GenesisFile.load),
    "places.json": ("links/places.json", _allot, read),
}
"""Where each is, and what writes and reads it."""


@pytest.mark.parametrize("file", FILES)
def test_a_settings_file_says_its_version_and_one_of_before_versions_is_read(tmp_path: Path, file: str) -> None:
    place, write, load = FILES[file]
    write(tmp_path)
    value = json.loads((tmp_path / place).read_text())
    before = load(tmp_path)
    assert value.pop("version") == 1
    (tmp_path / place).write_text(json.dumps(value))
    assert load(tmp_path) == before


@pytest.mark.parametrize("file", FILES)
def test_a_settings_file_of_a_newer_version_is_refused_by_its_number(tmp_path: Path, file: str) -> None:
    place, write, load = FILES[file]
    write(tmp_path)
    value = {"of a shape": "that we do not know", "version": 7}
    (tmp_path / place).write_text(json.dumps(value))
    expected = rf"^{tmp_path / place} cannot be used: it is of version 7, and this release knows versions up to 1\."
    with pytest.raises(NodeError, match=expected):
        load(tmp_path)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("version", [0, -1, "1", 1.5, True, None, []])
def test_a_settings_file_with_a_version_that_is_none_is_damaged(tmp_path: Path, file: str, version: object) -> None:
    place, write, load = FILES[file]
    write(tmp_path)
    value = json.loads((tmp_path / place).read_text())
    (tmp_path / place).write_text(json.dumps(value | {"version": version}))
    with pytest.raises(NodeError, match=rf"^{tmp_path / place} is damaged .*version must be a whole number"):
        load(tmp_path)


def test_a_registrar_does_not_write_over_the_genesis_file_of_a_newer_version(tmp_path: Path) -> None:
    text = json.dumps({"version": 7})
    (tmp_path / GENESIS_FILE).write_text(text)
    with pytest.raises(CannotStart, match="it is of version 7"):
        LocalTestnet(tmp_path).start()
    assert (tmp_path / GENESIS_FILE).read_text() == text


@contextmanager
def no_room() -> Iterator[None]:
    """Let the operating system refuse each byte that this process writes to a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _start(folder: Path) -> None:
    launch.start(LocalNetwork(folder), [(REGISTRAR_NAME, BootOptions(packages=()))])


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (_start, "{0}/nodes/registrar.nec/lock cannot be used: File too large."),
        (_allot, "The place of a.nec cannot be written to {0}/links/places.json: File too large."),
        (lambda folder: process.run(folder, process.Descriptors(None, None)), "{0}/links/lock cannot be used: "),
    ],
    ids=["a node's lock", "places.json", "the links' lock"],
)
def test_a_disk_that_takes_no_byte_is_one_sentence_with_the_files_name(tmp_path: Path, use: Use, sentence: str) -> None:
    with no_room(), pytest.raises(NodeError) as caught:
        use(tmp_path)
    assert str(caught.value).startswith(sentence.format(tmp_path))
