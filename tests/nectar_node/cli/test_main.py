"""Every error leaves the command line as one sentence and an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

from nectar_node.cli.main import build
from nectar_node.cli.sections import OTHERS, SECTIONS, SENTENCES
from tests.commands import nectar
from tests.nectar_node.cli.served_node import make_network, serve_node

ROOT = Path(__file__).resolve().parents[3]


COMMANDS = (
    *("testnet", "sim", "net", "boot", "send", "message", "start", "kill"),
    *("new", "build", "install", "upgrade", "rollback", "uninstall", "list", "info", "publish", "search"),
    *("run", "ps", "top", "peers", "df", "state", "errors", "trace", "logs", "replay"),
)


@pytest.mark.parametrize(
    "group",
    [[], ["testnet"], ["sim"], ["net"], ["keys"], ["directory"], ["state"], ["config"], ["backup"], ["sessions"]],
)
def test_in_80_columns_help_says_what_each_command_does_in_a_whole_sentence(
    monkeypatch: pytest.MonkeyPatch, group: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = nectar(*group, "--help")
    options, _, after = out.partition(" Show this message and exit.\n")
    commands = [line for line in after.splitlines() if line and not line.endswith(":")]
    assert (code, bool(options), bool(commands)) == (0, True, True)
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)
    assert group or all(f"  {command} " in out for command in COMMANDS)


def test_help_lists_each_command_of_the_node_once_and_in_a_section() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    out = nectar("--help").out
    assert len(listed) == len(set(listed))
    assert all(out.count(f"\n  {command} ") == 1 for command in COMMANDS)
    assert f"{OTHERS}:" not in out


def test_the_list_says_of_each_command_what_it_says_itself() -> None:
    commands = get_group(build()).commands
    assert {name: each.get_short_help_str(1000) for name, each in commands.items()} == SENTENCES


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["bild"]])
def test_words_that_name_no_command_load_none(words: list[str]) -> None:
    code = "import sys; from nectar_node.cli.main import main; main(sys.argv[1:]); print([*sys.modules])"
    ended = subprocess.run([sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, check=True)
    loaded = [
        each for each in ("nectar_node.cli.send", "nectar_node.cli.net", "testnet") if f"'{each}'" in ended.stdout
    ]
    assert loaded == []


@pytest.mark.parametrize(
    "arguments",
    [["fly"], ["send"], ["ps", "--node"], ["testnet", "sideways"], ["sim", "fly"], ["--x"], ["start"], ["run"]],
)
def test_bad_usage_is_one_line_and_exit_code_2(arguments: list[str]) -> None:
    ended = nectar(*arguments)
    assert (ended.code, ended.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new"], "Missing argument 'NAME'. `nectar new --help` shows what it takes.\n"),
        (["bild"], "No such command 'bild'. Did you mean 'build'? `nectar --help` shows what it takes.\n"),
        (["testnet", "sideways"], "No such command 'sideways'. `nectar testnet --help` shows what it takes.\n"),
    ],
)
def test_an_error_of_usage_names_the_help_to_read(words: list[str], said: str) -> None:
    assert nectar(*words).err == said


def test_a_language_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    said = "Invalid value for '--lang': 'pyhton' is not one of 'zig', 'python', 'javascript', 'c', 'rust'."
    assert nectar("new", tmp_path / "chess", "--lang", "pyhton").err.startswith(said)


def test_a_terminal_without_utf8_gets_question_marks_and_no_traceback(tmp_path: Path) -> None:
    answer = {"outcome": "response", "source": "our@a:b:sys", "claim": False, "body": "olé", "blob": None}
    command = [sys.executable, "-P", "-m", "nectar_node", "message", "our@a:b:sys", "x", "--node", "a.nec"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", lambda _: {"ok": answer}):
        done = subprocess.run([*command, "--dir", str(tmp_path)], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ol?\n", b"")


@pytest.mark.parametrize("words", [["peers", "--node", "a.nec"], ["boot", "a.nec"], ["keys", "show", "a.nec"]])
def test_a_file_is_no_testnet(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "file").touch()
    ended = nectar(*words, folder=tmp_path / "file")
    assert (ended.code, "is a file" in ended.err) == (2, True)


def test_an_unknown_node_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "nodes" / "a.nec").mkdir(parents=True)
    ended = nectar("ps", "--node", "b.nec", folder=tmp_path)
    said = f"There is no node b.nec in {tmp_path}: the nodes here are a.nec; "
    assert (ended.code, ended.err[: len(said)]) == (2, said)


def test_what_the_operating_system_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "testnet.json").write_text("{}")
    (tmp_path / "nodes").write_text("not a folder")
    said = f"The operating system refused: {tmp_path / 'nodes'}: Not a directory.\n"
    assert nectar("boot", "a.nec", "--detach", "--join", tmp_path) == (1, "", said)


def test_a_reader_that_goes_away_causes_no_traceback(tmp_path: Path) -> None:
    log = tmp_path / "nodes" / "a.nec" / "log"
    log.parent.mkdir(parents=True)
    log.write_text("line\n" * 100_000)
    command = [sys.executable, "-m", "nectar_node", "logs", "--node", "a.nec", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_ctrl_c_while_the_command_is_still_loading_ends_it_without_a_word() -> None:
    code = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == "nectar_node.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
signal.signal(signal.SIGINT, signal.default_int_handler)
from nectar_node.cli.entry import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_a_client_command_loads_neither_the_event_loop_nor_the_engine() -> None:
    code = "import sys, nectar_node.cli.main; print({'trio', 'wasmtime', 'cryptography'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"
