"""What a package, its publisher or whoever passes it on may try: one sentence, and nothing half installed."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernel.contract.address import PackageId
from kernel.wasm.engine import Engine
from nectar_node.launcher.boot_options import DEFAULT_OPTIONS, encode_options
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.releases.document import AskedRight, Release
from tests.conformance.lab import PROBE
from tests.conformance.steps import GET_STATE, SPIN, TRAP, respond, script, set_state, spawn, wait_for
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.published import Publisher, package
from tests.nectar_node.cli.real_node import RealNode, real_node, zipped
from tests.nectar_node.cli.test_install import asking, copies, listed
from tests.net.world import identity_of

ANN = identity_of("ann.test")
CHESS = PackageId("chess", "ann.test")
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


# --- what lies in a folder ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["install", "publish"])
def test_a_link_that_leads_out_of_a_package_takes_nothing_along(node: RealNode, tmp_path: Path, command: str) -> None:
    (tmp_path / "key").write_text("secret")
    folder = package(tmp_path / "go", "go:a.nec", "1.0.0")
    (folder / "innocent.txt").symlink_to("../key")
    assert f"{folder}/innocent.txt leads out of the package" in node.fails(command, folder)
    assert copies(node) == set()


def test_a_link_within_a_package_is_what_it_leads_to(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "go", "go:a.nec", "1.0.0")
    (folder / "same").symlink_to("version")
    node.does("install", folder)
    assert [each.read_text() for each in (node.folder.path / "packages").rglob("same")] == ["1.0.0"]


@pytest.mark.parametrize(
    "name",
    [
        b"\xff",
        b"a" * 200 + b"/" + b"b" * 200 + b"/" + b"c" * 200 + b"/" + b"d" * 200 + b"/" + b"e" * 200 + b"/" + b"f" * 200,
    ],
)
def test_a_file_whose_name_no_release_can_have_is_named_and_nothing_is_published(
    node: RealNode, tmp_path: Path, name: bytes
) -> None:
    folder = package(tmp_path / "go", "go:a.nec", "1.0.0")
    path = Path(str(folder) + "/" + name.decode(errors="surrogateescape"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    assert "a release cannot have a file of that name" in node.fails("publish", folder)
    assert copies(node) == set()


# --- what a publisher may try ---------------------------------------------------------------------------------------


def test_a_time_far_in_the_future_is_no_release(node: RealNode, ann: Publisher) -> None:
    ann.publish("1.0.0")
    ann.releases[-1] = replace(ann.releases[-1], time=(1 << 63) - 1)
    node.fails("install", ann.zip(ann.folder_of("1.0.0"), 1, ANN))


def test_a_release_that_asks_for_more_than_it_says_is_refused(node: RealNode, ann: Publisher) -> None:
    ann.publish("1.0.0", asks=("timer:distro:sys", "net:distro:sys"))
    said = replace(
        ann.releases[-1].metadata, asks=(AskedRight("network", ""), AskedRight("timer:distro:sys", "to wait"))
    )
    ann.releases[-1] = replace(ann.releases[-1], metadata=said)
    sentence = node.fails("install", ann.zip(ann.folder_of("1.0.0"), 1, ANN), "--grant", "all")
    assert "asks for net:distro:sys, which its release does not say" in sentence
    assert copies(node) == set()


def test_a_zip_whose_chain_forks_from_what_was_seen_is_refused(node: RealNode, ann: Publisher, tmp_path: Path) -> None:
    node.does("install", ann.publish("1.0.0"))
    lies = Publisher(ANN, "chess", tmp_path / "lies")
    lies.publish("1.0.0", description="another")
    sentence = node.fails("install", lies.publish("1.1.0"))
    assert sentence.startswith("ann.test has signed two different releases of chess:ann.test with the number 1")
    assert node.core.shelf.head(CHESS).head.number == 1  # type: ignore[union-attr]


def test_a_package_with_a_long_history_still_goes_into_a_zip(
    node: RealNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nectar_node.releases.proof.MAX_PROOF_BYTES", 1200)
    for number in range(5):
        node.does(
            "publish", package(tmp_path / str(number), "go:a.nec", f"1.{number}.0"), "--zip", tmp_path / f"{number}.zip"
        )
    node.does("install", tmp_path / "4.zip")


# --- versions -------------------------------------------------------------------------------------------------------


def test_a_version_that_traps_at_once_costs_none_of_those_that_are_kept(node: RealNode, ann: Publisher) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        node.does("install", ann.publish(version))
    node.nectar("upgrade", ann.publish("1.3.0", TRAPS))
    node.does("rollback", "chess")
    node.does("rollback", "chess")
    assert listed(node) == [["chess:ann.test", "1.0.0", "signed"]]
    assert node.does("message", "our@echo:chess:ann.test", "hi") == "hi\n"


def probes(folder: Path, version: str) -> Path:
    """The folder of a package `box:local` with a process `a` that does what it is told."""
    folder.mkdir()
    shutil.copy(PROBE, folder)
    asks = ["kv:distro:sys", "sqlite:distro:sys"]
    entry = {"process_name": "a", "process_wasm_path": f"/{PROBE.name}", "public": True, "request_capabilities": asks}
    (folder / "manifest.json").write_text(json.dumps([entry]))
    said = {"package": "box", "publisher": "local", "version": version}
    (folder / "metadata.json").write_text(json.dumps(said))
    return folder


def tell(node: RealNode, process: str, *steps: Any) -> str:
    """What a probe answers."""
    with LocalNetwork(node.network).connect("a.nec") as client:
        return str(client.request("message", target=f"our@{process}", body=script(*steps).decode())["body"])


def test_a_version_that_fails_after_the_answer_is_told_where_versions_are_shown(node: RealNode, tmp_path: Path) -> None:
    node.does("install", probes(tmp_path / "1", "1.0.0"))
    node.does("install", probes(tmp_path / "2", "1.1.0"), "--replace")
    assert listed(node) == [["box:local", "1.1.0", "local"]]
    with LocalNetwork(node.network).connect("a.nec") as client:
        failed = client.request("message", target="our@a:box:local", body=script(TRAP).decode(), timeout=60)
    assert failed["outcome"] != "response"
    for command in (("list",), ("info", "box")):
        shown = node.nectar(*command)
        assert shown.err.startswith("box:local: 1.1.0 has failed in its first seconds (a:box:local: "), shown
        assert shown.err.endswith("so the version before runs again.\n")
    assert listed(node) == [["box:local", "1.0.0", "local"]]
    assert tell(node, "a:box:local", respond("here")) == "here"
    node.does("install", probes(tmp_path / "3", "1.2.0"), "--replace")
    assert node.nectar("list").err == ""


def test_a_version_that_was_started_and_fails_after_the_answer_gives_way_to_the_one_before(
    node: RealNode, tmp_path: Path
) -> None:
    for number in "123":
        node.does("start", probes(tmp_path / number, f"1.{number}.0"), "--replace")
        assert len(copies(node)) == min(int(number), 2)  # the one before, and no older one
    with LocalNetwork(node.network).connect("a.nec") as client:
        client.request("message", target="our@a:box:local", body=script(TRAP).decode(), timeout=60)
        before = client.request("packages")["packages"]
        assert [Path(each["origin"]).name for each in before if each["package"] == "box:local"] == ["2"]
    assert tell(node, "a:box:local", respond("here")) == "here"


def test_g23_an_upgrade_waits_for_no_child_that_computes(node: RealNode, tmp_path: Path) -> None:
    node.does("install", probes(tmp_path / "1", "1.0.0"))
    tell(node, "a:box:local", spawn("child"), respond())
    with LocalNetwork(node.network).connect("a.nec") as client:
        client.send("message", target="our@child:box:local", body=script(SPIN).decode(), timeout=60)
        ended = node.nectar("upgrade", probes(tmp_path / "2", "1.1.0"), "--replace")
        assert (ended.code, ended.err) == (0, "Ended with the version before: child:box:local.\n")
    assert node.running() == {"a:box:local"}


# --- what is left ---------------------------------------------------------------------------------------------------


def test_what_an_uninstalled_package_has_left_goes_to_no_other_of_its_name_unasked(
    node: RealNode, tmp_path: Path
) -> None:
    first, other = (package(tmp_path / name / "chess", "chess:local", "1.0.0") for name in ("mine", "theirs"))
    node.does("install", first)
    drive = node.folder.drives / "chess:local" / "games"
    drive.mkdir(parents=True)
    (drive / "secret").write_text("mine")
    node.does("uninstall", "chess")
    sentence = node.fails("install", other)
    assert f"it would take the place of the chess:local that came from {first}, with its files and state" in sentence
    node.does("install", first)
    node.does("uninstall", "chess", "--purge", "--yes")
    node.does("install", other)


def test_databases_and_states_go_with_a_package_that_is_purged(node: RealNode, tmp_path: Path) -> None:
    node.does("install", probes(tmp_path / "1", "1.0.0"))
    tell(node, "a:box:local", set_state("saved"), respond())
    id = {"package_name": "box", "publisher_node": "local"}
    for process, db in (("kv:distro:sys", "scores"), ("sqlite:distro:sys", "games")):
        body = json.dumps({"package_id": id, "db": db, "action": "Open"})
        tell(node, "a:box:local", wait_for(f"our@{process}", body, expects=10), respond())
    left = node.does("uninstall", "box").splitlines()[1]
    assert left == "What it has left stays: 2 databases, 1 saved state."
    removed = node.does("uninstall", "box:local", "--purge", "--yes").splitlines()
    assert removed[0] == "box:local was not installed, and what was here of it is removed."
    assert "2 databases, 1 saved state" in removed[1]
    assert json.loads(node.does("state", "list", "--json"))["states"] == []
    node.does("install", probes(tmp_path / "2", "1.0.0"))
    assert "saved" not in tell(node, "a:box:local", GET_STATE, respond())
    assert node.does("uninstall", "box") == "box:local is uninstalled: 1 process ended.\n"


def test_what_was_granted_to_a_package_ends_with_it(node: RealNode, tmp_path: Path) -> None:
    folder = asking(package(tmp_path / "box", "box:local", "1.0.0"), "kernel:distro:sys")
    node.does("install", folder, "--grant", "all")
    node.does("uninstall", "box")
    assert "it asks for kernel (kernel:distro:sys)" in node.fails("install", folder)


def test_consent_to_an_unsigned_package_is_none_to_the_signed_one_and_the_other_way_round(
    node: RealNode, ann: Publisher, tmp_path: Path
) -> None:
    claims = asking(package(tmp_path / "claims", "chess:ann.test", "0.9.0"), "kernel:distro:sys")
    node.does("install", claims, "--unsigned", "--grant", "all")
    signed = ann.publish("1.0.0", asks=("kernel:distro:sys",))
    sentence = node.fails("install", signed)
    assert "it asks for kernel (kernel:distro:sys)" in sentence
    assert "it would take the place of" in sentence
    node.does("install", signed, "--grant", "all", "--replace")
    claims = asking(package(tmp_path / "again", "chess:ann.test", "1.1.0"), "kernel:distro:sys")
    sentence = node.nectar("install", claims, "--unsigned").err
    assert "it asks for kernel (kernel:distro:sys)" in sentence
    assert "it would take the place of" in sentence


def test_a_number_that_locks_a_package_is_forgotten_with_all_of_it(
    node: RealNode, ann: Publisher, tmp_path: Path
) -> None:
    node.does("install", ann.publish("1.0.0"))
    thief = Publisher(ANN, "chess", tmp_path / "thief")
    thief.publish("9.9.9")
    thief.releases[-1] = replace(thief.releases[-1], number=1_000_000, before=bytes(32))
    node.does("install", thief.zip(thief.folder_of("9.9.9"), 1, ANN))
    later = ann.publish("1.1.0")
    assert "this node has seen release 1000000" in node.fails("install", later)
    node.does("uninstall", "chess")
    assert "this node has seen release 1000000" in node.fails("install", later)
    node.does("uninstall", "chess:ann.test", "--purge", "--yes")
    node.does("install", later)


def test_what_was_fetched_and_not_installed_can_be_removed(node: RealNode, ann: Publisher) -> None:
    zipped = ann.publish("1.0.0")
    node.does("install", zipped)
    release: Release = ann.releases[-1]
    folder = node.core.packages[CHESS].folder
    node.core.installed.remove(CHESS)  # as if its user had not agreed after the fetch
    node.core.uninstall(CHESS, 0.0)
    assert node.core.shelf.bytes == release.size
    node.does("uninstall", "chess:ann.test")
    assert (node.core.shelf.bytes, folder.exists()) == (0, False)
    assert "goes back" not in node.nectar("install", zipped).err


def test_a_package_that_every_boot_starts_is_said_to_come_back(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", "box:local", "1.0.0")
    node.folder.boot.write_text(encode_options(replace(DEFAULT_OPTIONS, packages=(folder,))).decode())
    node.does("install", folder)
    ended = node.nectar("uninstall", "box")
    assert ended.code == 0
    assert "comes back at the next boot" in ended.err


# --- at once --------------------------------------------------------------------------------------------------------


def at_once(node: RealNode, *commands: tuple[str | Path, ...]) -> list[str]:
    """What commands print that succeed at the same time."""

    def run(words: tuple[str | Path, ...]) -> str:
        command = [sys.executable, "-m", "nectar_node", *map(str, words), *node.where]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        return done.stdout

    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(run, commands))


@pytest.mark.parametrize("kind", [pytest.param("folder", marks=pytest.mark.long), "zip"])
def test_installs_of_one_package_at_once_all_succeed_and_leave_one_copy(
    node: RealNode, tmp_path: Path, kind: str
) -> None:
    folder = package(tmp_path / "go", "go:local", "1.0.0")
    source = folder if kind == "folder" else zipped(folder)
    at_once(node, *[("install", source, "--replace")] * 3)
    assert listed(node) == [["go:local", "1.0.0", "local"]]
    assert len(copies(node)) == 1
    assert node.running() == {"echo:go:local"}


@pytest.mark.long
def test_a_start_while_the_same_package_is_installed_leaves_both_whole(node: RealNode, tmp_path: Path) -> None:
    first, second = (package(tmp_path / name / "go", "go:local", name) for name in ("1.0.0", "1.1.0"))
    node.does("install", first)
    at_once(node, ("install", second, "--replace"), ("start", first, "--replace"))
    assert node.running() == {"echo:go:local"}
    running = node.core.packages[PackageId("go", "local")]
    assert (running.folder / "version").read_text() in ("1.0.0", "1.1.0")
    node.does("install", second, "--replace")
    assert listed(node) == [["go:local", "1.1.0", "local"]]
    node.does("rollback", "go")
    assert listed(node) == [["go:local", "1.0.0", "local"]]


def test_files_that_no_version_needs_any_more_are_gone_before_another_command_may_come_to_need_them(
    node: RealNode, tmp_path: Path
) -> None:
    folders = [package(tmp_path / version / "go", "go:local", version) for version in ("1.0.0", "1.1.0", "1.2.0")]
    with LocalNetwork(node.network).connect("a.nec") as client:
        answers = [client.request("start", package=str(each), replace=True) for each in folders]
        assert len(copies(node)) == 2, "that which runs, and that to which it goes back if it fails"
        client.request("start", package=str(folders[0]), replace=True)
    assert not any(isinstance(each.get("replaced"), str) for each in answers), "nothing is left to be removed later"
    assert (node.core.packages[PackageId("go", "local")].folder / "version").read_text() == "1.0.0"


def test_no_files_of_a_package_that_was_only_started_outlive_it(node: RealNode, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        node.does("start", package(tmp_path / version / "go", "go:local", version), "--replace")
    assert len(copies(node)) == 2
    node.does("uninstall", "go")
    assert (copies(node), node.running()) == (set(), set())


def test_a_version_whose_files_somebody_has_changed_is_not_gone_back_to(node: RealNode, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        node.does("install", package(tmp_path / version, "go:local", version), "--replace")
    before, _ = node.core.installed.of(PackageId("go", "local"))
    (Path(before.folder) / "echo.wasm").write_bytes(TRAPS)
    sentence = node.fails("rollback", "go")
    assert sentence == f"The files in {before.folder} are not those that were installed: somebody has changed them.\n"
    assert listed(node) == [["go:local", "1.1.0", "local"]]


def test_a_disk_that_fills_in_the_middle_of_an_install_leaves_nothing_of_it(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "go", "go:local", "1.0.0")
    (folder / "large").write_bytes(bytes(4 << 20))
    source, most = zipped(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, most[1]))  # a write beyond that fails, as on a full disk
    try:
        copied, unpacked = node.fails("install", folder), node.fails("install", source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    assert f"{folder} cannot be copied to " in copied
    assert f"{source} cannot be unpacked: File too large." in unpacked
    assert copies(node) == set()
    node.does("install", folder)
