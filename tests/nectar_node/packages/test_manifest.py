"""Packages: a manifest is read as the existing node's, and what is none is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.capability import MESSAGING, Capability
from kernel.contract.guest import Grant
from kernel.contract.message import (
    ON_EXIT_NONE,
    ON_EXIT_RESTART,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Request,
)
from nectar_node.base.errors import BadInput, BadPackage
from nectar_node.packages.manifest import (
    capability_text,
    parse_capability,
    parse_manifest_untrusted,
    read_package,
    requested_capabilities,
    withhold,
)
from nectar_node.storage.operations import Location

OUR = "our.nec"
ENTRY = {
    "process_name": "main",
    "process_wasm_path": "/main.wasm",
    "on_exit": "Restart",
    "request_networking": True,
    "request_capabilities": ["vfs:distro:sys", {"process": "a:b:sys", "params": {"kind": "read"}}],
    "grant_capabilities": ["c:d:sys", {"process": "e:f:sys", "params": "root"}],
    "public": True,
}
PACKAGE = PackageId("app", "local")
VFS = Capability(Address(OUR, ProcessId("vfs", "distro", "sys")), MESSAGING)
READ = Capability(Address(OUR, ProcessId("a", "b", "sys")), '{"kind":"read"}')


def write(folder: Path, manifest: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_manifest_says_what_runs_and_what_it_may_do(tmp_path: Path) -> None:
    package = read_package(write(tmp_path / "app", [ENTRY]), OUR)
    (entry,) = package.entries
    assert (str(package.id), entry.process) == ("app:local", ProcessId("main", "app", "local"))
    assert (entry.wasm_path, entry.on_exit, entry.networking, entry.public) == (
        "/main.wasm",
        ON_EXIT_RESTART,
        True,
        True,
    )
    assert entry.capabilities == (VFS, READ)
    assert entry.grants == (Grant(ProcessId("c", "d", "sys"), MESSAGING), Grant(ProcessId("e", "f", "sys"), '"root"'))
    assert package.code(entry) == Location(str(tmp_path / "app"), ("main.wasm",))


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
        assert (str(package.id), package.folder) == ("app:local", inner)


@pytest.mark.parametrize(
    ("folder", "metadata", "package"),
    [
        ("app", None, "app:local"),
        ("app:some-user.nec", None, "app:some-user.nec"),
        ("any", {"package": "chat", "publisher": "template.nec", "version": [0, 1, 0]}, "chat:template.nec"),
        ("any", {"name": "Chat", "properties": {"package_name": "chat", "publisher": "t.os"}}, "chat:t.os"),
        ("app", {"description": "says nothing of names"}, "app:local"),
    ],
)
def test_a_package_is_named_by_its_metadata_or_else_by_its_folder(
    tmp_path: Path, folder: str, metadata: object, package: str
) -> None:
    root = tmp_path / folder
    root.mkdir()
    inner = write(root / "pkg", [ENTRY])
    if metadata is None:
        assert str(read_package(root, OUR).id) == package
        return
    for place in (root, inner):
        (place / "metadata.json").write_text(json.dumps(metadata))
        assert str(read_package(root, OUR).id) == package
        (place / "metadata.json").unlink()


@pytest.mark.parametrize("metadata", ["[]", "{", '{"package": 7}', '{"package": "No Name", "publisher": "x"}', "1e999"])
def test_what_is_no_metadata_is_one_sentence_that_names_the_file(tmp_path: Path, metadata: str) -> None:
    folder = write(tmp_path / "app", [ENTRY])
    (folder / "metadata.json").write_text(metadata)
    with pytest.raises(BadPackage, match=r"metadata\.json"):
        read_package(folder, OUR)


def test_a_folder_that_is_no_package_is_one_sentence(tmp_path: Path) -> None:
    folder = write(tmp_path / "app", [])
    (folder / "manifest.json").write_text("[" + " " * (1 << 20) + "]")
    with pytest.raises(BadPackage, match="larger than 1 MiB"):
        read_package(folder, OUR)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(BadPackage):
        read_package(tmp_path / "loop", OUR)
    with pytest.raises(BadPackage, match=r"no manifest\.json"):
        read_package(tmp_path, OUR)
    with pytest.raises(BadPackage, match="rename the folder"):
        read_package(write(tmp_path / "My App", [ENTRY]), OUR)


@pytest.mark.parametrize("path", ["main.wasm", "/main.wasm", "/app:local/pkg/main.wasm", "app:local/pkg/main.wasm"])
def test_a_processs_code_is_named_within_the_package_or_by_its_whole_path(tmp_path: Path, path: str) -> None:
    package = read_package(write(tmp_path / "app", [{**ENTRY, "process_wasm_path": path}]), OUR)
    assert package.code(package.entries[0]).parts == ("main.wasm",)


def test_g22_on_exit_requests_are_read_in_the_existing_nodes_json(tmp_path: Path) -> None:
    request = {"inherit": False, "expects_response": None, "body": [104, 105], "metadata": None, "capabilities": []}
    blob = {"mime": "text/plain", "bytes": [1, 2]}
    on_exit = {"Requests": [["our@a:b:sys", request, None], ["other.nec@a:b:sys", {"body": "text"}, blob]]}
    (entry,) = read_package(write(tmp_path / "app", [{**ENTRY, "on_exit": on_exit}]), OUR).entries
    other, carried = Address.parse("other.nec@a:b:sys"), LazyLoadBlob("text/plain", b"\1\2")
    assert entry.on_exit == OnExit(
        OnExitAction.REQUESTS,
        (
            OnExitRequest(Address(OUR, other.process), Request(False, None, b"hi"), None),
            OnExitRequest(other, Request(False, None, b"text"), carried),
        ),
    )


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
        [{**ENTRY, "grant_capabilities": [7]}],
        [{**ENTRY, "process_wasm_path": "../../secret"}],
        [{**ENTRY, "process_wasm_path": ""}],
        [{**ENTRY, "process_wasm_path": "/\ud800.wasm"}],
        [{**ENTRY, "public": "yes"}],
        [{**ENTRY, "on_exit": {"Requests": [["nobody", {"body": ""}, None]]}}],
        [{**ENTRY, "on_exit": {"Requests": [["our@a:b:sys", {"body": [256]}, None]]}}],
        [{**ENTRY, "on_exit": {"Requests": [["our@a:b:sys", {"body": "", "metadata": 7}, None]]}}],
        [ENTRY, ENTRY],
        [ENTRY] * 1025,
    ],
)
def test_what_is_no_manifest_is_one_sentence(tmp_path: Path, manifest: object) -> None:
    with pytest.raises(BadPackage) as caught:
        read_package(write(tmp_path / "app", manifest), OUR)
    assert "manifest" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ("network", Capability(Address(OUR, ProcessId("kernel", "distro", "sys")), '"network"')),
        ("vfs:distro:sys", VFS),
        ('a:b:sys {"kind":"read"}', READ),
    ],
)
def test_g17_a_capability_reads_as_it_is_written(text: str, capability: Capability) -> None:
    assert parse_capability(text, OUR) == capability
    assert capability_text(capability, OUR) == text


@pytest.mark.parametrize("text", ["", "vfs", "vfs:distro:sys {", "vfs:distro:sys NaN extra", "our@vfs:distro:sys"])
def test_what_is_no_capability_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="is not a capability"):
        parse_capability(text, OUR)


@pytest.mark.parametrize("denied", ["network", "vfs:distro:sys", 'a:b:sys {"kind": "read"}'])
def test_what_is_withheld_is_not_asked_for_any_more(tmp_path: Path, denied: str) -> None:
    package = read_package(write(tmp_path / "app", [ENTRY]), OUR)
    refused = parse_capability(denied, OUR)
    before = requested_capabilities(package.entries[0], OUR)
    after = requested_capabilities(withhold(package, [refused], OUR).entries[0], OUR)
    assert after == tuple(each for each in before if each != refused)
    assert len(after) == len(before) - 1


def test_the_network_is_withheld_however_the_manifest_asks_for_it_and_nothing_that_nobody_asks_for(
    tmp_path: Path,
) -> None:
    entry = {**ENTRY, "request_capabilities": [{"process": "kernel:distro:sys", "params": "network"}]}
    package = read_package(write(tmp_path / "app", [entry]), OUR)
    assert requested_capabilities(withhold(package, [parse_capability("network", OUR)], OUR).entries[0], OUR) == ()
    package = read_package(write(tmp_path / "app", [ENTRY]), OUR)
    with pytest.raises(BadInput, match=r"asks for 'timer:distro:sys': it asks for .*network, vfs:distro:sys"):
        withhold(package, [parse_capability("timer:distro:sys", OUR)], OUR)


# --- fuzzed ---------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("a:b:sys"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
REQUESTS = st.fixed_dictionaries({"Requests": st.lists(st.tuples(JSON, JSON, JSON).map(list) | JSON, max_size=3)})
ENTRIES = st.fixed_dictionaries({}, optional={key: JSON | st.just(value) for key, value in ENTRY.items()})
MANIFESTS = st.lists(ENTRIES | ENTRIES.map(lambda entry: {**ENTRY, **entry}), max_size=3) | JSON


@given(MANIFESTS | st.builds(lambda value: [{**ENTRY, "on_exit": value}], REQUESTS))
def test_whatever_json_a_manifest_holds_only_bad_package_escapes(manifest: object) -> None:
    try:
        entries = parse_manifest_untrusted(manifest, PACKAGE, OUR, Path("manifest.json"))
    except BadPackage:
        return
    assert isinstance(manifest, list)
    assert len(entries) == len(manifest)


@given(
    st.sampled_from(["manifest.json", "metadata.json"]),
    st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_whatever_lies_in_the_files_only_bad_package_escapes(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    folder = write(tmp_path_factory.mktemp("package") / "app", [])
    (folder / name).write_bytes(data)
    try:
        package = read_package(folder, OUR)
    except BadPackage:
        return
    assert package.entries == ()
