"""What `nectar start` and `nectar kill` promise, on a real node with real guests."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.real_node import NODE, PACKAGES, RealNode, copy_package, zipped

ECHO = PACKAGES / "echo" / "pkg" / "echo.wasm"
DECODER = PACKAGES / "crash_isolation" / "pkg" / "decoder.wasm"
UNKNOWN_IMPORT = b"\0asm\1\0\0\0" + b"\1\4\1\x60\0\0" + b"\2\x0b\1\5weird\1x\0\0"
"""A module that imports the function `x` of `weird`."""


def test_a_single_file_runs_under_its_name_and_can_be_messaged(node: RealNode) -> None:
    out = node.does("start", ECHO)
    assert out.splitlines()[:2] == ["PROCESS\tASKS FOR\tGRANTED", "echo:echo:local\tnothing\t-"]
    assert "Started our@echo:echo:local: you may message it" in out
    assert f"nectar message our@echo:echo:local BODY --node {NODE} --dir {node.network}" in out
    assert node.does("message", "our@echo:echo:local", "hi") == "hi\n"


def test_g17_a_single_file_holds_what_its_user_gives_it_and_nothing_else(node: RealNode) -> None:
    drive = 'vfs:distro:sys {"kind":"read","drive":"/a:sys/pkg"}'
    options = ("--name", "mine:box:some.nec", "--public", "--network", "--cap", "timer:distro:sys", "--cap", drive)
    (started,) = node.nectar("start", ECHO, *options, "--on-exit", "restart", "--json").json["processes"]
    wanted = ["network", "timer:distro:sys", 'vfs:distro:sys {"drive":"/a:sys/pkg","kind":"read"}']
    assert (started["address"], started["asked"], started["granted"]) == (f"{NODE}@mine:box:some.nec", wanted, wanted)
    assert (started["public"], started["on_exit"]) == (True, "restart")
    assert node.held("mine:box:some.nec") == wanted


@pytest.mark.parametrize("option", [("--network",), ("--cap", "network"), ("--network", "--cap", "network")])
def test_g19_the_network_is_an_option_or_a_capability_like_any_other(node: RealNode, option: tuple[str, ...]) -> None:
    node.does("start", ECHO, "--name", "mine:box:local", *option, "--cap", "timer:distro:sys")
    assert node.held("mine:box:local") == ["network", "timer:distro:sys"]


def test_g21_what_the_user_denies_is_asked_for_and_not_granted(node: RealNode) -> None:
    out = node.does("start", PACKAGES / "file_transfer", "--deny", "network", "--deny", "timer:distro:sys")
    asked = ("file_transfer:file_transfer:sys\tnetwork\tno", "\tvfs:distro:sys\tyes", "\ttimer:distro:sys\tno")
    assert tuple(out.splitlines()[1:4]) == asked
    granted = set(node.held("file_transfer:file_transfer:sys") or ())
    assert "vfs:distro:sys" in granted
    assert granted.isdisjoint({"network", "timer:distro:sys"})


def test_a_package_that_comes_with_the_node_has_a_name(node: RealNode) -> None:
    node.does("start", "homepage")
    assert "homepage:homepage:sys" in node.running()


@pytest.mark.parametrize("form", ["folder", "pkg", "zip"])
def test_a_package_is_a_folder_or_a_zip(node: RealNode, tmp_path: Path, form: str) -> None:
    folder = copy_package("echo", tmp_path / "box" / "pkg")
    path = zipped(folder, tmp_path / "box:some.nec.zip") if form == "zip" else folder
    node.does("start", folder.parent if form == "folder" else path)
    publisher = "some.nec" if form == "zip" else "local"
    assert node.running() == {"hello:hello:sys", f"echo:box:{publisher}", f"ping:box:{publisher}"}


def test_a_package_that_is_started_again_takes_the_place_of_itself_and_only_the_copy_before_stays(
    node: RealNode, tmp_path: Path
) -> None:
    for content in (b"1", b"2", b"3"):
        with zipfile.ZipFile(tmp_path / "box.zip", "w") as archive:
            archive.write(ECHO, "echo.wasm")
            archive.writestr("manifest.json", '[{"process_name": "e", "process_wasm_path": "/echo.wasm"}]')
            archive.writestr("content", content)
        node.does("start", tmp_path / "box.zip")
    copies = (node.folder.path / "packages").iterdir()
    assert {(copy / "box" / "content").read_bytes() for copy in copies} == {b"2", b"3"}  # it is on trial at first
    assert node.running() == {"hello:hello:sys", "e:box:local"}


@pytest.mark.parametrize("on_exit", ["none", "restart"])
def test_a_process_that_traps_at_once_fails_its_start_which_says_why(
    node: RealNode, tmp_path: Path, on_exit: str
) -> None:
    brief = tmp_path / "brief.wasm"
    brief.write_bytes(wat("(unreachable)"))
    code, out, err = node.nectar("start", brief, "--on-exit", on_exit)
    assert (code, out) == (1, "PROCESS\tASKS FOR\tGRANTED\nbrief:brief:local\tnothing\t-\n")
    assert err.startswith("our@brief:brief:local was started and has ended already: ")
    assert ("unreachable" in err, err.count("\n")) == (True, 1)
    again = node.nectar("start", brief, "--on-exit", on_exit, "--json")
    (started,) = again.json["processes"]
    assert (again.code, bool(started["ended"]), "unreachable" in started["trap"]) == (1, True, True)


def test_a_process_that_returns_at_once_was_started_and_says_so_but_not_why_another_one_of_its_name_has_ended(
    node: RealNode, tmp_path: Path
) -> None:
    brief = tmp_path / "brief.wasm"
    brief.write_bytes(wat("(unreachable)"))
    assert node.nectar("start", brief).code == 1
    brief.write_bytes(wat(""))
    out = node.does("start", brief, "--network")
    assert "brief:brief:local\tnetwork\tyes" in out
    assert "our@brief:brief:local was started and has ended already: `nectar logs --node a.nec --dir " in out
    assert "trap" not in out


def test_a_package_without_processes_is_installed_and_says_so(node: RealNode, tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "manifest.json").write_text("[]")
    assert "box:local is installed; it has no processes to start." in node.does("start", tmp_path / "box")


# --- mistakes: one sentence, exit code 1, the node untouched --------------------------------------------------------


def refused(node: RealNode, *arguments: str | Path, code: int = 1) -> str:
    """The one sentence with which a start fails."""
    said = node.fails("start", *arguments, code=code)
    packages = node.folder.path / "packages"
    assert not packages.exists() or list(packages.iterdir()) == []
    return said


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (b"no wasm at all", "neither a WebAssembly module nor a component"),
        (ECHO.read_bytes()[:1000], "x:x:local cannot be started from /x.wasm: "),
        (UNKNOWN_IMPORT, "it imports the function 'x' of 'weird', which this node does not offer"),
    ],
)
def test_g25_a_file_that_is_no_process_fails_its_start_and_not_the_node(
    node: RealNode, tmp_path: Path, code: bytes, sentence: str
) -> None:
    (tmp_path / "x.wasm").write_bytes(code)
    assert sentence in refused(node, tmp_path / "x.wasm")


def test_of_a_package_with_one_bad_process_none_is_started(node: RealNode, tmp_path: Path) -> None:
    folder = copy_package("echo", tmp_path / "box")
    (folder / "ping.wasm").unlink()
    sentence = refused(node, folder)
    assert "ping:box:local cannot be started from /ping.wasm: there is no such file" in sentence
    assert "none of the 2 processes of box:local has been started" in sentence


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "{path} is not a package: it holds no manifest.json, and no pkg/manifest.json.\n"),
        ({"manifest.json": "[{"}, "{path}/manifest.json cannot be used: it is not JSON"),
        ({"manifest.json": "[]", "metadata.json": '{"package": "A"}'}, "mend {path}/metadata.json.\n"),
    ],
)
def test_what_is_wrong_in_a_zip_is_said_of_the_zip(
    node: RealNode, tmp_path: Path, files: dict[str, str], sentence: str
) -> None:
    path = tmp_path / "box.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"readme": "", **files}.items():
            archive.writestr(name, text)
    said = refused(node, path)
    assert sentence.format(path=path) in said
    assert str(node.folder.path) not in said


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_keys_of_a_manifest_that_mean_nothing_are_said_in_one_line_and_do_no_harm(
    node: RealNode, tmp_path: Path, form: str
) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    manifest = [{"process_name": "e", "process_wasm_path": "/e.wasm", "publc": True, "on_exti": "None\x1b"}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "e.wasm").write_bytes(ECHO.read_bytes())
    path = zipped(folder) if form == "zip" else folder
    code, _, err = node.nectar("start", path)
    assert (code, err) == (0, f"The manifest.json of {path} has unknown keys: 'on_exti', 'publc'.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((ECHO, "--cap", "vfs"), "'vfs' is not a capability"),
        ((ECHO, "--name", "Not Good"), "--name takes"),
        ((ECHO, "--deny", "network"), "it asks for nothing"),
        ((PACKAGES / "echo", "--deny", "vfs:distro:sys"), "it asks for network"),
        ((PACKAGES / "echo", "--network"), "--network is for a single .wasm file"),
        ((PACKAGES / "echo", "--name", "x"), "--name is for a single .wasm file"),
        (("/no/thing",), "/no/thing does not exist: check the path.\n"),
        (("chat1",), "chat1 is no path and no package that comes with the node: these are awaiting, chat, "),
    ],
)
def test_arguments_that_make_no_sense_are_bad_usage(
    node: RealNode, arguments: tuple[str | Path, ...], sentence: str
) -> None:
    assert sentence in refused(node, *arguments, code=2)


@pytest.mark.parametrize("name", ["kernel:distro:sys", "mine:distro:sys", "terminal:terminal:sys"])
def test_g21_the_names_of_system_processes_are_refused(node: RealNode, name: str) -> None:
    assert f"{name} cannot be started: the name is a system process's" in refused(node, ECHO, "--name", name)


# --- kill -----------------------------------------------------------------------------------------------------------


def test_g22_a_killed_process_is_gone_and_does_not_start_again(node: RealNode) -> None:
    assert node.does("kill", "our@hello:hello:sys") == f"{NODE}@hello:hello:sys is gone.\n"
    assert node.running() == set()
    listing = f"nectar ps --node {NODE} --dir {node.network}"
    said = f"No process hello:hello:sys runs on a.nec: `{listing}` lists those that do.\n"
    assert node.fails("ps", "hello:hello:sys") == said


def test_g22_a_process_that_waits_for_its_restart_is_shown_and_can_be_killed(node: RealNode) -> None:
    node.does("start", DECODER, "--name", "d", "--on-exit", "restart")
    assert node.nectar("message", "our@d:d:local", "3").code == 4  # what is cut off makes it trap
    assert node.rows()["d:d:local"]["state"].startswith("starts again in ")
    node.does("kill", "d:d:local")
    assert node.running() == {"hello:hello:sys"}


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        ("no:body:sys", 1, "No process no:body:sys runs on a.nec"),
        ("vfs:distro:sys", 1, "vfs:distro:sys is a part of the node"),
        ("hello", 2, "is not a process id"),
        ("b.nec@hello:hello:sys", 2, "--node b.nec"),
    ],
)
def test_what_cannot_be_killed_is_one_sentence(node: RealNode, address: str, code: int, sentence: str) -> None:
    assert sentence in node.fails("kill", address, code=code)
