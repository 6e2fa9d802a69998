"""What the user may name to start: folders, zips and single files, good and hostile."""

from __future__ import annotations

import contextlib
import io
import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.base.errors import BadInput, BadPackage
from nectar_node.packages import unpacking
from nectar_node.packages.manifest import read_package
from nectar_node.packages.unpacking import Prepared, SingleFile

MANIFEST = json.dumps([{"process_name": "main", "process_wasm_path": "/main.wasm"}])
CODE = b"\0asm\1\0\0\0"


def zipped(path: Path, files: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def node(tmp_path: Path) -> Path:
    folder = tmp_path / "node"
    folder.mkdir()
    return folder


def left_in(node: Path) -> list[Path]:
    packages = node / "packages"
    return list(packages.iterdir()) if packages.exists() else []


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("prefix", ["", "pkg/"])
def test_a_zip_is_the_package_of_its_name(tmp_path: Path, node: Path, prefix: str, compression: int) -> None:
    files: dict[str, str | bytes] = {
        f"{prefix}manifest.json": MANIFEST,
        f"{prefix}main.wasm": CODE,
        f"{prefix}ui/": b"",
        f"{prefix}ui/a": b"x",
    }
    prepared = unpacking.prepare(zipped(tmp_path / "app:some.nec.zip", files, compression), node)
    package = read_package(prepared.folder, "our.nec")
    assert str(package.id) == "app:some.nec"
    assert (package.folder / "main.wasm").read_bytes() == CODE
    assert (package.folder / "ui" / "a").read_bytes() == b"x"


def test_a_zips_metadata_names_its_package_and_its_content_its_folder(tmp_path: Path, node: Path) -> None:
    metadata = json.dumps({"properties": {"package_name": "chat", "publisher": "some.nec"}})
    files = {"metadata.json": metadata, "pkg/manifest.json": MANIFEST}
    prepared = unpacking.prepare(zipped(tmp_path / "My Download (1).zip", files), node)
    assert str(read_package(prepared.folder, "our.nec").id) == "chat:some.nec"
    path = tmp_path / "app.zip"
    first = unpacking.prepare(zipped(path, {"manifest.json": MANIFEST}), node)
    again = unpacking.prepare(path, node)
    changed = unpacking.prepare(zipped(path, {"manifest.json": MANIFEST, "more": "x"}), node)
    assert first.copy is not None
    assert again == Prepared(first.folder, None)
    assert changed.folder != first.folder


def test_what_is_replaced_is_taken_away_but_never_a_folder_of_the_users_own(tmp_path: Path, node: Path) -> None:
    first = unpacking.prepare(zipped(tmp_path / "app.zip", {"manifest.json": MANIFEST}), node)
    second = unpacking.prepare(zipped(tmp_path / "app.zip", {"manifest.json": MANIFEST, "more": "x"}), node)
    unpacking.discard_replaced(second.folder, second, node)
    assert second.folder.exists()
    unpacking.discard_replaced(first.folder, second, node)
    unpacking.discard_replaced(tmp_path, second, node)
    assert left_in(node) == [second.copy]
    assert (tmp_path / "app.zip").exists()


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "./a", "a\\..\\b", "a/" + "x" * 300, "C:\\evil"]
)
def test_no_entry_of_a_zip_lands_outside_the_packages_folder(tmp_path: Path, node: Path, name: str) -> None:
    path = zipped(tmp_path / "app.zip", {"manifest.json": MANIFEST, name: b"x"})
    with pytest.raises(BadPackage, match="would not stay inside"):
        unpacking.prepare(path, node)
    assert left_in(node) == []


def test_a_link_in_a_zip_is_refused(tmp_path: Path, node: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadPackage, match="is a link"):
        unpacking.prepare(tmp_path / "app.zip", node)


def test_a_zip_that_claims_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_ZIP_BYTES", 1 << 20)
    with pytest.raises(BadPackage, match="unpacks to more than 1 MiB"):
        unpacking.prepare(zipped(tmp_path / "app.zip", {"manifest.json": MANIFEST, "zeros": bytes(1 << 21)}), node)
    assert left_in(node) == []
    monkeypatch.setattr(unpacking, "MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(BadPackage, match="lists too many files"):
        unpacking.prepare(zipped(tmp_path / "app.zip", {f"file{number}": "" for number in range(50)}), node)


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_unpacks(
    tmp_path: Path, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "app.zip", {"manifest.json": MANIFEST, "zeros": bytes(1 << 21)})
    monkeypatch.setattr(unpacking, "MAX_ZIP_BYTES", 1 << 20)
    data = path.read_bytes()
    path.write_bytes(data.replace((1 << 21).to_bytes(4, "little"), (1 << 10).to_bytes(4, "little")))
    with pytest.raises(BadPackage):
        unpacking.prepare(path, node)
    assert left_in(node) == []


def test_two_entries_of_one_name_and_unknown_compressions_are_refused(tmp_path: Path, node: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", "2")
    with pytest.raises(BadPackage, match="twice"):
        unpacking.prepare(tmp_path / "twice.zip", node)
    with pytest.raises(BadPackage, match="neither stored nor deflated"):
        unpacking.prepare(zipped(tmp_path / "lzma.zip", {"a": "1"}, zipfile.ZIP_LZMA), node)


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"PK\3\4" + bytes(100), b"PK\5\6" + bytes(18)])
def test_what_is_hardly_a_zip_is_one_sentence(tmp_path: Path, node: Path, data: bytes) -> None:
    (tmp_path / "app.zip").write_bytes(data)
    with contextlib.suppress(BadPackage):
        prepared = unpacking.prepare(tmp_path / "app.zip", node)
        assert list(prepared.folder.iterdir()) == []


def whole_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", MANIFEST)
        archive.writestr("pkg/main.wasm", CODE * 50)
    return buffer.getvalue()


ZIP = whole_zip()
DAMAGES = st.lists(st.tuples(st.integers(0, len(ZIP) - 1), st.integers(0, 255)), min_size=1, max_size=4)


@given(DAMAGES, st.integers(0, 8))
def test_however_a_zip_is_damaged_only_bad_package_escapes_and_nothing_half_done_is_left(
    tmp_path_factory: pytest.TempPathFactory, damages: list[tuple[int, int]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(ZIP)
    for at, value in damages:
        data[at] = value
    (folder / "app.zip").write_bytes(data[: len(data) - cut])
    try:
        prepared = unpacking.unpack_untrusted(folder / "app.zip", folder)
    except BadPackage:
        assert left_in(folder) == []
    else:
        assert left_in(folder) == [prepared.copy]


# --- single files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name", "process"),
    [
        ("echo.wasm", None, "echo:echo:local"),
        ("My Échö App!.wasm", None, "my-ch-app:my-ch-app:local"),
        ("echo.component.wasm", None, "echo.component:echo.component:local"),
        ("???.wasm", None, "process:process:local"),
        ("echo.wasm", "other", "other:other:local"),
        ("echo.wasm", "a:b:some.nec", "a:b:some.nec"),
    ],
)
def test_a_single_files_process_is_named_by_the_user_or_the_file(file: str, name: str | None, process: str) -> None:
    assert str(unpacking.name_for(Path(file), name)) == process


@pytest.mark.parametrize("name", ["", "Not Good", "a:b", "a:b:c:d"])
def test_a_name_that_is_none_is_bad_input(name: str) -> None:
    with pytest.raises(BadInput, match="--name takes"):
        unpacking.name_for(Path("x.wasm"), name)


def test_a_single_file_becomes_a_package_that_asks_for_what_the_user_says(tmp_path: Path, node: Path) -> None:
    (tmp_path / "x.wasm").write_bytes(CODE)
    how = SingleFile(unpacking.name_for(tmp_path / "x.wasm", None), True, True, ("vfs:distro:sys",), "restart")
    prepared = unpacking.wrap(tmp_path / "x.wasm", how, node)
    package = read_package(prepared.folder, "our.nec")
    (entry,) = package.entries
    assert (str(entry.process), entry.public, entry.networking, entry.on_exit.action.name) == (
        "x:x:local",
        True,
        True,
        "RESTART",
    )
    assert [str(each.issuer) for each in entry.capabilities] == ["our.nec@vfs:distro:sys"]
    assert (package.folder / "x.wasm").read_bytes() == CODE


@pytest.mark.parametrize(
    ("name", "data", "single"), [("a.wasm", b"text", True), ("a", CODE, True), ("a.zip", b"", False), ("a", ZIP, False)]
)
def test_files_are_told_apart_by_what_they_are_or_at_least_are_called(
    tmp_path: Path, name: str, data: bytes, single: bool
) -> None:
    (tmp_path / name).write_bytes(data)
    assert unpacking.is_single_file(tmp_path / name) is single


def test_what_is_neither_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadPackage, match="is not a package: expected"):
        unpacking.is_single_file(tmp_path / "notes.txt")
    with pytest.raises(BadInput, match="does not exist"):
        unpacking.is_single_file(tmp_path / "nothing")
    with pytest.raises(BadPackage, match="holds no manifest"):
        unpacking.prepare(tmp_path, tmp_path)
