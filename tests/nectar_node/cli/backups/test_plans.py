"""`nectar backup add` and `set` give a remote its plan, a running node learns of it, `status` says what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nectar_node.backup.stores.node_backups import NodeBackups
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import NODES_FOLDER
from tests.commands import Ended, nectar
from tests.nectar_node.cli.served_node import make_network, serve_node

NAME = "a.nec"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The folder of a stopped node with one remote."""
    folder = make_network(tmp_path / "net", NAME)
    place = NodeFolder(folder / NODES_FOLDER / NAME)
    place.create()
    NodeBackups(place, folder).add("disk", str(tmp_path / "disk"))
    return folder


def backup(network: Path, *words: str | Path) -> Ended:
    return nectar("backup", *words, "--node", NAME, folder=network)


def told(network: Path) -> dict[str, Any]:
    (row,) = backup(network, "status", "--json").json
    assert isinstance(row, dict)
    return row


def test_copies_are_continuous_unless_told_otherwise_and_an_hour_without_one_is_warned_of(network: Path) -> None:
    row = told(network)
    assert (row["plan"], row["every_seconds"], row["warn_after_seconds"]) == ("continuous", None, 3600)


@pytest.mark.parametrize(
    ("words", "said", "row"),
    [
        (["--every", "6h"], "every 6 h; a warning after 12 h", ("scheduled", 21600, 43200)),
        (["--every", "90 min", "--warn-after", "1d"], "every 90 min; a warning after 1 d", ("scheduled", 5400, 86400)),
        (["--manual"], "by hand; nobody is warned", ("manual", None, None)),
        (["--manual", "--warn-after", "7d"], "by hand; a warning after 7 d", ("manual", None, 604800)),
        (["--warn-after", "never"], "continuous; nobody is warned", ("continuous", None, None)),
        ([], "continuous; a warning after 1 h", ("continuous", None, 3600)),
    ],
)
def test_a_plan_is_set(network: Path, words: list[str], said: str, row: tuple[object, ...], tmp_path: Path) -> None:
    assert backup(network, "set", "disk", *words).out == f"disk: {said}.\n"
    found = told(network)
    assert (found["plan"], found["every_seconds"], found["warn_after_seconds"]) == row
    assert backup(network, "add", "other", tmp_path / "other", *words).code == 0
    one, other = (
        (each["plan"], each["every_seconds"], each["warn_after_seconds"])
        for each in backup(network, "list", "--json").json
    )
    assert one == other


def test_what_is_not_said_stays_as_it_was(network: Path) -> None:
    backup(network, "set", "disk", "--every", "6h", "--warn-after", "2d")
    backup(network, "set", "disk", "--continuous")
    assert told(network)["warn_after_seconds"] == 172800
    assert "continuous" in backup(network, "list").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--every", "often"], "'often' is not a duration"),
        (["--every", "0s"], "'0s' is too short"),
        (["--every", "9999d"], "'9999d' is too long"),
        (["--warn-after", "0s"], "'0s' is too short"),
        (["--every", "1h", "--manual"], "say one of these"),
    ],
)
def test_a_plan_that_makes_no_sense_is_one_sentence(network: Path, words: list[str], said: str) -> None:
    ended = backup(network, "set", "disk", *words)
    assert ended.code == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


def test_status_says_when_copies_are_made_also_while_the_node_is_stopped(network: Path) -> None:
    assert "Continuous, while the node runs." in backup(network, "status").out
    backup(network, "set", "disk", "--manual")
    assert "By hand." in backup(network, "status").out


def running(network: Path, row: dict[str, object], *words: str | Path) -> tuple[Ended, list[dict[str, Any]]]:
    """What becomes of a command while the node runs and says this of its remote; and what it was asked."""
    everything = {"name": "disk", "failure": None, "failures": 0, "warning": None, "copy": None}
    times = {"running_seconds": None, "waiting_seconds": None, "next_seconds": None}
    with serve_node(network, NAME, lambda _: {"ok": {"remotes": [everything | times | row]}}) as node:
        return backup(network, *words), node.requests


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "nothing waits. Continuous; the next copy begins after the next change."),
        (
            {"next_seconds": 82800.0},
            "nothing waits. Continuous; the next copy begins after the next change, or in 23 h.",
        ),
        ({"waiting_seconds": 5.0, "next_seconds": 0.0}, "Continuous; the next copy begins now."),
        ({"waiting_seconds": 5.0, "next_seconds": 25.0}, "Continuous; the next copy begins in 25 s."),
        ({"waiting_seconds": 5.0, "running_seconds": 65.2}, "a copy has been under way for 1 min 5 s."),
        ({"waiting_seconds": 5.0, "failure": "It was down."}, "The last attempt failed: It was down."),
    ],
)
def test_a_running_node_says_what_comes_next(network: Path, row: dict[str, object], said: str) -> None:
    ended, _ = running(network, row, "status")
    assert said in ended.out
    assert len(ended.out.splitlines()) == 1
    found, _ = running(network, row, "status", "--json")
    assert found.json[0]["node"] == "running"
    assert found.json[0]["next_seconds"] == row.get("next_seconds")


def test_a_running_node_learns_of_every_change_at_once(network: Path, tmp_path: Path) -> None:
    for words, name in (
        (("set", "disk", "--every", "1h"), "disk"),
        (("add", "new", str(tmp_path / "new")), "new"),
        (("remove", "new"), ""),
    ):
        ended, requests = running(network, {}, *words)
        assert ended.code == 0
        assert requests == [{"command": "backups", "name": name}]


def test_a_change_holds_even_if_the_running_node_does_not_answer(network: Path) -> None:
    with serve_node(network, NAME, lambda _: None):
        ended = backup(network, "set", "disk", "--manual")
    assert ended.code == 0
    assert "a.nec learns of it at its next boot" in ended.err
    assert told(network)["plan"] == "manual"
