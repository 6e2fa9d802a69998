"""Requests between processes on two nodes, and what their user is told."""

from __future__ import annotations

import json

from nectar_node.launcher.boot_options import DEFAULT_OPTIONS
from testnet.real.local import LocalTestnet
from tests.end_to_end.lab import HELLO, RECEIVER, SENDER, Lab, nectar


def test_a_request_is_answered_by_a_process_on_another_node(lab: Lab) -> None:
    ended = lab.nectar("message", f"{RECEIVER}@hello:hello:sys", '{"Greet": "world"}', "--node", SENDER)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {"Greeting": f"Hello, world, from {RECEIVER}"}


def test_a_process_asks_one_on_another_node(lab: Lab) -> None:
    answer = lab.ask(HELLO, {"Ask": {"node": RECEIVER, "name": "world", "timeout": 5}})
    assert answer == {"Answered": {"body": {"Greeting": f"Hello, world, from {RECEIVER}"}}}


def test_a_request_to_a_node_that_nobody_knows_is_offline(lab: Lab) -> None:
    ended = lab.nectar("message", "nobody.nec@hello:hello:sys", "x", "--node", SENDER)
    assert ended.returncode == 3
    assert ended.stderr.startswith("Offline: no response from nobody.nec@hello:hello:sys")


def test_a_request_to_a_process_that_does_not_exist_times_out(lab: Lab) -> None:
    ended = lab.nectar("message", "our@nothing:hello:sys", "x", "--node", SENDER, "--timeout", "1")
    assert ended.returncode == 4
    assert ended.stderr.startswith("Timeout: no response from our@nothing:hello:sys")


def test_a_process_is_told_when_the_other_node_has_stopped(lab: Lab) -> None:
    lab.nodes.stop(RECEIVER)
    answer = lab.ask(HELLO, {"Ask": {"node": RECEIVER, "name": "world", "timeout": 20}}, timeout=25)
    assert answer == {"Failed": {"kind": "Offline"}}


def test_a_node_with_the_right_name_and_the_wrong_key_is_refused(lab: Lab, fresh_network: LocalTestnet) -> None:
    lab.nodes.stop(RECEIVER)
    fresh_network.start()
    fresh_network.add(RECEIVER, lab.links.connect(RECEIVER).options(DEFAULT_OPTIONS))
    before = lab.connections()
    answer = lab.ask(HELLO, {"Ask": {"node": RECEIVER, "name": "world", "timeout": 20}}, timeout=25)
    assert answer == {"Failed": {"kind": "Offline"}}
    ended = lab.nectar("message", f"{RECEIVER}@hello:hello:sys", "x", "--node", SENDER)
    assert ended.returncode == 3
    assert "(bad key): " in ended.stderr
    assert lab.connections() > before
    assert "Hello" not in fresh_network.log(RECEIVER)


def test_ps_shows_the_full_address_of_each_process(lab: Lab) -> None:
    ended = lab.nectar("ps", "--node", SENDER, "--json")
    addresses = {row["address"] for row in json.loads(ended.stdout)["processes"]}
    assert {f"{SENDER}@hello:hello:sys", f"{SENDER}@file_transfer:file_transfer:sys"} <= addresses


def test_peers_shows_the_node_that_was_spoken_to(lab: Lab) -> None:
    lab.ask(HELLO, {"Ask": {"node": RECEIVER, "name": "world", "timeout": 5}})
    ended = lab.nectar("peers", "--node", SENDER, "--json")
    peer = next(row for row in json.loads(ended.stdout)["peers"] if row["name"] == RECEIVER)
    assert (peer["state"], peer["router"]) == ("up", None)
    assert 0 < peer["round_trip_seconds"] < 5


def test_diagnose_finds_the_other_node_and_pings_it(lab: Lab) -> None:
    ended = lab.nectar("net", "diagnose", RECEIVER, "--node", SENDER)
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, ended
    assert lines[0].startswith("record     ")
    assert (lines[-2].startswith("ping       "), lines[-1]) == (True, f"{RECEIVER} can be reached.")


def test_diagnose_says_what_to_do_about_a_name_that_nobody_has(lab: Lab) -> None:
    ended = lab.nectar("net", "diagnose", "nobody.nec", "--node", SENDER)
    assert (ended.returncode, ended.stdout) == (3, "record     the registrar knows no node of that name\n")
    assert "Check the spelling" in ended.stderr


def test_what_a_process_prints_is_in_the_log_of_its_node(lab: Lab) -> None:
    lab.nodes.stop(RECEIVER)
    lab.ask(HELLO, {"Ask": {"node": RECEIVER, "name": "world", "timeout": 20}}, timeout=25)
    ended = lab.nectar("logs", "--node", SENDER)
    assert any("hello:hello:sys" in line and "offline" in line for line in ended.stdout.splitlines())


def test_a_command_for_another_folder_finds_no_node(lab: Lab) -> None:
    ended = nectar("ps", "--node", SENDER, folder=lab.folder / "elsewhere")
    assert ended.returncode == 1
    assert ended.stderr.startswith("There is no testnet in ")


def test_a_node_that_stops_says_goodbye_and_nobody_waits_for_it_to_come_back(fresh_network: LocalTestnet) -> None:
    fresh_network.start(["a.nec", "b.nec"])
    greet = ("a.nec", "b.nec@hello:hello:sys", '{"Greet": "x"}')
    assert fresh_network.message(*greet)["outcome"] == "response"
    fresh_network.stop("b.nec")
    assert fresh_network.message(*greet) == {"outcome": "offline", "reason": "refused"}
