"""What `nectar start` and `nectar boot` give only if the user says so, on a real node, at a terminal and elsewhere."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nectar_node.base.folder import NodeFolder
from nectar_node.cli.main import main
from nectar_node.contract.config import NODES_FOLDER
from nectar_node.launcher.client import ControlError
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.storage.database import STORE_FILES
from testnet.real.local import LocalTestnet
from tests.nectar_node.cli.real_node import NODE, PACKAGES, RealNode, copy_package
from tests.nectar_node.cli.terminal import ROOT, read_until

ECHO = PACKAGES / "echo" / "pkg" / "echo.wasm"
ALL_FILES = {"process": "vfs:distro:sys", "params": {"root": True}}
KERNEL = "kernel:distro:sys"
ROOT_TEXT = 'vfs:distro:sys {"root":true}'


def package(folder: Path, *asks: object, network: bool = False, publisher: str = "some.nec") -> Path:
    """A package of one process that asks for these."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "echo.wasm").write_bytes(ECHO.read_bytes())
    (folder / "metadata.json").write_text(json.dumps({"package": "box", "publisher": publisher}))
    entry = {"process_name": "main", "process_wasm_path": "/echo.wasm", "on_exit": "Restart", "public": True}
    more = {"request_capabilities": list(asks), "request_networking": network}
    (folder / "manifest.json").write_text(json.dumps([entry | more]))
    return folder


def nectar(node: RealNode, *arguments: str | Path) -> int:
    return main([*map(str, arguments), "--node", NODE, "--dir", str(node.network)])


def held(node: RealNode, process: str = "main:box:some.nec") -> list[str] | None:
    """What a process holds; None: it does not run."""
    with LocalNetwork(node.network).connect(NODE) as client:
        rows: list[dict[str, Any]] = client.request("ps")["processes"]
    return next((row["capabilities"] for row in rows if row["address"] == f"{NODE}@{process}"), None)


# --- elsewhere than at a terminal -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asks", "name", "allows"),
    [
        (ALL_FILES, "vfs-root", "read, change and remove the files of all packages"),
        (
            {"process": "vfs:distro:sys", "params": {"kind": "read", "drive": "/other:sys/pkg"}},
            "vfs-drives",
            "read or change files of other packages",
        ),
        (KERNEL, "kernel", "end any process, take rights from any, make new ones, and stop the node"),
        ({"process": KERNEL, "params": "anything"}, "kernel", "end any process"),
        ("net:distro:sys", "net", "see whom this node knows and talks to"),
        ("terminal:terminal:sys", "terminal", "speak to what runs scripts with all your rights"),
        ({"process": "a:b:sys", "params": "admin"}, "rights", "allows only to those whom it trusts"),
    ],
)
def test_g18_power_that_nobody_has_granted_is_refused_with_what_it_is_and_what_to_type(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], asks: object, name: str, allows: str
) -> None:
    assert nectar(node, "start", package(tmp_path / "box", asks)) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith(f"box:some.nec is not started: it asks for {name} (")
    assert allows in err
    assert f"Add --grant {name} to give it that, or --deny {name} to start it without.\n" in err
    assert held(node) is None
    assert nectar(node, "start", tmp_path / "box", "--grant", name) == 0
    assert len(held(node) or []) == 1


def test_what_reaches_nobody_elses_is_given_without_a_question(node: RealNode, tmp_path: Path) -> None:
    own = {"process": "vfs:distro:sys", "params": {"kind": "write", "drive": "/box:some.nec/data"}}
    asks = ("vfs:distro:sys", "timer:distro:sys", "state:distro:sys", "hello:hello:sys", own)
    assert nectar(node, "start", package(tmp_path / "box", *asks, network=True)) == 0
    assert len(held(node) or []) == 6


@pytest.mark.parametrize("words", [("--grant", "all"), ("--grant", "kernel", "--grant", ROOT_TEXT)])
def test_power_is_granted_by_its_name_or_in_full_or_with_all(
    node: RealNode, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert nectar(node, "start", package(tmp_path / "box", ALL_FILES, KERNEL), *words) == 0
    assert held(node) == [KERNEL, ROOT_TEXT]


def test_of_two_powers_each_is_asked_for(node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nectar(node, "start", package(tmp_path / "box", ALL_FILES, KERNEL), "--grant", "kernel") == 1
    err = capsys.readouterr().err
    assert "--grant vfs-root to" in err
    assert "--grant kernel" not in err
    assert nectar(node, "start", tmp_path / "box", "--grant", "kernel", "--deny", "vfs-root") == 0
    assert held(node) == [KERNEL]


def test_with_json_nobody_is_asked(node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nectar(node, "start", package(tmp_path / "box", KERNEL), "--json") == 1
    assert "--grant kernel" in capsys.readouterr().err


def test_what_is_no_power_cannot_be_granted(node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nectar(node, "start", package(tmp_path / "box", KERNEL), "--grant", "root") == 2
    assert "'root' is not a capability" in capsys.readouterr().err


def test_a_capability_that_its_user_types_is_a_grant(node: RealNode) -> None:
    assert nectar(node, "start", ECHO, "--name", "main:box:some.nec", "--cap", KERNEL, "--cap", ROOT_TEXT) == 0
    assert held(node) == [KERNEL, ROOT_TEXT]


def test_a_client_that_says_nothing_of_power_gets_none_from_the_node(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", KERNEL)
    with LocalNetwork(node.network).connect(NODE) as client, pytest.raises(ControlError, match="--grant kernel"):
        client.request("start", package=str(folder))
    assert held(node) is None


def test_what_comes_with_the_node_needs_no_question(node: RealNode) -> None:
    for name in ("echo", "hello", "terminal"):
        assert nectar(node, "start", PACKAGES / name) == 0


def test_g18_scripts_have_all_rights_of_the_user_only_if_they_say_so(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = package(tmp_path / "box")
    scripts = {"tool.wasm": {"root": True}, "other.wasm": {"requestCapabilities": [KERNEL]}, "bad.wasm": 1}
    (folder / "scripts.json").write_text(json.dumps(scripts))
    shutil.copy(ECHO, folder / "tool.wasm")
    assert nectar(node, "start", folder) == 1
    assert "--grant scripts-root --grant kernel to" in capsys.readouterr().err
    assert nectar(node, "start", folder, "--deny", "scripts-root", "--grant", "kernel") == 0
    capsys.readouterr()
    assert nectar(node, "run", "tool:box:some.nec", "hello") == 1
    assert "tool:box:some.nec wants all your rights, which box:some.nec was not given" in capsys.readouterr().err
    assert nectar(node, "start", folder, "--grant", "scripts-root") == 0
    assert nectar(node, "run", "tool:box:some.nec", "hello") == 0
    assert "hello" in capsys.readouterr().out


# --- what was decided is kept -----------------------------------------------------------------------------------------


def test_who_was_granted_power_is_not_asked_about_again_but_for_more(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(node, "start", package(tmp_path / "box", KERNEL), "--grant", "kernel") == 0
    assert nectar(node, "start", tmp_path / "box") == 0
    package(tmp_path / "box", KERNEL, "net:distro:sys")
    capsys.readouterr()
    assert nectar(node, "start", tmp_path / "box") == 1
    err = capsys.readouterr().err
    assert "--grant net to" in err
    assert "kernel (" not in err


def test_g21_what_is_denied_stays_denied_until_it_is_granted(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", "timer:distro:sys", KERNEL, network=True)
    assert nectar(node, "start", folder, "--deny", "network", "--deny", "kernel") == 0
    assert nectar(node, "start", folder) == 0
    assert held(node) == ["timer:distro:sys"]
    assert nectar(node, "start", folder, "--grant", "network") == 0
    assert set(held(node) or []) == {"network", "timer:distro:sys"}
    assert nectar(node, "start", folder, "--grant", "all") == 0
    assert set(held(node) or []) == {"network", "timer:distro:sys", KERNEL}


def test_decisions_are_the_users_alone_to_read(node: RealNode, tmp_path: Path) -> None:
    assert nectar(node, "start", package(tmp_path / "box", KERNEL), "--grant", "kernel") == 0
    files = [file for file in node.folder.path.iterdir() if file.name in STORE_FILES]
    assert node.folder.store in files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    decided = node.core.decisions.of(next(each for each in node.core.packages if each.package == "box"))
    assert decided is not None
    assert (decided.origin, [each.issuer.process.process for each in decided.granted]) == (
        str(tmp_path / "box"),
        ["kernel"],
    )


# --- whose place a package takes --------------------------------------------------------------------------------------


def test_a_package_from_elsewhere_takes_the_place_of_another_only_if_its_user_says_so(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = package(tmp_path / "first"), package(tmp_path / "second", network=True)
    assert nectar(node, "start", first) == 0
    assert nectar(node, "start", first) == 0
    capsys.readouterr()
    assert nectar(node, "start", second) == 1
    said = f"it would take the place of the box:some.nec that came from {first}, with its files and state."
    assert f"{said} Add --replace to allow that.\n" in capsys.readouterr().err
    assert held(node) == []
    assert nectar(node, "start", second, "--replace") == 0
    assert held(node) == ["network"]


def test_power_is_granted_to_a_package_from_one_place_and_not_to_its_name(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(node, "start", package(tmp_path / "first", KERNEL), "--grant", "kernel") == 0
    capsys.readouterr()
    assert nectar(node, "start", package(tmp_path / "second", KERNEL), "--replace") == 1
    assert "--grant kernel" in capsys.readouterr().err


def test_a_zip_is_known_by_its_path_when_its_content_is_another(node: RealNode, tmp_path: Path) -> None:
    for content in (b"1", b"2"):
        folder = package(tmp_path / "box", KERNEL)
        with zipfile.ZipFile(tmp_path / "box.zip", "w") as archive:
            archive.writestr("content", content)
            for file in folder.iterdir():
                archive.write(file, file.name)
        assert nectar(node, "start", tmp_path / "box.zip", *(("--grant", "all") if content == b"1" else ())) == 0
    assert held(node) == [KERNEL]


# --- packages of sys are the node's own ------------------------------------------------------------------------------


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return path


@pytest.mark.parametrize("form", ["folder", "zip", "file", "link"])
def test_g21_nobody_elses_package_calls_itself_one_of_the_nodes_own(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    folder = package(tmp_path / "hello", publisher="sys")
    (folder / "metadata.json").write_text('{"package": "hello", "publisher": "sys"}')
    more: tuple[str, ...] = ()
    path = folder
    if form == "zip":
        path = zipped(folder)
    elif form == "file":
        path, more = ECHO, ("--name", "hello:hello:sys")
    elif form == "link":
        path = tmp_path / "link"
        path.symlink_to(folder)
    before = held(node, "hello:hello:sys")
    for words in ((), ("--grant", "all"), ("--replace",)):
        assert nectar(node, "start", path, *more, *words) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"hello:sys in {path} is refused")
        assert "Name another publisher in its metadata.json" in err
    assert held(node, "hello:hello:sys") == before
    assert node.core.packages[next(iter(node.core.packages))].folder == PACKAGES / "hello" / "pkg"


def test_a_copy_of_a_package_of_the_nodes_own_is_a_local_one(node: RealNode, tmp_path: Path) -> None:
    assert nectar(node, "start", copy_package("hello", tmp_path / "hello" / "pkg")) == 0
    assert held(node, "hello:hello:local") is not None


def test_whoever_changes_the_nodes_own_packages_says_so_and_that_it_takes_their_place(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_package("hello", tmp_path / "hello:sys" / "pkg")
    assert nectar(node, "start", folder, "--allow-sys") == 1
    assert f"that came from {PACKAGES / 'hello' / 'pkg'}" in capsys.readouterr().err
    assert nectar(node, "start", folder, "--allow-sys", "--replace") == 0
    assert nectar(node, "start", PACKAGES / "hello") == 0


# --- at a terminal --------------------------------------------------------------------------------------------------


@contextmanager
def at_a_terminal(*words: str | Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """`nectar` with these words, at a terminal of its own, whose other end is the first that this gives."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200"}
    command = ["setsid", "--ctty", sys.executable, "-P", "-m", "nectar_node", *map(str, words)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        try:
            yield ours, process
        finally:
            process.kill()
    os.close(ours)


@pytest.mark.parametrize(
    ("typed", "code"), [(b"y\n", 0), (b"yes\n", 0), (b"\n", 1), (b"n\n", 1), (b"\x04", 1), (b"\x03", 130)]
)
def test_at_a_terminal_the_user_is_asked_and_only_a_yes_is_one(
    node: RealNode, tmp_path: Path, typed: bytes, code: int
) -> None:
    folder = package(tmp_path / "box", ALL_FILES, KERNEL)
    with at_a_terminal("start", folder, "--node", NODE, "--dir", node.network) as (terminal, process):
        shown = read_until(terminal, b"[y/N] ").decode()
        assert "box:some.nec asks for what it gets only if you say so:" in shown
        assert "  vfs-root  to read, change and remove the files of all packages" in shown
        assert "  kernel    to end any process" in shown
        assert held(node) is None
        os.write(terminal, typed)
        if code != 130:
            read_until(terminal, b"Started our@main" if code == 0 else b"you did not say yes")
        assert process.wait(20) == code
    assert held(node) == ([KERNEL, ROOT_TEXT] if code == 0 else None)


def test_at_a_terminal_the_place_of_another_package_is_asked_for(node: RealNode, tmp_path: Path) -> None:
    assert nectar(node, "start", package(tmp_path / "first")) == 0
    second = package(tmp_path / "second", network=True)
    with at_a_terminal("start", second, "--node", NODE, "--dir", node.network) as (terminal, process):
        shown = read_until(terminal, b"[y/N] ").decode()
        assert f"It takes the place of the box:some.nec from {tmp_path / 'first'}, with its files" in shown
        os.write(terminal, b"y\n")
        read_until(terminal, b"Started")
        assert process.wait(20) == 0
    assert held(node) == ["network"]


# --- boot -----------------------------------------------------------------------------------------------------------


def test_g26_a_boot_demands_what_a_start_does_and_a_reboot_holds_what_was_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = package(tmp_path / "box", KERNEL, "net:distro:sys", "timer:distro:sys")
    with LocalTestnet(tmp_path / "net") as nodes:
        nodes.start()
        boot = ["boot", "a.nec", "--detach", "--dir", str(nodes.folder), "--package", str(folder)]
        assert main(boot) == 1
        assert "--grant kernel --grant net to" in capsys.readouterr().err
        assert not NodeFolder(nodes.folder / NODES_FOLDER / "a.nec").store.exists()
        assert main([*boot, "--grant", "kernel", "--deny", "net"]) == 0
        nodes.kill("a.nec")
        assert main(["testnet", "restart", "a.nec", "--dir", str(nodes.folder)]) == 0
        (row,) = nodes.processes("a.nec")
        assert row["capabilities"] == [KERNEL, "timer:distro:sys"]


def test_g21_what_a_start_has_denied_one_of_the_nodes_own_it_lacks_after_a_reboot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LocalTestnet(tmp_path / "net") as nodes:
        nodes.start(["a.nec"])
        where = ["--node", "a.nec", "--dir", str(nodes.folder)]
        assert main(["start", str(PACKAGES / "file_transfer"), "--deny", "network", *where]) == 0
        nodes.restart("a.nec")
        rows = {str(row["address"]): row["capabilities"] for row in nodes.processes("a.nec")}
        assert "network" not in rows["a.nec@file_transfer:file_transfer:sys"]
        assert rows["a.nec@hello:hello:sys"] == ["network"]
        nodes.stop("a.nec")
        for name in STORE_FILES[1:]:
            (nodes.place("a.nec").path / name).unlink(missing_ok=True)
        nodes.place("a.nec").store.write_bytes(b"{")
        assert main(["boot", "a.nec", "--detach", "--dir", str(nodes.folder)]) == 1
        assert (
            "It says what was revoked, denied and killed, so a.nec does not start without it."
            in capsys.readouterr().err
        )
