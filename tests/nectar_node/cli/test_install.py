"""What `nectar install`, `upgrade`, `rollback`, `uninstall`, `list` and `info` promise, on a real node."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.wasm.engine import Engine
from nectar_node.launcher.client import ControlError
from nectar_node.launcher.local_network import LocalNetwork
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.published import Publisher, package
from tests.nectar_node.cli.real_node import RealNode, copy_package, real_node, zipped
from tests.net.world import identity_of

ANN, BOB = identity_of("ann.test"), identity_of("bob.test")
TRAPS = wat("(unreachable)")


@pytest.fixture
def node(tmp_path: Path, engine: Engine) -> Iterator[RealNode]:
    """The node `a.nec`, which knows the key of ann.test."""
    with real_node(tmp_path / "net", engine, known=(ANN,)) as node:
        yield node


@pytest.fixture
def ann(tmp_path: Path) -> Publisher:
    """Who publishes chess:ann.test."""
    return Publisher(ANN, "chess", tmp_path / "ann")


def listed(node: RealNode) -> list[list[str]]:
    """The first three columns of `nectar list`."""
    return [line.split("\t")[:3] for line in node.does("list").splitlines()[1:]]


def copies(node: RealNode) -> set[str]:
    """What lies in the node's folder of packages, whole or not."""
    folder = node.folder.path / "packages"
    return {each.name for each in folder.iterdir()} if folder.exists() else set()


def test_versions_that_differ_in_their_metadata_alone_are_versions(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", "box:local", "1.0.0")
    metadata = folder / "metadata.json"
    first = metadata.read_text()
    node.does("install", folder)
    metadata.write_text(first.replace("1.0.0", "1.0.1"))
    node.does("upgrade", folder)
    assert node.does("upgrade", folder).startswith("box:local 1.0.1 is on a.nec already")
    metadata.write_text(first)
    assert "is older than 1.0.1, which is installed" in node.fails("install", folder)
    assert node.does("rollback", "box").startswith("box:local is 1.0.0 again")
    assert node.does("message", "our@echo:box:local", "hi") == "hi\n"


# --- what is proven -------------------------------------------------------------------------------------------------


def test_a_folder_of_ones_own_needs_no_proof(node: RealNode, tmp_path: Path) -> None:
    out = node.does("install", package(tmp_path / "box", "box:local", "1.0.0"))
    assert out.splitlines() == ["Installed box:local 1.0.0 on a.nec.", "echo:box:local runs."]
    assert listed(node) == [["box:local", "1.0.0", "local"]]
    assert node.does("message", "our@echo:box:local", "hi") == "hi\n"


def test_a_release_that_its_publisher_has_signed_is_shown_as_signed(node: RealNode, ann: Publisher) -> None:
    node.does("install", ann.publish("1.0.0"))
    assert listed(node) == [["chess:ann.test", "1.0.0", "signed"]]


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_package_that_claims_another_nodes_name_needs_unsigned(node: RealNode, tmp_path: Path, form: str) -> None:
    folder = package(tmp_path / "chess", "chess:ann.test", "1.0.0")
    source = folder if form == "folder" else zipped(folder)
    sentence = node.fails("install", source)
    assert sentence.startswith(
        f"chess:ann.test in {source} says that ann.test has published it, and nothing proves that."
    )
    assert copies(node) == set()
    ended = node.nectar("install", source, "--unsigned")
    assert (ended.code, ended.err) == (0, "Nothing proves who has published chess:ann.test: it is unsigned.\n")
    assert listed(node) == [["chess:ann.test", "1.0.0", "unsigned"]]
    shown = node.nectar("ps")
    assert shown.err == "Unsigned, so nothing proves who has published them: chess:ann.test.\n"
    with LocalNetwork(node.network).connect("a.nec") as client:
        assert [each["standing"] for each in client.request("packages")["packages"]] == ["unsigned"]


def test_a_release_whose_files_were_altered_is_not_proven(node: RealNode, ann: Publisher, tmp_path: Path) -> None:
    source = ann.publish("1.0.0")
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("pkg/more.txt", "altered")
    assert "nothing proves that" in node.fails("install", source)


def test_a_signature_of_a_former_key_is_refused(node: RealNode, ann: Publisher) -> None:
    source = ann.publish("1.0.0", signed_by=identity_of("ann.test", "former"))
    assert node.fails("install", source) == (
        "The head of chess:ann.test is not signed by the key that ann.test has now: it is forged, or of a former key.\n"
    )


def test_a_head_that_goes_back_is_refused(node: RealNode, ann: Publisher, tmp_path: Path) -> None:
    first = ann.publish("1.0.0")
    node.does("install", ann.publish("1.1.0"))
    assert "goes back to release 1, and this node has seen release 2" in node.fails("install", first)


def test_a_version_with_other_content_under_the_same_number_is_refused(
    node: RealNode, ann: Publisher, tmp_path: Path
) -> None:
    node.does("install", ann.publish("1.0.0"))
    lies = Publisher(ANN, "chess", tmp_path / "lies")
    sentence = node.fails("install", lies.publish("1.0.0", description="another"))
    assert sentence.startswith("ann.test has signed two different releases of chess:ann.test with the number 1")


def test_an_unsigned_package_with_the_version_of_the_signed_one_is_refused(
    node: RealNode, ann: Publisher, tmp_path: Path
) -> None:
    node.does("install", ann.publish("1.0.0"))
    other = package(tmp_path / "other", "chess:ann.test", "1.0.0", description="another")
    sentence = node.fails("install", other, "--unsigned", "--replace")
    assert sentence.startswith("chess:ann.test 1.0.0 is installed already, with other content")


def test_packages_of_one_name_and_two_publishers_live_side_by_side(
    node: RealNode, ann: Publisher, tmp_path: Path
) -> None:
    node.does("install", ann.publish("1.0.0"))
    node.does("install", package(tmp_path / "bobs", "chess:bob.test", "7.0.0"), "--unsigned")
    assert [row[0] for row in listed(node)] == ["chess:ann.test", "chess:bob.test"]
    assert node.nectar("info", "chess").err == (
        "There are 2 packages chess, of several publishers: chess:ann.test, chess:bob.test.\n"
    )


# --- versions -------------------------------------------------------------------------------------------------------


def test_an_upgrade_takes_the_place_of_the_version_before(node: RealNode, ann: Publisher) -> None:
    node.does("install", ann.publish("1.0.0"))
    node.does("upgrade", ann.publish("1.1.0"))
    assert listed(node) == [["chess:ann.test", "1.1.0", "signed"]]


def test_what_is_not_installed_cannot_be_upgraded(node: RealNode, ann: Publisher) -> None:
    assert node.fails("upgrade", ann.publish("1.0.0")).startswith("chess:ann.test is not installed")


def test_an_older_version_is_no_upgrade(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", "box:local", "1.1.0")
    node.does("install", folder)
    (folder / "metadata.json").write_text(json.dumps({"package": "box", "publisher": "local", "version": "1.0.0"}))
    assert node.fails("install", folder).startswith("box:local 1.0.0 is older than 1.1.0, which is installed")


def test_three_versions_are_kept_to_go_back_to(node: RealNode, ann: Publisher) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        node.does("install", ann.publish(version))
    assert len(copies(node)) == 3
    out = node.does("rollback", "chess:ann.test")
    assert out.startswith("chess:ann.test is 1.2.0 again, and no longer 1.3.0. Its files and saved states are as")
    node.does("rollback", "chess")
    assert listed(node) == [["chess:ann.test", "1.1.0", "signed"]]
    assert len(copies(node)) == 1
    assert node.nectar("rollback", "chess").err.startswith("There is no version of chess:ann.test before the one")


def test_a_version_that_traps_at_once_leaves_nothing_behind(node: RealNode, ann: Publisher) -> None:
    node.does("install", ann.publish("1.0.0"))
    before = copies(node)
    ended = node.nectar("upgrade", ann.publish("1.1.0", TRAPS))
    assert ended.err.startswith("echo:chess:ann.test of the new chess:ann.test has failed at once (")
    assert listed(node) == [["chess:ann.test", "1.0.0", "signed"]]
    assert copies(node) == before
    assert node.does("message", "our@echo:chess:ann.test", "hi") == "hi\n"


def test_a_version_that_cannot_be_compiled_leaves_nothing_behind(node: RealNode, ann: Publisher) -> None:
    node.does("install", ann.publish("1.0.0"))
    before = copies(node)
    assert "cannot be started from" in node.fails("upgrade", ann.publish("1.1.0", b"no wasm"))
    assert (listed(node), copies(node)) == ([["chess:ann.test", "1.0.0", "signed"]], before)


def test_g23_an_upgrade_waits_for_no_process_that_computes(
    node: RealNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nectar_node.control.packages.FIRST_STEPS_SECONDS", 0.05)
    folder = package(tmp_path / "box", "box:local", "1.0.0")
    (folder / "spin.wasm").write_bytes(wat("(loop br 0)"))
    manifest = json.loads((folder / "manifest.json").read_text())
    spin = {**manifest[0], "process_name": "spin", "process_wasm_path": "/spin.wasm"}
    (folder / "manifest.json").write_text(json.dumps([*manifest, spin]))
    node.does("install", folder)
    assert "spin:box:local" in node.running()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    ended = node.nectar("upgrade", folder)
    assert (ended.code, ended.err) == (0, "Ended with the version before: spin:box:local.\n")
    assert node.running() == {"echo:box:local"}


# --- consent --------------------------------------------------------------------------------------------------------


def asking(folder: Path, *capabilities: str) -> Path:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[0]["request_capabilities"] = list(capabilities)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_package_that_asks_for_everything_gets_it_only_if_its_user_says_so(node: RealNode, tmp_path: Path) -> None:
    folder = asking(package(tmp_path / "box", "box:local", "1.0.0"), "kernel:distro:sys", "net:distro:sys")
    sentence = node.fails("install", folder)
    assert sentence.startswith("box:local is not started: it asks for kernel (kernel:distro:sys)")
    assert copies(node) == set()
    node.does("install", folder, "--grant", "all")
    assert set(node.held("echo:box:local") or ()) >= {"kernel:distro:sys", "net:distro:sys"}


def test_an_upgrade_is_asked_only_about_what_it_wants_beyond_before(node: RealNode, tmp_path: Path) -> None:
    folder = asking(package(tmp_path / "box", "box:local", "1.0.0"), "kernel:distro:sys")
    node.does("install", folder, "--grant", "all")
    (folder / "version").write_text("1.1.0")
    node.does("upgrade", folder)
    asking(folder, "kernel:distro:sys", "net:distro:sys")
    sentence = node.fails("upgrade", folder)
    assert "net:distro:sys" in sentence
    assert "kernel:distro:sys" not in sentence


# --- when something goes wrong in the middle ------------------------------------------------------------------------


@pytest.mark.parametrize("written", [0, 1, 3])
def test_a_disk_that_is_full_in_the_middle_leaves_the_version_before(
    node: RealNode, ann: Publisher, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    node.does("install", ann.publish("1.0.0"))
    source, before, left = ann.publish("1.1.0"), copies(node), iter(range(written))

    def sync(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("nectar_node.packages.contents.os.fsync", sync)
        sentence = node.fails("upgrade", source)
    assert "cannot be copied to" in sentence
    assert sentence.endswith(": No space left on device.\n")
    assert (listed(node), copies(node)) == ([["chess:ann.test", "1.0.0", "signed"]], before)
    node.does("upgrade", source)


def test_two_installations_at_once_are_done_one_after_the_other(node: RealNode, tmp_path: Path) -> None:
    folders = [package(tmp_path / f"box{number}", "box:local", f"1.{number}.0") for number in range(2)]
    network = LocalNetwork(node.network)
    with network.connect("a.nec") as one, network.connect("a.nec") as other:
        for client, folder in zip((one, other), folders, strict=True):
            client.send("install", package=str(folder), replace=True)
        outcomes = []
        for client in (one, other):
            try:
                outcomes.append(client.receive()["version"])
            except ControlError as error:
                outcomes.append(str(error))
    assert outcomes == ["1.0.0", "1.1.0"] or "is older than 1.1.0" in outcomes[0]
    assert listed(node) == [["box:local", "1.1.0", "local"]]
    assert node.does("message", "our@echo:box:local", "hi") == "hi\n"


# --- old shapes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        {"package": "old", "publisher": "local", "version": [0, 1, 0]},
        {"name": "Old", "properties": {"package_name": "old", "publisher": "local", "current_version": "0.1.0"}},
    ],
)
def test_metadata_of_the_existing_nodes_packages_says_the_version(
    node: RealNode, tmp_path: Path, metadata: dict[str, object]
) -> None:
    folder = copy_package("echo", tmp_path / "somewhere" / "pkg")
    (folder.parent / "metadata.json").write_text(json.dumps(metadata))
    node.does("install", folder.parent)
    assert listed(node) == [["old:local", "0.1.0", "local"]]


# --- uninstall ------------------------------------------------------------------------------------------------------


def test_what_is_uninstalled_is_gone_and_holds_nothing(node: RealNode, ann: Publisher) -> None:
    node.does("install", ann.publish("1.0.0"))
    assert node.does("uninstall", "chess") == "chess:ann.test is uninstalled: 1 process ended.\n"
    assert (listed(node), node.running(), copies(node)) == ([], set(), set())
    assert node.nectar("uninstall", "chess").err.startswith("No package 'chess' is installed")


def test_what_a_package_has_left_stays_unless_it_is_purged(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", "box:local", "1.0.0")
    node.does("install", folder)
    drive = node.folder.drives / "box:local" / "mine"
    drive.mkdir(parents=True)
    (drive / "file").write_text("kept")
    assert node.does("uninstall", "box").splitlines()[1] == "What it has left stays: 1 drive."
    assert (drive / "file").read_text() == "kept"
    node.does("install", folder)
    assert node.does("uninstall", "box", "--purge", "--yes").splitlines()[1] == "Removed with it: 1 drive."
    assert not drive.exists()


# --- publishing -----------------------------------------------------------------------------------------------------


def test_a_node_publishes_its_own_package_and_others_can_prove_it(
    node: RealNode, tmp_path: Path, engine: Engine
) -> None:
    folder = package(tmp_path / "go", "go:a.nec", "1.0.0")
    out = node.does("publish", folder, "--zip", tmp_path / "go.zip")
    assert out.splitlines()[0].startswith("Published go:a.nec 1.0.0, release 1: 4 files, ")
    node.does("install", tmp_path / "go.zip")
    assert listed(node) == [["go:a.nec", "1.0.0", "signed"]]


@pytest.mark.parametrize(
    ("name", "version", "sentence"),
    [
        ("go:b.nec", "1.0.0", "go:b.nec is not a package of a.nec"),
        ("go:local", "1.0.0", "go:local is not a package of a.nec"),
        ("go:a.nec", "", "go:a.nec names no version"),
        ("go:a.nec", "1.1.0", "go:a.nec 1.1.0 has been published already, with other content"),
        ("go:a.nec", "1.0.9", "go:a.nec 1.0.9 is below 1.1.0, which is published"),
    ],
)
def test_what_may_not_be_published_is_refused(
    node: RealNode, tmp_path: Path, name: str, version: str, sentence: str
) -> None:
    node.does("publish", package(tmp_path / "first", "go:a.nec", "1.1.0"))
    before = copies(node)
    other = package(tmp_path / "other", name, version, description="another")
    assert node.fails("publish", other).startswith(sentence)
    assert copies(node) == before


def test_a_package_of_nobodys_becomes_the_nodes_when_it_is_said_so_and_is_published(
    node: RealNode, tmp_path: Path
) -> None:
    folder = package(tmp_path / "go", "go:local", "1.0.0")
    assert "`nectar publish DIR --node a.nec --as-publisher` makes it go:a.nec in all its files" in node.fails(
        "publish", folder
    )
    said = node.does("publish", folder, "--as-publisher").splitlines()
    assert said[0] == "It is go:a.nec now, in metadata.json."
    assert said[1].startswith("Published go:a.nec 1.0.0, release 1: ")
    assert node.fails("publish", folder, "--as-publisher").startswith("go:a.nec 1.0.0 has been published already")


def test_a_manifest_that_is_dirty_is_not_published(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "go", "go:a.nec", "1.0.0")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[0]["publik"] = True
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "has unknown keys: 'publik'" in node.fails("publish", folder)
    del manifest[0]["publik"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "echo.wasm").unlink()
    assert "there is no such file: build the package before you publish" in node.fails("publish", folder)


def test_info_shows_who_has_published_what_is_asked_for_and_why(node: RealNode, tmp_path: Path) -> None:
    said: dict[str, Any] = {
        "description": "Go.",
        "license": "MIT",
        "changes": "Ko.",
        "reasons": {"timer:distro:sys": "to move in time"},
    }
    folder = asking(package(tmp_path / "go", "go:a.nec", "1.0.0", **said), "timer:distro:sys")
    (folder / "api").mkdir()
    (folder / "api" / "go.wit").write_text("interface go {}")
    node.does("publish", folder)
    node.does("install", folder)
    lines = node.does("info", "go").splitlines()
    for line in (
        "version       1.0.0",
        "standing      signed",
        "description   Go.",
        "interfaces    go.wit",
        "changes       Ko.",
    ):
        assert line in lines
    assert "timer:distro:sys\tto move in time" in lines
    assert "\ttimer:distro:sys\tyes" in lines


# --- zips -----------------------------------------------------------------------------------------------------------


def test_a_zip_that_escapes_or_explodes_installs_nothing(
    node: RealNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nectar_node.packages.unpacking.MAX_ZIP_BYTES", 4 << 20)
    path = tmp_path / "box.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "[]")
        archive.writestr("../outside", "escaped")
    assert "would not stay inside the package's folder" in node.fails("install", path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "[]")
        entry = zipfile.ZipInfo("bomb")
        entry.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(entry, "w") as file:
            for _ in range(5):
                file.write(bytes(1 << 20))
    assert "it unpacks to more than 4 MiB" in node.fails("install", path)
    assert copies(node) == set()
