"""Requests between processes on two nodes, and what their user is told."""

from __future__ import annotations

from nectar_node.launcher.boot_options import DEFAULT_OPTIONS
from testnet.real.local import LocalTestnet
from tests.end_to_end.lab import HELLO, RECEIVER, SENDER, Lab


def test_a_request_is_answered_by_a_process_on_another_node(lab: Lab) -> None:
    ended = lab.nectar("message", f"{RECEIVER}@hello:hello:sys", '{"Greet": "world"}', "--node", SENDER)
    assert (ended.code, ended.err) == (0, "")
    assert ended.json == {"Greeting": f"Hello, world, from {RECEIVER}"}


ASK = {"Ask": {"node": RECEIVER, "name": "world", "timeout": 20}}


def test_a_process_is_told_when_the_other_node_has_stopped_and_what_it_prints_is_in_the_log_of_its_node(
    lab: Lab,
) -> None:
    lab.nodes.stop(RECEIVER)
    assert lab.ask(HELLO, ASK, timeout=25) == {"Failed": {"kind": "Offline"}}
    lines = lab.nectar("logs", "--node", SENDER).out.splitlines()
    assert any("hello:hello:sys" in line and "offline" in line for line in lines)


def test_a_node_with_the_right_name_and_the_wrong_key_is_refused(lab: Lab, fresh_network: LocalTestnet) -> None:
    lab.nodes.stop(RECEIVER)
    fresh_network.start()
    fresh_network.add(RECEIVER, lab.links.connect(RECEIVER).options(DEFAULT_OPTIONS))
    before = lab.connections()
    assert lab.ask(HELLO, ASK, timeout=25) == {"Failed": {"kind": "Offline"}}
    ended = lab.nectar("message", f"{RECEIVER}@hello:hello:sys", "x", "--node", SENDER)
    assert (ended.code, "(bad key): " in ended.err) == (3, True)
    assert lab.connections() > before
    assert "Hello" not in fresh_network.log(RECEIVER)


def test_peers_shows_the_node_that_a_process_has_spoken_to(lab: Lab) -> None:
    assert lab.ask(HELLO, ASK) == {"Answered": {"body": {"Greeting": f"Hello, world, from {RECEIVER}"}}}
    peers = lab.nectar("peers", "--node", SENDER, "--json").json["peers"]
    peer = next(row for row in peers if row["name"] == RECEIVER)
    assert (peer["state"], peer["router"]) == ("up", None)
    assert 0 < peer["round_trip_seconds"] < 5
    assert peer["cipher"] in ("AES-GCM", "ChaCha20-Poly1305")


def test_diagnose_finds_the_other_node_and_pings_it_and_knows_a_name_that_nobody_has(lab: Lab) -> None:
    ended = lab.nectar("net", "diagnose", RECEIVER, "--node", SENDER)
    lines = ended.out.splitlines()
    assert ended.code == 0, ended
    assert lines[0].startswith("record     ")
    assert (lines[-2].startswith("ping       "), lines[-1]) == (True, f"{RECEIVER} can be reached.")
    unknown = lab.nectar("net", "diagnose", "nobody.nec", "--node", SENDER)
    assert (unknown.code, unknown.out) == (3, "record     the registrar knows no node of that name\n")
