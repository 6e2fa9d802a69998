"""What `nectar start` and `nectar boot` give only if the user says so, on a real node, at a terminal and elsewhere."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nectar_node.launcher.client import ControlError
from nectar_node.launcher.local_network import LocalNetwork
from nectar_node.storage.database import STORE_FILES
from testnet.real.local import LocalTestnet
from tests.commands import nectar
from tests.nectar_node.cli.real_node import NODE, PACKAGES, RealNode, copy_package, zipped
from tests.nectar_node.cli.terminal import ROOT, read_until

ECHO = PACKAGES / "echo" / "pkg" / "echo.wasm"
MAIN = "main:box:some.nec"
"""What the package of these tests runs."""


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
    node: RealNode, tmp_path: Path, asks: object, name: str, allows: str
) -> None:
    said = node.fails("start", package(tmp_path / "box", asks))
    assert said.startswith(f"box:some.nec is not started: it asks for {name} (")
    assert allows in said
    assert said.endswith(f"Add --grant {name} to give it that, or --deny {name} to start it without.\n")
    node.does("start", tmp_path / "box", "--grant", name)
    assert len(node.held(MAIN) or []) == 1


def test_what_reaches_nobody_elses_is_given_without_a_question(node: RealNode, tmp_path: Path) -> None:
    own = {"process": "vfs:distro:sys", "params": {"kind": "write", "drive": "/box:some.nec/data"}}
    asks = ("vfs:distro:sys", "timer:distro:sys", "state:distro:sys", "hello:hello:sys", own)
    node.does("start", package(tmp_path / "box", *asks, network=True))
    assert len(node.held(MAIN) or []) == 6
    for name in ("echo", "hello", "terminal"):  # what comes with the node
        node.does("start", PACKAGES / name)


@pytest.mark.parametrize("words", [("--grant", "all"), ("--grant", "kernel", "--grant", ROOT_TEXT)])
def test_power_is_granted_by_its_name_or_in_full_or_with_all(
    node: RealNode, tmp_path: Path, words: tuple[str, ...]
) -> None:
    node.does("start", package(tmp_path / "box", ALL_FILES, KERNEL), *words)
    assert node.held(MAIN) == [KERNEL, ROOT_TEXT]


def test_of_two_powers_each_is_asked_for(node: RealNode, tmp_path: Path) -> None:
    said = node.fails("start", package(tmp_path / "box", ALL_FILES, KERNEL), "--grant", "kernel")
    assert ("--grant vfs-root to" in said, "--grant kernel" in said) == (True, False)
    node.does("start", tmp_path / "box", "--grant", "kernel", "--deny", "vfs-root")
    assert node.held(MAIN) == [KERNEL]


def test_with_json_nobody_is_asked_and_what_is_no_power_cannot_be_granted(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", KERNEL)
    assert "--grant kernel" in node.fails("start", folder, "--json")
    assert "'root' is not a capability" in node.fails("start", folder, "--grant", "root", code=2)


def test_a_capability_that_its_user_types_is_a_grant(node: RealNode) -> None:
    node.does("start", ECHO, "--name", MAIN, "--cap", KERNEL, "--cap", ROOT_TEXT)
    assert node.held(MAIN) == [KERNEL, ROOT_TEXT]


def test_a_client_that_says_nothing_of_power_gets_none_from_the_node(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", KERNEL)
    with LocalNetwork(node.network).connect(NODE) as client, pytest.raises(ControlError, match="--grant kernel"):
        client.request("start", package=str(folder))
    assert node.held(MAIN) is None


def test_g18_scripts_have_all_rights_of_the_user_only_if_they_say_so(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box")
    scripts = {"tool.wasm": {"root": True}, "other.wasm": {"requestCapabilities": [KERNEL]}, "bad.wasm": 1}
    (folder / "scripts.json").write_text(json.dumps(scripts))
    shutil.copy(ECHO, folder / "tool.wasm")
    assert "--grant scripts-root --grant kernel to" in node.fails("start", folder)
    node.does("start", folder, "--deny", "scripts-root", "--grant", "kernel")
    said = node.fails("run", "tool:box:some.nec", "hello")
    assert "tool:box:some.nec wants all your rights, which box:some.nec was not given" in said
    node.does("start", folder, "--grant", "scripts-root")
    assert "hello" in node.does("run", "tool:box:some.nec", "hello")


# --- what was decided is kept -----------------------------------------------------------------------------------------


def test_who_was_granted_power_is_not_asked_about_again_but_for_more(node: RealNode, tmp_path: Path) -> None:
    node.does("start", package(tmp_path / "box", KERNEL), "--grant", "kernel")
    node.does("start", tmp_path / "box")
    said = node.fails("start", package(tmp_path / "box", KERNEL, "net:distro:sys"))
    assert ("--grant net to" in said, "kernel (" in said) == (True, False)


def test_g21_what_is_denied_stays_denied_until_it_is_granted(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", "timer:distro:sys", KERNEL, network=True)
    node.does("start", folder, "--deny", "network", "--deny", "kernel")
    node.does("start", folder)
    assert node.held(MAIN) == ["timer:distro:sys"]
    node.does("start", folder, "--grant", "network")
    assert set(node.held(MAIN) or []) == {"network", "timer:distro:sys"}
    node.does("start", folder, "--grant", "all")
    assert set(node.held(MAIN) or []) == {"network", "timer:distro:sys", KERNEL}


def test_decisions_are_the_users_alone_to_read(node: RealNode, tmp_path: Path) -> None:
    node.does("start", package(tmp_path / "box", KERNEL), "--grant", "kernel")
    files = [file for file in node.folder.path.iterdir() if file.name in STORE_FILES]
    assert node.folder.store in files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    decided = node.core.decisions.of(next(each for each in node.core.packages if each.package == "box"))
    assert decided is not None
    granted = [each.issuer.process.process for each in decided.granted]
    assert (decided.origin, granted) == (str(tmp_path / "box"), ["kernel"])


# --- whose place a package takes --------------------------------------------------------------------------------------


def test_a_package_from_elsewhere_takes_the_place_of_another_only_if_its_user_says_so(
    node: RealNode, tmp_path: Path
) -> None:
    first, second = package(tmp_path / "first"), package(tmp_path / "second", network=True)
    for _ in range(2):
        node.does("start", first)
    said = f"it would take the place of the box:some.nec that came from {first}, with its files and state."
    assert f"{said} Add --replace to allow that.\n" in node.fails("start", second)
    assert node.held(MAIN) == []
    node.does("start", second, "--replace")
    assert node.held(MAIN) == ["network"]


def test_power_is_granted_to_a_package_from_one_place_and_not_to_its_name(node: RealNode, tmp_path: Path) -> None:
    node.does("start", package(tmp_path / "first", KERNEL), "--grant", "kernel")
    assert "--grant kernel" in node.fails("start", package(tmp_path / "second", KERNEL), "--replace")


def test_a_zip_is_known_by_its_path_when_its_content_is_another(node: RealNode, tmp_path: Path) -> None:
    folder = package(tmp_path / "box", KERNEL)
    for words in (("--grant", "all"), ()):
        (folder / "content").write_text(str(words))
        node.does("start", zipped(folder), *words)
    assert node.held(MAIN) == [KERNEL]


# --- packages of sys are the node's own ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["folder", "zip", "file", "link"])
def test_g21_nobody_elses_package_calls_itself_one_of_the_nodes_own(node: RealNode, tmp_path: Path, form: str) -> None:
    path = folder = package(tmp_path / "hello", publisher="sys")
    (folder / "metadata.json").write_text('{"package": "hello", "publisher": "sys"}')
    more: tuple[str, ...] = ()
    if form == "zip":
        path = zipped(folder)
    elif form == "file":
        path, more = ECHO, ("--name", "hello:hello:sys")
    elif form == "link":
        path = tmp_path / "link"
        path.symlink_to(folder)
    before = node.held("hello:hello:sys")
    for words in ((), ("--grant", "all"), ("--replace",)):
        said = node.fails("start", path, *more, *words)
        assert said.startswith(f"hello:sys in {path} is refused")
        assert "Name another publisher in its metadata.json" in said
    assert node.held("hello:hello:sys") == before
    assert node.core.packages[next(iter(node.core.packages))].folder == PACKAGES / "hello" / "pkg"


def test_a_copy_of_one_of_the_nodes_own_is_local_unless_it_is_to_take_its_place(node: RealNode, tmp_path: Path) -> None:
    node.does("start", copy_package("hello", tmp_path / "hello" / "pkg"))
    assert node.held("hello:hello:local") is not None
    folder = copy_package("hello", tmp_path / "hello:sys" / "pkg")
    assert f"that came from {PACKAGES / 'hello' / 'pkg'}" in node.fails("start", folder, "--allow-sys")
    node.does("start", folder, "--allow-sys", "--replace")
    node.does("start", PACKAGES / "hello")


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


def press_again(terminal: int, process: subprocess.Popen[bytes], key: bytes) -> None:
    """Press a key until the process ends: Python's `input` misses a Ctrl-C between its prompt and its first read."""
    for _ in range(20):
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
            return
        os.write(terminal, key)


@pytest.mark.parametrize(("typed", "code"), [(b"yes\n", 0), (b"\n", 1), (b"\x04", 1), (b"\x03", 130)])
def test_at_a_terminal_the_user_is_asked_and_only_a_yes_is_one(
    node: RealNode, tmp_path: Path, typed: bytes, code: int
) -> None:
    folder = package(tmp_path / "box", ALL_FILES, KERNEL)
    with at_a_terminal("start", folder, *node.where) as (terminal, process):
        shown = read_until(terminal, b"[y/N] ").decode()
        assert "box:some.nec asks for what it gets only if you say so:" in shown
        assert "  vfs-root  to read, change and remove the files of all packages" in shown
        assert "  kernel    to end any process" in shown
        assert node.held(MAIN) is None
        os.write(terminal, typed)
        if code == 130:
            press_again(terminal, process, typed)
        else:
            read_until(terminal, b"Started our@main" if code == 0 else b"you did not say yes")
        assert process.wait(20) == code
    assert node.held(MAIN) == ([KERNEL, ROOT_TEXT] if code == 0 else None)


def test_at_a_terminal_the_place_of_another_package_is_asked_for(node: RealNode, tmp_path: Path) -> None:
    node.does("start", package(tmp_path / "first"))
    second = package(tmp_path / "second", network=True)
    with at_a_terminal("start", second, *node.where) as (terminal, process):
        shown = read_until(terminal, b"[y/N] ").decode()
        assert f"It takes the place of the box:some.nec from {tmp_path / 'first'}, with its files" in shown
        os.write(terminal, b"y\n")
        read_until(terminal, b"Started")
        assert process.wait(20) == 0
    assert node.held(MAIN) == ["network"]


# --- boot -----------------------------------------------------------------------------------------------------------


def test_g26_a_boot_demands_what_a_start_does_and_a_reboot_holds_what_was_decided(
    network: LocalTestnet, tmp_path: Path
) -> None:
    name = "consents.nec"
    boot = (
        "boot",
        name,
        "--detach",
        "--package",
        package(tmp_path / "box", KERNEL, "net:distro:sys", "timer:distro:sys"),
    )
    refused = nectar(*boot, folder=network.folder)
    assert (refused.code, "--grant kernel --grant net to" in refused.err) == (1, True)
    assert not network.place(name).store.exists()
    assert nectar(*boot, "--grant", "kernel", "--deny", "net", folder=network.folder).code == 0
    network.kill(name)
    assert nectar("testnet", "restart", name, folder=network.folder).code == 0
    (row,) = network.processes(name)
    assert row["capabilities"] == [KERNEL, "timer:distro:sys"]
    network.stop(name)


def test_g21_what_a_start_has_denied_one_of_the_nodes_own_it_lacks_after_a_reboot(network: LocalTestnet) -> None:
    name = "denies.nec"
    network.add(name)
    denied = ("start", PACKAGES / "file_transfer", "--deny", "network", "--node", name)
    assert nectar(*denied, folder=network.folder).code == 0
    network.restart(name)
    rows = {str(row["address"]).partition("@")[2]: row["capabilities"] for row in network.processes(name)}
    assert "network" not in rows["file_transfer:file_transfer:sys"]
    assert rows["hello:hello:sys"] == ["network"]
    network.stop(name)
    for file in STORE_FILES[1:]:
        (network.place(name).path / file).unlink(missing_ok=True)
    network.place(name).store.write_bytes(b"{")
    damaged = nectar("boot", name, "--detach", folder=network.folder)
    assert (damaged.code, f"so {name} does not start without it." in damaged.err) == (1, True)
