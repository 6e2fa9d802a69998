"""What `nectar state` shows and removes, on a real node (G27)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nectar_node.base.errors import NeedsConsent
from nectar_node.cli import df
from nectar_node.cli.main import main
from nectar_node.launcher.local_network import LocalNetwork
from tests.conformance.lab import PROBE
from tests.conformance.steps import respond, script, set_state
from tests.nectar_node.cli.real_node import NODE, RealNode

SAVED = "a:box:local"


def nectar(node: RealNode, *arguments: str | Path) -> int:
    return main([*map(str, arguments), "--node", NODE, "--dir", str(node.network)])


@pytest.fixture
def saved(node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> RealNode:
    """A node with a process that has saved a state."""
    folder = tmp_path / "box"
    folder.mkdir()
    shutil.copy(PROBE, folder)
    entry = {"process_name": "a", "process_wasm_path": f"/{PROBE.name}", "public": True}
    (folder / "manifest.json").write_text(json.dumps([entry]))
    assert nectar(node, "start", folder) == 0
    with LocalNetwork(node.network).connect(NODE) as client:
        body = script(set_state("x" * 2048), respond("done")).decode()
        assert client.request("message", target=f"our@{SAVED}", body=body)["body"] == "done"
    capsys.readouterr()
    return node


def listed(node: RealNode, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert nectar(node, "state", "list", "--json") == 0
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)["states"]
    return rows


def test_what_processes_have_saved_is_listed(saved: RealNode, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"process": SAVED, "package": "box:local", "bytes": 2048, "status": "runs"}
    assert listed(saved, capsys) == [row]
    assert nectar(saved, "state", "list") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [f"{SAVED}\tbox:local\t2.0 KiB\truns"]


def test_the_state_of_a_process_that_runs_is_not_removed(saved: RealNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert nectar(saved, "state", "remove", SAVED, "--yes") == 1
    assert capsys.readouterr().err == f"{SAVED} runs on {NODE}, and may save its state again: end it first.\n"
    assert len(listed(saved, capsys)) == 1


def test_the_state_of_a_process_that_is_gone_is_removed_for_good(
    saved: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nectar(saved, "kill", SAVED) == 0
    capsys.readouterr()
    assert [row["status"] for row in listed(saved, capsys)] == ["gone"]
    assert nectar(saved, "state", "remove", SAVED, "--yes") == 0
    assert capsys.readouterr().out == f"The state of {SAVED} is gone: 2.0 KiB.\n"
    assert listed(saved, capsys) == []
    assert nectar(saved, "state", "list") == 0
    assert capsys.readouterr().err == f"No process of {NODE} has saved anything.\n"
    assert nectar(saved, "state", "remove", SAVED, "--yes") == 1
    assert capsys.readouterr().err == f"{SAVED} has saved no state on {NODE}.\n"


def test_nothing_is_removed_before_somebody_says_yes(
    saved: RealNode, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nectar(saved, "kill", SAVED)
    capsys.readouterr()
    assert nectar(saved, "state", "remove", SAVED) == 1
    assert capsys.readouterr().err == f"The state of {SAVED} is not removed: it cannot be had back. --yes removes it.\n"
    with monkeypatch.context() as asked:
        for stream in ("stdin", "stdout"):
            asked.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
        asked.setattr("builtins.input", lambda _: "n")
        with pytest.raises(NeedsConsent, match="you did not say yes"):
            df.remove(SAVED, NODE, directory=saved.network)
    assert len(listed(saved, capsys)) == 1
    with monkeypatch.context() as asked:
        for stream in ("stdin", "stdout"):
            asked.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
        asked.setattr("builtins.input", lambda _: "y")
        assert df.remove(SAVED, NODE, directory=saved.network) == 0
    capsys.readouterr()
    assert listed(saved, capsys) == []
