"""Other packages add commands to `nectar`; ours do not wait for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nectar_node.cli.main import build, main
from nectar_node.console.outcome import BAD_USAGE
from tests.seeds import sample

APP = """
import typer
app = typer.Typer()

@app.callback()
def group() -> None:
    "See the animals."

@app.command()
def fly() -> int:
    print("up and away")
    return 0
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with the commands `nectar circus`, whose code is the file that this returns."""
    metadata = tmp_path / "circus-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: circus\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[nectar.commands]\ncircus = circus_commands:app\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "circus_commands", raising=False)
    return tmp_path / "circus_commands.py"


def test_an_installed_package_adds_its_commands(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package.write_text(APP)
    assert main(["circus", "fly"]) == 0
    assert capsys.readouterr().out == "up and away\n"
    assert main(["--help"]) == 0
    assert "  circus " in capsys.readouterr().out


@pytest.mark.parametrize("code", sample(["1 / 0\n", "app = 7\n", "import no_such_module\n", ""], 2))
def test_one_that_is_broken_is_one_sentence_and_the_others_work(
    package: Path, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    package.write_text(code)
    assert main(["--help"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("The commands `nectar circus` ")
    assert said.err.count("\n") == 1
    assert "  testnet " in said.out


@pytest.mark.parametrize("words", sample([["send", "--help"], ["boot", "--help"], ["net", "--help"]]))
def test_our_own_commands_load_nobody_elses(words: list[str]) -> None:
    code = "import sys; from nectar_node.cli.main import main; main(sys.argv[1:]); print([*sys.modules])"
    ended = subprocess.run([sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, check=True)
    assert "'nectar_node.cli.main'" in ended.stdout
    assert "'testnet" not in ended.stdout


def test_a_command_of_one_group_does_not_load_the_others() -> None:
    code = "import sys; from nectar_node.cli.main import main; main(['testnet', '--help']); print([*sys.modules])"
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "'testnet.cli.testnet'" in ended.stdout
    assert "'testnet.cli.sim'" not in ended.stdout
    assert "'nectar_node.cli.backups.backup'" not in ended.stdout


def test_of_a_group_only_the_command_that_is_typed_is_made_and_of_a_misspelt_one_all() -> None:
    def made(*words: str) -> int:
        (group,) = build(words[0], words[1:]).registered_groups
        assert group.typer_instance is not None
        return len(group.typer_instance.registered_commands)

    assert made("keys", "show") == made("sim", "list") == 1
    assert made("keys", "shwo") == made("keys") == made("keys", "--help") > 1


def test_a_command_of_a_testnet_does_not_load_the_others_and_a_misspelt_one_is_told_which_it_resembles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; from nectar_node.cli.main import main; main(sys.argv[1:]); print([*sys.modules])"
    words = ["testnet", "down", "--help"]
    ended = subprocess.run([sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, check=True)
    assert "'testnet.cli.testnet'" in ended.stdout
    assert not [name for name in ("chaos", "faults", "scenarios", "watch") if f"'testnet.{name}" in ended.stdout]
    assert main(["testnet", "chaoss"]) == BAD_USAGE
    assert "Did you mean 'chaos'?" in capsys.readouterr().err
