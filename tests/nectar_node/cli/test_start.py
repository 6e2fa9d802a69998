"""What `nectar start` and `nectar kill` promise, on a real node with real guests."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.main import main
from nectar_node.launcher.local_network import LocalNetwork
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.real_node import NODE, PACKAGES, RealNode, copy_package

ECHO = PACKAGES / "echo" / "pkg" / "echo.wasm"
DECODER = PACKAGES / "crash_isolation" / "pkg" / "decoder.wasm"
UNKNOWN_IMPORT = b"\0asm\1\0\0\0" + b"\1\4\1\x60\0\0" + b"\2\x0b\1\5weird\1x\0\0"
"""A module that imports the function `x` of `weird`."""


def nectar(node: RealNode, *arguments: str | Path) -> int:
    return main([*map(str, arguments), "--node", NODE, "--dir", str(node.network)])


def rows(node: RealNode) -> list[dict[str, Any]]:
    with LocalNetwork(node.network).connect(NODE) as client:
        found: list[dict[str, Any]] = client.request("ps")["processes"]
    return found


def running(node: RealNode) -> set[str]:
    return {row["address"].removeprefix(f"{NODE}@") for row in rows(node)}


def held(node: RealNode, process: str) -> set[str]:
    """The capabilities of a process, as the command line shows them."""
    row = next(row for row in rows(node) if row["address"] == f"{NODE}@{process}")
    return set(row["capabilities"])


def test_a_single_file_runs_under_its_name_and_can_be_messaged(
    node: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(node, "start", ECHO) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == ["PROCESS\tASKS FOR\tGRANTED", "echo:echo:local\tnothing\t-"]
    assert "Started our@echo:echo:local: you may message it" in out
    assert f"nectar message our@echo:echo:local BODY --node {NODE} --dir {node.network}" in out
    assert nectar(node, "message", "our@echo:echo:local", "hi") == 0
    assert capsys.readouterr().out == "hi\n"


def test_g17_a_single_file_holds_what_its_user_gives_it_and_nothing_else(
    node: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    drive = 'vfs:distro:sys {"kind":"read","drive":"/a:sys/pkg"}'
    options = ("--name", "mine:box:some.nec", "--public", "--network", "--cap", "timer:distro:sys", "--cap", drive)
    assert nectar(node, "start", ECHO, *options, "--on-exit", "restart", "--json") == 0
    (started,) = json.loads(capsys.readouterr().out)["processes"]
    wanted = ["network", "timer:distro:sys", 'vfs:distro:sys {"drive":"/a:sys/pkg","kind":"read"}']
    assert (started["address"], started["asked"], started["granted"]) == (f"{NODE}@mine:box:some.nec", wanted, wanted)
    assert (started["public"], started["on_exit"]) == (True, "restart")
    assert held(node, "mine:box:some.nec") == set(wanted)


@pytest.mark.parametrize("option", [("--network",), ("--cap", "network"), ("--network", "--cap", "network")])
def test_g19_the_network_is_an_option_or_a_capability_like_any_other(node: RealNode, option: tuple[str, ...]) -> None:
    assert nectar(node, "start", ECHO, "--name", "mine:box:local", *option, "--cap", "timer:distro:sys") == 0
    assert held(node, "mine:box:local") == {"network", "timer:distro:sys"}


def test_g21_what_the_user_denies_is_asked_for_and_not_granted(
    node: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(node, "start", PACKAGES / "file_transfer", "--deny", "network", "--deny", "timer:distro:sys") == 0
    table = capsys.readouterr().out.splitlines()[1:4]
    assert table == [
        "file_transfer:file_transfer:sys\tnetwork\tno",
        "\tvfs:distro:sys\tyes",
        "\ttimer:distro:sys\tno",
    ]
    granted = held(node, "file_transfer:file_transfer:sys")
    assert "vfs:distro:sys" in granted
    assert granted.isdisjoint({"network", "timer:distro:sys"})


@pytest.mark.parametrize("form", ["folder", "pkg", "zip"])
def test_a_package_is_a_folder_or_a_zip(node: RealNode, tmp_path: Path, form: str) -> None:
    folder = copy_package("echo", tmp_path / "box" / "pkg")
    path = {"folder": folder.parent, "pkg": folder, "zip": tmp_path / "box:some.nec.zip"}[form]
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    assert nectar(node, "start", path) == 0
    publisher = "some.nec" if form == "zip" else "local"
    assert running(node) == {"hello:hello:sys", f"echo:box:{publisher}", f"ping:box:{publisher}"}


def test_a_package_that_is_started_again_takes_the_place_of_itself_and_its_old_copy_goes(
    node: RealNode, tmp_path: Path
) -> None:
    for content in (b"1", b"2"):
        with zipfile.ZipFile(tmp_path / "box.zip", "w") as archive:
            archive.write(ECHO, "echo.wasm")
            archive.writestr("manifest.json", '[{"process_name": "e", "process_wasm_path": "/echo.wasm"}]')
            archive.writestr("content", content)
        assert nectar(node, "start", tmp_path / "box.zip") == 0
    (copy,) = (node.folder.path / "packages").iterdir()
    assert (copy / "box" / "content").read_bytes() == b"2"
    assert running(node) == {"hello:hello:sys", "e:box:local"}


@pytest.mark.parametrize("on_exit", ["none", "restart"])
def test_a_process_that_traps_at_once_fails_its_start_which_says_why(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], on_exit: str
) -> None:
    (tmp_path / "brief.wasm").write_bytes(wat("(unreachable)"))
    assert nectar(node, "start", tmp_path / "brief.wasm", "--on-exit", on_exit) == 1
    out, err = capsys.readouterr()
    assert out == "PROCESS\tASKS FOR\tGRANTED\nbrief:brief:local\tnothing\t-\n"
    assert err.startswith("our@brief:brief:local was started and has ended already: ")
    assert "unreachable" in err
    assert err.count("\n") == 1
    assert nectar(node, "start", tmp_path / "brief.wasm", "--on-exit", on_exit, "--json") == 1
    (started,) = json.loads(capsys.readouterr().out)["processes"]
    assert started["ended"]
    assert "unreachable" in started["trap"]


def test_why_a_process_has_ended_is_not_said_of_the_next_one_of_its_name(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "brief.wasm").write_bytes(wat("(unreachable)"))
    assert nectar(node, "start", tmp_path / "brief.wasm") == 1
    (tmp_path / "brief.wasm").write_bytes(wat(""))
    assert nectar(node, "start", tmp_path / "brief.wasm") == 0
    assert "trap" not in capsys.readouterr().out


def test_a_process_that_returns_at_once_was_started_and_says_so(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "brief.wasm").write_bytes(wat(""))
    assert nectar(node, "start", tmp_path / "brief.wasm", "--network") == 0
    out = capsys.readouterr().out
    assert "brief:brief:local\tnetwork\tyes" in out
    assert "our@brief:brief:local was started and has ended already: `nectar logs --node a.nec --dir " in out


def test_a_package_without_processes_is_installed_and_says_so(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "manifest.json").write_text("[]")
    assert nectar(node, "start", tmp_path / "box") == 0
    assert "box:local is installed; it has no processes to start." in capsys.readouterr().out


# --- mistakes: one sentence, exit code 1, the node untouched --------------------------------------------------------


def refused(node: RealNode, capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 1) -> str:
    """The one sentence with which a start fails."""
    before = running(node)
    assert nectar(node, "start", *arguments) == code
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines()), err.endswith(".\n")) == ("", 1, True)
    assert running(node) == before
    packages = node.folder.path / "packages"
    assert not packages.exists() or list(packages.iterdir()) == []
    return str(err)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (b"no wasm at all", "neither a WebAssembly module nor a component"),
        (ECHO.read_bytes()[:1000], "x:x:local cannot be started from /x.wasm: "),
        (UNKNOWN_IMPORT, "it imports the function 'x' of 'weird', which this node does not offer"),
        (b"", "neither a WebAssembly module nor a component"),
    ],
)
def test_g25_a_file_that_is_no_process_fails_its_start_and_not_the_node(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: bytes, sentence: str
) -> None:
    (tmp_path / "x.wasm").write_bytes(code)
    assert sentence in refused(node, capsys, tmp_path / "x.wasm")


@pytest.mark.parametrize("name", ["kernel:distro:sys", "mine:distro:sys", "terminal:terminal:sys"])
def test_g21_the_names_of_system_processes_are_refused(
    node: RealNode, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert f"{name} cannot be started: the name is a system process's" in refused(node, capsys, ECHO, "--name", name)


def test_of_a_package_with_one_bad_process_none_is_started(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_package("echo", tmp_path / "box")
    (folder / "ping.wasm").unlink()
    sentence = refused(node, capsys, folder)
    assert "ping:box:local cannot be started from /ping.wasm: there is no such file" in sentence
    assert "none of the 2 processes of box:local has been started" in sentence


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ("[{", "is not JSON"),
        ("{}", "it must be an array"),
        ('[{"process_name": "a"}]', "process_wasm_path is missing"),
        ('[{"process_name": "a b", "process_wasm_path": "/echo.wasm"}]', "process name 'a b' must be"),
    ],
)
def test_a_bad_manifest_says_what_is_wrong_in_it(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: str, sentence: str
) -> None:
    folder = copy_package("echo", tmp_path / "box")
    (folder / "manifest.json").write_text(manifest)
    assert sentence in refused(node, capsys, folder)


def test_a_path_that_is_nothing_is_one_sentence(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"{tmp_path / 'nothing'} does not exist: check the path.\n" == refused(
        node, capsys, tmp_path / "nothing", code=2
    )
    assert "holds no manifest.json" in refused(node, capsys, tmp_path)
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 and no more")
    assert "is not a zip" in refused(node, capsys, tmp_path / "bad.zip")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "{path} is not a package: it holds no manifest.json, and no pkg/manifest.json.\n"),
        ({"manifest.json": "[{"}, "{path}/manifest.json cannot be used: it is not JSON"),
        ({"manifest.json": "[]", "metadata.json": '{"package": "A"}'}, "mend {path}/metadata.json.\n"),
    ],
)
def test_what_is_wrong_in_a_zip_is_said_of_the_zip(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], sentence: str
) -> None:
    path = tmp_path / "box.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"readme": "", **files}.items():
            archive.writestr(name, text)
    said = refused(node, capsys, path)
    assert sentence.format(path=path) in said
    assert str(node.folder.path) not in said


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_keys_of_a_manifest_that_mean_nothing_are_said_in_one_line_and_do_no_harm(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    folder, path = tmp_path / "box", tmp_path / "box.zip" if form == "zip" else tmp_path / "box"
    folder.mkdir()
    manifest = [{"process_name": "e", "process_wasm_path": "/e.wasm", "publc": True, "on_exti": "None\x1b"}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "e.wasm").write_bytes(ECHO.read_bytes())
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    assert nectar(node, "start", path) == 0
    said = f"The manifest.json of {path} has unknown keys: 'on_exti', 'publc'.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((ECHO, "--cap", "vfs"), "'vfs' is not a capability"),
        ((ECHO, "--name", "Not Good"), "--name takes"),
        ((ECHO, "--deny", "network"), "it asks for nothing"),
        ((PACKAGES / "echo", "--deny", "vfs:distro:sys"), "it asks for network"),
        ((PACKAGES / "echo", "--network"), "--network is for a single .wasm file"),
        ((PACKAGES / "echo", "--name", "x"), "--name is for a single .wasm file"),
    ],
)
def test_options_that_make_no_sense_are_bad_usage(
    node: RealNode, capsys: pytest.CaptureFixture[str], arguments: tuple[str | Path, ...], sentence: str
) -> None:
    assert sentence in refused(node, capsys, *arguments, code=2)


# --- kill -----------------------------------------------------------------------------------------------------------


def test_g22_a_killed_process_is_gone_and_does_not_start_again(
    node: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(node, "kill", "our@hello:hello:sys") == 0
    assert capsys.readouterr().out == f"{NODE}@hello:hello:sys is gone.\n"
    assert running(node) == set()
    assert nectar(node, "ps", "hello:hello:sys") == 1
    listing = f"nectar ps --node {NODE} --dir {node.network}"
    said = f"No process hello:hello:sys runs on a.nec: `{listing}` lists those that do.\n"
    assert capsys.readouterr().err == said


def test_g22_a_process_that_waits_for_its_restart_is_shown_and_can_be_killed(
    node: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(node, "start", DECODER, "--name", "d", "--on-exit", "restart") == 0
    assert nectar(node, "message", "our@d:d:local", "3") == 4  # what is cut off makes it trap
    capsys.readouterr()
    assert nectar(node, "ps", "--json") == 0
    states = {row["address"]: row["state"] for row in json.loads(capsys.readouterr().out)["processes"]}
    assert states[f"{NODE}@d:d:local"].startswith("starts again in ")
    assert nectar(node, "kill", "d:d:local") == 0
    assert running(node) == {"hello:hello:sys"}


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        ("no:body:sys", 1, "No process no:body:sys runs on a.nec"),
        ("vfs:distro:sys", 1, "vfs:distro:sys is a part of the node"),
        ("hello", 2, "is not a process id"),
        ("b.nec@hello:hello:sys", 2, "--node b.nec"),
    ],
)
def test_what_cannot_be_killed_is_one_sentence(
    node: RealNode, capsys: pytest.CaptureFixture[str], address: str, code: int, sentence: str
) -> None:
    assert nectar(node, "kill", address) == code
    assert sentence in capsys.readouterr().err
    assert running(node) == {"hello:hello:sys"}
