"""`nectar testnet watch --web` as people start it, on a testnet of real nodes."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testnet.cli.lab import Shell
from tests.testnet.web.watching import LIMIT, Browser, watching

ONE, OTHER = "one.nec", "other.nec"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("watched") / "testnet")
    shell.say("testnet", "up", "--nodes", f"{ONE},{OTHER}", "--detach")
    yield shell
    shell.say("testnet", "down")


@pytest.fixture(scope="module")
def browser(shell: Shell) -> Iterator[Browser]:
    with watching(shell.folder) as browser:
        yield browser


def test_a_fault_that_is_set_there_holds_is_seen_and_ends(shell: Shell, browser: Browser) -> None:
    status, row = browser.ask("/api/fault", {"kind": "partition", "between": f"{ONE},{OTHER}"})
    assert (status, row["words"]) == (200, f"partition {ONE} from {OTHER}")
    assert shell.greet(ONE, OTHER, timeout=1) == "Timeout"
    look = browser.see(lambda look: bool(look["faults"]))
    assert [each["faults"] for each in look["links"] if each["ends"] == [ONE, OTHER]] == [["partition"]]
    assert [each["number"] for each in shell.json("testnet", "fault", "list")["faults"]] == [row["number"]]
    status, told = browser.ask("/api/remove", {"number": row["number"]})
    assert (status, [each["number"] for each in told["removed"]]) == (200, [row["number"]])
    browser.see(lambda look: not look["faults"])
    assert shell.greet(ONE, OTHER) == "Answered"


def test_a_fault_from_the_command_line_is_seen_there(shell: Shell, browser: Browser) -> None:
    row = shell.json("testnet", "fault", "add", "latency", "seconds=0.01", "--node", ONE)
    look = browser.see(lambda look: bool(look["faults"]))
    assert look["faults"][0]["words"] == row["words"]
    browser.ask("/api/remove", {"number": None})


@pytest.mark.parametrize(
    ("order", "field", "words"),
    [
        ({"kind": "latency", "parameters": {"seconds": "much"}}, "seconds", "latency: seconds must be a number"),
        ({"kind": "partition", "between": ONE}, "", "between must be the names of two nodes"),
        ({"kind": "partition", "between": f"{ONE},{OTHER}", "node": ONE}, "", "Give one of"),
        ({"kind": "loss", "seconds": "a while"}, "for", "is not a number of seconds"),
        ({"kind": "clock_step", "node": ONE}, "kind", "no fault 'clock_step' for real nodes"),
        ({"kind": "/tmp/own.py:Own"}, "kind", "no fault '/tmp/own.py:Own'"),
        ({"kind": "loss", "node": "nobody.nec"}, None, "The links lead to no node nobody.nec"),
        ({"kind": "loss", "seconds": "-1"}, None, "A fault holds for more than 0"),
    ],
)
def test_what_is_wrong_with_a_fault_is_a_sentence_beside_its_field(
    shell: Shell, browser: Browser, order: dict[str, Any], field: str | None, words: str
) -> None:
    status, told = browser.ask("/api/fault", order)
    assert (status, told["error"].get("field")) == (400, field)
    assert words in told["error"]["sentence"]
    assert shell.json("testnet", "fault", "list")["faults"] == []


def test_a_node_is_paused_resumed_killed_and_started_there(shell: Shell, browser: Browser) -> None:
    def state(look: dict[str, Any]) -> str:
        return str(next(each["state"] for each in look["nodes"] if each["name"] == OTHER))

    for order, becomes in (("pause", "paused"), ("resume", "running"), ("kill", "down"), ("restart", "running")):
        status, told = browser.ask("/api/node", {"name": OTHER, "order": order})
        assert status == 200, told
        assert told["sentence"].startswith(OTHER)
        browser.see(lambda look, becomes=becomes: state(look) == becomes)  # type: ignore[misc]
    assert shell.node(OTHER)["state"] == "running"


@pytest.mark.parametrize(
    ("name", "order", "words"),
    [("nobody.nec", "pause", "There is no node nobody.nec"), (ONE, "explode", "There is no order 'explode'")],
)
def test_what_cannot_be_done_to_a_node_is_a_sentence(browser: Browser, name: str, order: str, words: str) -> None:
    status, told = browser.ask("/api/node", {"name": name, "order": order})
    assert (status, words in told["error"]["sentence"]) == (400, True)


def test_a_second_browser_gets_a_link_of_its_own(browser: Browser) -> None:
    second = Browser(browser.process, browser.ask("/api/link", {})[1]["url"])
    second.sign_in()
    assert second.cookie != browser.cookie
    assert second.ask("/api/faults")[0] == 200
    stranger = Browser(browser.process, browser.url)
    stranger.sign_in()
    assert stranger.ask("/api/faults")[0] == 401


def test_ctrl_c_ends_it_while_a_page_follows_and_the_testnet_goes_on(shell: Shell) -> None:
    with watching(shell.folder) as browser:
        connection = browser.connect()
        connection.request("GET", "/api/events", headers={"Cookie": browser.cookie})
        events = connection.getresponse()
        events.readline()
        browser.process.send_signal(signal.SIGINT)
        events.read()  # to an orderly end
        _, complaints = browser.process.communicate(timeout=LIMIT)
        assert (browser.process.returncode, complaints) == (0, "")
    assert shell.greet(ONE, OTHER) == "Answered"


def test_ctrl_c_ends_chaos_too_with_its_faults_and_a_report(shell: Shell) -> None:
    with watching(shell.folder) as browser:
        assert browser.ask("/api/chaos", {"minutes": 5, "seed": 7}) == (200, {})
        assert browser.ask("/api/chaos", {"minutes": 5})[0] == 409
        browser.see(lambda chaos: bool((chaos["running"] or {}).get("promises")), "chaos")
        browser.process.send_signal(signal.SIGINT)
        _, said = browser.process.communicate(timeout=LIMIT)
        assert browser.process.returncode == 0
    assert said.startswith("Ending the chaos")
    assert "\nChaos with seed 7 for " in said
    assert shell.json("testnet", "fault", "list")["faults"] == []


def test_a_port_in_use_is_one_sentence(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = shell.fails("testnet", "watch", "--web", "--port", str(port))
    sentence = f"The HTTP server cannot listen on 127.0.0.1:{port}, which is in use: choose another port for --port."
    assert (code, said) == (1, sentence)


def test_options_of_the_page_are_for_the_page(shell: Shell) -> None:
    assert shell.fails("testnet", "watch", "--port", "1") == (2, "--port and --print are for the page: add --web.")


def test_a_testnet_that_goes_down_is_said_to_and_one_that_is_down_is_not_watched(tmp_path: Path) -> None:
    short = Shell(tmp_path / "testnet")
    short.say("testnet", "up", "--nodes", ONE, "--direct", "--detach")
    sentence = f"The testnet in {short.folder} is down: start it with `nectar testnet up --dir {short.folder}`."
    with watching(short.folder) as browser:
        assert browser.see(lambda _: True)["down"] == ""
        short.say("testnet", "down")
        assert browser.see(lambda look: bool(look["down"]))["down"] == sentence
        browser.process.send_signal(signal.SIGINT)
        _, complaints = browser.process.communicate(timeout=LIMIT)
        assert (browser.process.returncode, complaints) == (0, f"{sentence}\n")
    assert short.fails("testnet", "watch", "--web") == (1, sentence)
