"""What `nectar logs` promises."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.base.log import older
from nectar_node.launcher.log_reader import Follower, everything, last_line, tail_offset
from tests.commands import nectar
from tests.nectar_node.cli.served_node import make_network


def logged(folder: Path, text: str) -> Path:
    make_network(folder, "a.nec")
    log = folder / "nodes" / "a.nec" / "log"
    log.write_text(text)
    return log


def test_the_log_of_a_stopped_node_is_printed_if_it_has_one(tmp_path: Path) -> None:
    make_network(tmp_path / "none", "a.nec")
    assert "has no log yet" in nectar("logs", "--node", "a.nec", folder=tmp_path / "none").err
    logged(tmp_path, "one\ntwo\nunfinished")
    assert nectar("logs", "--node", "a.nec", folder=tmp_path).out == "one\ntwo\nunfinished\n"


@pytest.mark.parametrize(
    ("options", "shown"),
    [((), "1234"), (("-n", "3"), "234"), (("-n", "2"), "34"), (("-n", "9"), "1234"), (("-n", "0"), "")],
)
def test_a_log_that_was_rotated_is_one_log(tmp_path: Path, options: tuple[str, ...], shown: str) -> None:
    older(logged(tmp_path, "3\n4\n")).write_text("1\n2\n")
    assert nectar("logs", "--node", "a.nec", *options, folder=tmp_path) == (0, "".join(f"{n}\n" for n in shown), "")


def test_a_follower_loses_and_repeats_nothing_when_the_log_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")
    follower = everything(log)
    assert list(follower.lines()) == ["one"]
    for rest, fresh in (("two", "three"), ("four", "five")):
        with log.open("a") as file:
            file.write(f"{rest}\n")
        log.replace(older(log))
        log.write_text(f"{fresh}\n")
        assert list(follower.lines()) == [rest, fresh]
        assert list(follower.lines()) == []


def test_a_follower_gives_each_line_once_and_only_when_it_is_complete_and_begins_again_with_a_new_log(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    follower = Follower(log)
    assert list(follower.lines()) == []
    log.write_text("one\ntw")
    assert list(follower.lines()) == ["one"]
    log.write_text("one\ntwo\nthree\n")
    assert list(follower.lines()) == ["two", "three"]
    assert list(follower.lines()) == []
    log = tmp_path / "log"
    log.write_text("a long first line\n")
    follower = Follower(log)
    assert list(follower.lines()) == ["a long first line"]
    log.write_text("new\n")
    assert list(follower.lines()) == ["new"]


@given(st.lists(st.sampled_from(["", "a", "bc"]), max_size=6), st.booleans(), st.integers(0, 7))
def test_a_tail_is_the_last_lines(lines: list[str], finished: bool, count: int) -> None:
    text = "\n".join(lines) + ("\n" if finished and lines else "")
    expected = text.splitlines(keepends=True)[-count:] if count else []
    with tempfile.NamedTemporaryFile("w") as log:
        log.write(text)
        log.flush()
        assert text[tail_offset(Path(log.name), count) :] == "".join(expected)


@pytest.mark.parametrize(("text", "last"), [(None, ""), ("", ""), ("a\n", "a"), ("a\nb", "b"), ("a\n\n  \n", "a")])
def test_the_last_line_that_says_something_is_found(tmp_path: Path, text: str | None, last: str) -> None:
    if text is not None:
        (tmp_path / "log").write_text(text)
    assert last_line(tmp_path / "log") == last


def test_a_log_that_is_a_link_is_not_shown(tmp_path: Path) -> None:
    log = logged(tmp_path, "")
    (tmp_path / "secret").write_text("secret\n")
    log.unlink()
    log.symlink_to(tmp_path / "secret")
    code, out, err = nectar("logs", "--node", "a.nec", folder=tmp_path)
    assert (code, out, "is a link" in err) == (1, "", True)
