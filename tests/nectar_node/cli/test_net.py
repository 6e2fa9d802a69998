"""What `nectar net diagnose` and `nectar net hi` promise: a line for each step, what to do, and an exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernel.wasm.engine import Engine
from nectar_node.launcher.local_network import LocalNetwork
from net.names.directory import NEVER, Endpoint, NameRecord, StaticDirectory
from tests.commands import Ended, nectar
from tests.nectar_node.cli.real_node import NODE, RealNode, real_node
from tests.nectar_node.cli.served_node import make_network, serve_node, served

RECORD = {"step": "record", "from": "here", "sequence": 3, "endpoints": ["h:9"], "routers": []}
RECORD |= {"fingerprint": "0123 4567"}


DIALING = {"step": "dialing", "host": "h", "port": 9, "router": None}
DIALED = {"step": "dialed", "host": "h", "port": 9, "router": None}
PROVEN = {"step": "proven", "version": 1, "fingerprint": "0123 4567", "host": "h", "dialed": True}
PINGING = {"step": "pinging", "host": "h"}
PONG = {"step": "pong", "seconds": 0.0012}


def failed(stage: str, reason: str, text: str, router: str | None = None) -> dict[str, object]:
    where = {"host": "h", "port": 9, "router": router}
    return {"step": "failed", "stage": stage, **where, "reason": reason, "text": text}


def diagnose(
    network: Path, steps: list[dict[str, Any]], outcome: str, reason: str | None = None, *options: str
) -> Ended:
    answer = [*({"event": each} for each in steps), {"ok": {"outcome": outcome, "reason": reason}}]
    ended, node = served(network, answer, "net", "diagnose", "b.nec", *options)
    assert node.requests == [{"command": "diagnose", "name": "b.nec"}]
    return ended


def test_each_step_is_one_line_and_a_session_that_is_there_is_said_to_be_there(tmp_path: Path) -> None:
    ended = diagnose(tmp_path, [RECORD, DIALING, DIALED, PROVEN, PINGING, PONG], "reached")
    assert (ended.code, ended.out.splitlines()) == (
        0,
        [
            "record     known here, number 3: at h:9, fingerprint 0123 4567",
            "dial       h:9: connected",
            "handshake  protocol 1, b.nec has proven its key",
            "ping       1.2 ms",
            "b.nec can be reached.",
        ],
    )
    again = diagnose(tmp_path, [RECORD, PINGING, PONG], "reached")
    shown = ["session    there is one already, with h", "ping       1.2 ms"]
    assert (again.code, again.out.splitlines()[1:3]) == (0, shown)


DIAL, SHAKE = [RECORD, DIALING], [RECORD, DIALING, DIALED]
NOWHERE = {**RECORD, "endpoints": []}
BEHIND = [{**NOWHERE, "routers": ["r.nec"]}, {**DIALING, "router": "r.nec"}]
CONNECTED = "dial       h:9: connected"


@pytest.mark.parametrize(
    ("steps", "reason", "shown", "advice"),
    [
        ([{"step": "no record", "reason": "no such name"}], "no such name",
            "record     the registrar knows no node of that name", "Check the spelling"),
        ([{"step": "no record", "reason": "no registrar"}], "no registrar",
            "record     the registrar cannot be asked", "Start the registrar"),
        ([NOWHERE], "unreachable", "…: nowhere, fingerprint 0123 4567", "Its record names neither"),
        ([*DIAL, failed("dial", "refused", "refused")], "refused",
            "dial       h:9: refused", "Nobody listens at h:9: start b.nec"),
        ([*DIAL, failed("dial", "unreachable", "no answer in time")], "unreachable",
            "dial       h:9: no answer in time", "Nothing comes back from h:9"),
        ([*SHAKE, failed("handshake", "bad key", "the peer does not hold the key of b.nec")], "bad key",
            f"{CONNECTED}\nhandshake  the peer does not hold the key of b.nec",
            "What answers at h:9 is not the b.nec of its record"),
        ([*SHAKE, failed("handshake", "other version", "it speaks version 0")], "other version",
            f"{CONNECTED}\nhandshake  it speaks version 0", "Let a.nec and b.nec run the same version"),
        ([*BEHIND, failed("dial", "refused", "refused", "r.nec")], "refused",
            "…behind r.nec, fingerprint 0123 4567\ndial       h:9, the router r.nec: refused",
            "Nobody listens at h:9: start r.nec"),
        ([*SHAKE, failed("router", "unreachable", "the router says: no circuit", "r.nec")], "unreachable",
            "router     carries it no further: the router says: no circuit",
            "r.nec is there, but keeps no place for b.nec"),
        ([*SHAKE, failed("handshake", "unreachable", "no answer in time")], "unreachable",
            f"{CONNECTED}\nhandshake  no answer in time", "Something takes connections at h:9"),
        ([*SHAKE, PROVEN, failed("admission", "not believed", "the peer says: unknown name")], "not believed",
            "handshake  …\nhandshake  not let in: the peer says: unknown name", "b.nec does not know the key of a.nec"),
        ([RECORD, PINGING, failed("session", "unreachable", "the connection broke")], "connection lost",
            "ping       \nsession    the connection broke", "See what b.nec says"),
    ],
)  # fmt: skip
def test_a_failure_says_what_to_do(
    tmp_path: Path, steps: list[dict[str, Any]], reason: str, shown: str, advice: str
) -> None:
    code, out, err = diagnose(tmp_path, steps, "offline", reason)
    expected = shown.split("\n")
    for line, wanted in zip(out.splitlines()[-len(expected) :], expected, strict=True):
        before, _, after = wanted.partition("…")
        assert (line.startswith(before), line.endswith(after)) == (True, True), line
    sentence, what_to_do = err.splitlines()
    assert (code, sentence) == (3, f"Offline: b.nec cannot be reached ({reason}).")
    assert what_to_do.startswith(advice)
    assert what_to_do.endswith((".", "?"))


def test_attempts_that_go_as_the_first_one_did_are_counted_and_not_shown(tmp_path: Path) -> None:
    refused, broke = failed("dial", "refused", "refused"), failed("handshake", "unreachable", "the connection broke")
    elsewhere = {**DIALING, "port": 10}
    steps: list[dict[str, Any]] = [
        *(RECORD, DIALING, refused, elsewhere, {**refused, "port": 10}),
        *(DIALING, refused, elsewhere, {**refused, "port": 10}, DIALING, refused),
        *(DIALING, DIALED, broke, DIALING, DIALED, broke),
    ]
    assert diagnose(tmp_path, steps, "offline", "refused").out.splitlines()[1:] == [
        "dial       h:9: refused",
        "dial       h:10: refused",
        "again      3 more attempts, with the same outcome",
        "dial       h:9: connected",
        "handshake  the connection broke",
        "again      1 more attempt, with the same outcome",
    ]
    further: list[dict[str, Any]] = [RECORD, DIALING, refused, DIALING, DIALED, PROVEN, PINGING, PONG]
    shown = ["dial       h:9: refused", CONNECTED, "handshake  protocol 1, b.nec has proven its key"]
    assert diagnose(tmp_path, further, "reached").out.splitlines()[1:4] == shown


@pytest.mark.parametrize(
    ("steps", "reason", "advice"),
    [
        ([DIALING, failed("dial", "refused", "refused")], "refused", "`nectar boot b.nec --detach --directory FILE"),
        ([], "no such name", "The directory that a.nec was booted with does not name it"),
    ],
)
def test_in_a_network_without_a_registrar_the_advice_is_another_one(
    tmp_path: Path, steps: list[dict[str, Any]], reason: str, advice: str
) -> None:
    told = [*({"event": each} for each in steps), {"ok": {"outcome": "offline", "reason": reason}}]
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in told)
    with serve_node(tmp_path, NODE, lambda _: lines):
        ended = nectar("net", "diagnose", "b.nec", "--node", NODE, folder=tmp_path)
    assert (ended.code, advice in ended.err) == (3, True)


def test_a_ping_without_an_answer_is_a_timeout(tmp_path: Path) -> None:
    ended = diagnose(tmp_path, [RECORD, PINGING], "timeout")
    assert (ended.code, ended.err.split("\n")[0]) == (4, "Timeout: b.nec did not answer a ping in time.")


def test_json_has_all_steps_and_the_advice(tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = [*DIAL, failed("dial", "refused", "refused")]
    ended = diagnose(tmp_path, steps, "offline", "refused", "--json")
    assert (ended.code, ended.json["steps"], ended.json["outcome"], ended.json["reason"]) == (
        3,
        steps,
        "offline",
        "refused",
    )
    assert ended.json["advice"].startswith("Nobody listens at h:9")


def test_what_a_peer_has_written_cannot_take_over_the_terminal(tmp_path: Path) -> None:
    steps = [failed("dial", "unreachable", "x\x1b[2J\ny")]
    assert "\x1b" not in diagnose(tmp_path, steps, "offline", "unreachable").out


@pytest.mark.parametrize("command", ["diagnose", "hi"])
def test_a_name_that_is_none_is_one_line_and_exit_code_2(tmp_path: Path, command: str) -> None:
    make_network(tmp_path)
    ended = nectar("net", command, "no name", "--node", NODE, folder=tmp_path)
    assert (ended.code, ended.err.startswith("'no name' is not a node name")) == (2, True)


# --- on a real node ---------------------------------------------------------------------------------------------------


def test_a_name_that_nobody_has_is_offline_and_ones_own_is_bad_usage(node: RealNode) -> None:
    ended = node.nectar("net", "diagnose", "no.nec")
    said = "Offline: no.nec cannot be reached (no such name).\nCheck the spelling"
    assert (ended.code, ended.err[: len(said)]) == (3, said)
    assert node.fails("net", "diagnose", NODE, code=2) == f"{NODE} is this very node: name another one.\n"


def test_a_diagnosis_ends_when_its_client_goes_away(node: RealNode, monkeypatch: pytest.MonkeyPatch) -> None:
    record = NameRecord("b.nec", bytes(32), (Endpoint("h", 9),), (), 1, 0, NEVER)
    monkeypatch.setattr(StaticDirectory, "find", lambda _, name: record)  # nobody carries out its dial
    network = LocalNetwork(node.network)
    probes = node.core.network._sessions.probes
    with network.connect(NODE) as other:
        with network.connect(NODE) as client:
            client.send("diagnose", name="b.nec")
            assert [client.follow(10), client.follow(10)] != [None, None]
            assert probes.watched("b.nec")
        for _ in range(1000):
            if not probes.watched("b.nec"):
                break
            other.request("peers")
    assert not probes.watched("b.nec")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Any:
    with real_node(tmp_path_factory.mktemp("terminal") / "net", engine, "terminal") as node:
        yield node


def test_hi_runs_the_script_of_that_name(terminal: RealNode) -> None:
    ended = terminal.nectar("net", "hi", "no.nec", "how", "are", "you?")
    told = ended.err.splitlines()
    assert (ended.code, told[0]) == (3, "no.nec is offline.")
    assert told[1].startswith(f"Why: nectar net diagnose no.nec --node {NODE}")


def test_hi_without_a_text_says_hi(tmp_path: Path) -> None:
    answer = {"ok": {"outcome": "response", "body": "ack from b.nec", "blob": None, "failed": False}}
    ended, node = served(tmp_path, [answer], "net", "hi", "b.nec")
    assert (ended, node.requests) == (
        (0, "ack from b.nec\n", ""),
        [{"command": "run", "line": "hi b.nec hi", "timeout": 10}],
    )


def test_ctrl_c_ends_a_diagnosis_with_a_whole_line(tmp_path: Path) -> None:
    make_network(tmp_path)
    lines = b"".join(json.dumps({"event": each}).encode() + b"\n" for each in (RECORD, DIALING))
    command = [sys.executable, "-P", "-m", "nectar_node", "net", "diagnose", "b.nec", "--node", NODE]
    with serve_node(tmp_path, NODE, lambda _: lines):
        running = subprocess.Popen(
            [*command, "--dir", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path.cwd()
        )
        assert running.stdout is not None
        seen = b""
        while b"dial" not in seen:
            seen += running.stdout.read1()  # type: ignore[attr-defined]
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert ((seen + out).splitlines(keepends=True)[-1], running.returncode, err) == (b"dial       h:9: \n", 130, b"")
