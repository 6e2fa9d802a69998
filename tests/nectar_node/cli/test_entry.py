"""The start of the `nectar` command: what is loaded, and that the words read without Typer mean what Typer reads."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nectar_node.cli.entry import FLAGS, OPTIONS, plain_send
from nectar_node.cli.main import build

NOT_NEEDED = {
    "apsw",
    "blake3",
    "cbor2",
    "cryptography",
    "h11",
    "hypercorn",
    "importlib.metadata",
    "nacl",
    "noise",
    "rich",
    "trio",
    "wasmtime",
    "zstandard",
}
"""What `nectar send` has no use for; the first words of modules' names."""
TYPERS = {"typer", "pydantic"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NECTAR_DIR", raising=False)
    (tmp_path / "a.txt").write_text("x")
    for folder in (".nectar", "net", "--from"):
        (tmp_path / folder).mkdir()
    return tmp_path


def typers_send() -> Any:
    return get_command(build("send")).commands["send"]  # type: ignore[attr-defined]


def loaded(words: list[str]) -> set[str]:
    """Return the modules that are loaded after such a command."""
    code = "import sys; from nectar_node.cli.entry import main; main(); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    return set(ended.stdout.splitlines()[-1].split())


def test_sending_a_file_loads_nothing_that_it_does_not_need(here: Path) -> None:
    modules = loaded(["send", "a.txt", "--from", "a.nec", "--to", "b.nec"])
    assert "nectar_node.launcher.file_transfer" in modules
    assert modules & (NOT_NEEDED | TYPERS) == set()


def test_the_help_of_a_command_loads_nothing_that_it_does_not_need() -> None:
    modules = loaded(["send", "--help"])
    assert "typer" in modules
    # Pydantic, by which Typer reads values, looks for its plug-ins.
    assert modules & (NOT_NEEDED - {"importlib.metadata"}) == set()


def test_the_words_of_send_are_those_that_typer_knows() -> None:
    options = {each.opts[0]: each.name for each in typers_send().params if each.param_type_name == "option"}
    assert options == OPTIONS | FLAGS
    required = {each.name for each in typers_send().params if each.required}
    assert required == {"files", "source", "targets"}


def test_several_files_and_folders_go_to_several_nodes(here: Path) -> None:
    words = ["a.txt", "--to", "b.nec", "net", "--from", "a.nec", "--to", "c.nec"]
    found = plain_send(["send", *words])
    assert found is not None
    assert {"as_json": False, **found} == typers_send().make_context("send", words).params | {
        "directory": Path(".nectar")
    }


PARTS = (["a.txt"], ["--from", "a.nec"], ["--to", "b.nec"], ["--dir", "net"], ["--json"])


@pytest.mark.parametrize("count", [3, 4, 5])
def test_whatever_their_order_they_mean_what_typer_reads(here: Path, count: int) -> None:
    send = typers_send()
    for parts in itertools.permutations(PARTS[:count]):
        words = list(itertools.chain(*parts))
        found = plain_send(["send", *words])
        assert found is not None, words
        assert {"as_json": False, **found} == send.make_context("send", words).params, words


def test_the_folder_of_the_environment_is_the_usual_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NECTAR_DIR", "net")
    words = ["a.txt", "--from", "a.nec", "--to", "b.nec"]
    found = plain_send(["send", *words])
    assert found is not None
    assert found["directory"] == typers_send().make_context("send", words).params["directory"] == Path("net")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "ps",
        "send",
        "send --help",
        "send a.txt --from a.nec",
        "send a.txt --from a.nec --to",
        "send a.txt missing --from a.nec --to b.nec",
        "send a.txt --from a.nec --from a.nec --to b.nec",
        "send a.txt --from a.nec --to b.nec --json --json",
        "send a.txt --from=a.nec --to b.nec",
        "send a.txt --from a.nec --to b.nec --wat",
        "send a.txt --from --to --to b.nec",
        "send -- a.txt --from a.nec --to b.nec",
        "send missing --from a.nec --to b.nec",
        "send a.txt --from a.nec --to b.nec --dir missing",
        "send a.txt --from a.nec --to b.nec --dir a.txt",
    ],
)
def test_all_else_is_left_to_typer(here: Path, words: str) -> None:
    assert plain_send(words.split()) is None


@pytest.mark.parametrize("sender", [["--from", "a.nec"], ["--from=a.nec"]])
def test_both_ways_end_with_the_same_sentence_and_exit_code(here: Path, sender: list[str]) -> None:
    words = ["send", "a.txt", *sender, "--to", "b.nec"]
    environment = {name: value for name, value in os.environ.items() if name != "NECTAR_DIR"}
    command = [sys.executable, "-m", "nectar_node", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "There is no testnet in .nectar: start one with `nectar testnet up`.\n"
