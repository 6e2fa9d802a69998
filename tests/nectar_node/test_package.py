"""Packages: a manifest is read as the existing node's, and what is none is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.address import Address, ProcessId
from kernel.capability import MESSAGING, Capability
from kernel.message import ON_EXIT_NONE, ON_EXIT_RESTART
from nectar_node.errors import BadInput
from nectar_node.package import read_package

OUR = "our.nec"
ENTRY = {
    "process_name": "main",
    "process_wasm_path": "/main.wasm",
    "on_exit": "Restart",
    "request_networking": True,
    "request_capabilities": ["vfs:distro:sys", {"process": "a:b:sys", "params": {"kind": "read"}}],
    "grant_capabilities": ["c:d:sys"],
    "public": True,
}


def write(folder: Path, manifest: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_manifest_says_what_runs_and_what_it_may_do(tmp_path: Path) -> None:
    package = read_package(write(tmp_path / "app", [ENTRY]), OUR)
    (entry,) = package.entries
    assert (str(package.id), entry.process) == ("app:sys", ProcessId("main", "app", "sys"))
    assert (entry.wasm_path, entry.on_exit, entry.networking, entry.public) == (
        "/main.wasm",
        ON_EXIT_RESTART,
        True,
        True,
    )
    assert entry.capabilities == (
        Capability(Address(OUR, ProcessId("vfs", "distro", "sys")), MESSAGING),
        Capability(Address(OUR, ProcessId("a", "b", "sys")), '{"kind": "read"}'),
    )
    assert entry.grants == (ProcessId("c", "d", "sys"),)


def test_what_a_manifest_leaves_out_is_not_granted(tmp_path: Path) -> None:
    folder = write(tmp_path / "app", [{"process_name": "main", "process_wasm_path": "/main.wasm"}])
    (entry,) = read_package(folder, OUR).entries
    assert (entry.on_exit, entry.networking, entry.public) == (ON_EXIT_NONE, False, False)
    assert (len(entry.capabilities), len(entry.grants)) == (0, 0)


def test_a_package_may_keep_its_manifest_in_pkg(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    inner = write(tmp_path / "app" / "pkg", [ENTRY])
    for folder in (tmp_path / "app", inner):
        package = read_package(folder, OUR)
        assert (str(package.id), package.folder) == ("app:sys", inner)


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        [1],
        [{}],
        [{**ENTRY, "process_name": "No Good"}],
        [{**ENTRY, "on_exit": "Explode"}],
        [{**ENTRY, "request_capabilities": "vfs:distro:sys"}],
        [{**ENTRY, "request_capabilities": [{"process": "a:b:sys"}]}],
        [{**ENTRY, "grant_capabilities": ["nobody"]}],
    ],
)
def test_what_is_no_manifest_is_one_sentence(tmp_path: Path, manifest: object) -> None:
    with pytest.raises(BadInput) as caught:
        read_package(write(tmp_path / "app", manifest), OUR)
    assert "manifest" in str(caught.value)


def test_a_folder_without_a_manifest_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no manifest\.json"):
        read_package(tmp_path, OUR)


@given(st.binary(max_size=60))
def test_whatever_lies_in_the_file_only_bad_input_escapes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("package")
    (folder / "manifest.json").write_bytes(data)
    try:
        assert read_package(folder, OUR).entries == ()
    except BadInput:
        assert True
