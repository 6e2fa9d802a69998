"""The SDK for JavaScript and TypeScript: what a process says and gets, and what its author reads when it is wrong."""

from __future__ import annotations

import json
import re
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kernel.wasm.engine import Engine
from nectar_node.base.errors import DoesNotCompile
from nectar_node.contract.config import module_cache
from nectar_node.toolchains import javascript
from testnet.testing.package_lab import PackageLab
from tests.waiting import until

ONE = "one.nec"
PROBE = "our@probe:probe:local"
SOURCE = Path(__file__).parent / "javascript" / "probe.ts"
MANIFEST = {
    "process_name": "probe",
    "process_wasm_path": "/probe.wasm",
    "on_exit": "Restart",
    "request_networking": True,
    "request_capabilities": [
        f"{name}:distro:sys" for name in ("vfs", "kv", "sqlite", "timer", "http-server", "http_client")
    ],
    "grant_capabilities": ["vfs:distro:sys", "http-server:distro:sys"],
    "public": True,
}
Probe = Callable[..., Any]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the probe."""
    folder = tmp_path_factory.mktemp("javascript") / "probe"
    javascript.build(SOURCE, folder / "probe.wasm")
    # A node compiles a process that it does not know while others wait for its start.
    Engine(module_cache(), replayable=False).load((folder / "probe.wasm").read_bytes())
    (folder / "manifest.json").write_text(json.dumps([MANIFEST, {**MANIFEST, "process_name": "other"}]))
    (folder / "metadata.json").write_text(json.dumps({"package": "probe", "publisher": "local"}))
    return folder


@pytest.fixture
def probe(lab: PackageLab, package: Path) -> Probe:
    """Ask the probe of a node: probe("Same", 1)."""
    lab.boot(ONE, packages=[package], http=True)
    return lambda name, payload=None, **how: lab.ask(ONE, PROBE, {name: payload}, **how).body


# --- the process


def test_values_arrive_as_they_were_sent(probe: Probe) -> None:
    values: list[Any] = [0.1, -0.5, 1e300, 5e-324, 2**53 + 1, -(2**63), 10**30, True, None, "ü€😀\u2028\0", {"": []}]
    assert probe("Same", values) == values
    assert probe("Bytes") == {"bytes": [0, 255]}
    assert probe("NotANumber") == {"Err": "NaN is not a JSON value"}


def test_an_error_that_a_process_expects_is_an_answer(probe: Probe) -> None:
    assert probe("Err", {"a": [1]}) == {"Err": {"a": [1]}}
    assert probe("AnsweredErr") == [True, {"Because": [1]}]
    assert probe("Unanswered") == {"Err": "nobody.nec@probe:probe:local is offline"}


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [("Throw", None, "this was to happen"), ("ThrowLater", "soon", "this was to happen later")],
)
def test_an_error_that_nobody_catches_is_logged_with_the_authors_line_and_ends_the_process(
    probe: Probe, lab: PackageLab, name: str, answer: str | None, said: str
) -> None:
    assert probe(name) == answer
    line = 1 + next(number for number, text in enumerate(SOURCE.read_text().split("\n")) if f'"{said}"' in text)
    until(lambda: any("exited with code 1" in each for each in lab.log(ONE)))
    log = "\n".join(lab.log(ONE))
    assert f"TypeError: {said}" in log
    assert f"probe.ts:{line})" in log
    until(lambda: probe("Same", "it starts again") == "it starts again")


def test_g9_each_answer_goes_to_its_request_when_handlers_wait_for_each_other(probe: Probe, lab: PackageLab) -> None:
    first = lab.begin(ONE, PROBE, {"First": None})
    lab.ask(ONE, PROBE, {"Same": 1})
    assert probe("Second") == "second"
    lab.wait(lambda: first.outcome is not None)
    assert first.outcome is not None
    assert first.outcome.body == "first"


def test_all_that_can_run_has_run_before_the_next_message_is_awaited(probe: Probe) -> None:
    assert probe("Steps", 1000) == {"done": 1000}


def test_g11_a_blob_is_there_until_the_next_message_and_then_for_who_has_it(probe: Probe) -> None:
    assert probe("BlobAtOnce", blob=bytes(100_000)) == [100_000, 100_000]
    assert "ask for it before the first await" in probe("BlobTooLate", blob=b"x")["Err"]


def test_timers_and_the_clock_go_by_the_nodes_time(probe: Probe) -> None:
    assert probe("Timers") == {"order": ["sooner", "later"], "waited": True}


def test_random_numbers_differ_between_two_lives_of_one_process(probe: Probe, lab: PackageLab) -> None:
    first = probe("Random")
    lab.restart(ONE)
    second = probe("Random")
    assert all(0 <= number < 1 for number in (*first[:2], *second[:2]))
    assert len({*first[:2], *second[:2]}) == 4
    assert first[2:] != second[2:]


def test_random_numbers_differ_between_two_processes_of_one_file(probe: Probe, lab: PackageLab) -> None:
    drawn = [probe("Random"), lab.ask(ONE, "our@other:probe:local", {"Random": None}).body]
    assert len({*drawn[0][:2], *drawn[1][:2]}) == 4
    assert drawn[0][2:] != drawn[1][2:]


def test_g13_a_node_that_is_not_there_is_offline(probe: Probe) -> None:
    assert probe("Gone") == [True, True, "Offline"]


def test_g25_a_child_without_a_file_is_an_error_of_its_class(probe: Probe) -> None:
    assert probe("NoFile") == [True, "no-file-at-path"]


def test_on_exit_and_capabilities_are_what_was_set(probe: Probe) -> None:
    assert probe("OnExit") == ["bye", "Restart"]
    assert f'{ONE}@vfs:distro:sys "messaging"' in probe("Capabilities")


def test_files(probe: Probe) -> None:
    found = probe("Files")
    drive = "/probe:local/data"
    entries = [[f"{drive[1:]}/a/b.txt", "File"]]
    more = {"text": "one two", "middle": "e t", "len": 7, "hash": 32, "there": True, "not": False}
    assert found == {"drive": drive, "entries": entries, **more}


def test_a_change_of_another_process_in_a_watched_folder_is_told(probe: Probe, lab: PackageLab) -> None:
    assert probe("Watch") == "Ok"
    lab.ask(ONE, "our@other:probe:local", {"Change": None})
    until(lambda: probe("Seen") == ["/probe:local/watched/a.txt"])
    assert probe("Unwatch") == "Ok"


def test_databases(probe: Probe) -> None:
    assert probe("Keys") == {"a": None, "b": [3]}
    rows = [{"n": 2, "x": None, "s": "b!"}, {"n": 9007199254740993, "x": 0.5, "s": "Zoë!"}]
    assert probe("Rows") == {"rows": rows, "refused": "Err"}


def test_a_page(probe: Probe, lab: PackageLab) -> None:
    assert probe("Same", 1) == 1
    port = urlsplit(lab.link(ONE)).port
    page = f"http://localhost:{port}/probe:probe:local/games"
    with urllib.request.urlopen(urllib.request.Request(f"{page}/7?q=x", data=b"abc", method="POST")) as answer:
        assert (answer.status, answer.read(), answer.headers["X-Probe"]) == (201, b"7 x 3", "POST")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"{page}/none")
    sent = page.replace("/games", "/sent")
    with urllib.request.urlopen(urllib.request.Request(sent, data=b"12345", method="POST")) as answer:
        assert answer.read() == b"5 12345"
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(urllib.request.Request(sent, data=b"123456", method="POST"))
    with pytest.raises(urllib.error.HTTPError, match="50"):
        urllib.request.urlopen(f"{page}/mistake")
    until(lambda: any("exited with code 1" in each for each in lab.log(ONE)))
    assert "TypeError: this page was to fail" in "\n".join(lab.log(ONE))


def test_a_server_that_may_not_be_asked_is_an_error(probe: Probe) -> None:
    assert list(probe("Fetch", "http://127.0.0.1:1/")) == ["Err"]


def test_what_is_written_to_the_console_is_in_the_nodes_log(probe: Probe, lab: PackageLab) -> None:
    assert probe("Log") == "Ok"
    log = "\n".join(lab.log(ONE))
    assert 'to all: {"a":"1n"} [1]' in log
    assert "to few" not in log


# --- its author


def compiles(folder: Path, **sources: str) -> None:
    """Write modules and compile the one that is called `main`."""
    for name, text in sources.items():
        (folder / f"{name}.ts").write_text(textwrap.dedent(text))
    javascript.build(folder / "main.ts", folder / "main.wasm")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nlet a = ;\n", "main.ts:2:9: Unexpected"),
        (
            'import { nothing } from "nectar";\nnothing();',
            'main.ts:1:10: No matching export in "[^"]*" for import "nothing".$',
        ),
        ('import "./missing.ts";', 'main.ts:1:8: Could not resolve "./missing.ts".$'),
        (
            'import page from "./page.html?raw";\nconsole.log(page);',
            r"main.ts:1:\d+: page.html cannot be read: ENOENT.$",
        ),
        ("\n\nthrow new TypeError('too early');", "main.ts:3: TypeError: too early.$"),
        ('import { ask } from "nectar";\n\nask("a:b:sys", 1);', "main.ts:3: Error: while a program is loaded"),
        ("\n\nexport const random = Math.random();", "while a program is loaded there is no .* randomness"),
    ],
)
def test_what_is_wrong_is_told_with_the_authors_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DoesNotCompile) as raised:
        compiles(tmp_path, main=text)
    assert str(raised.value).startswith(str(tmp_path))
    assert "\n" not in str(raised.value)
    assert re.search(told, str(raised.value))


def test_an_error_in_a_module_is_told_with_that_modules_line(tmp_path: Path) -> None:
    with pytest.raises(DoesNotCompile, match=r"other\.ts:2:1: "):
        compiles(tmp_path, main='import "./other.ts";', other="\n}\n")


def test_what_was_compiled_before_is_not_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = 'import { onRequest } from "nectar";\nonRequest(() => 1);'
    compiles(tmp_path, main=process)
    first = (tmp_path / "main.wasm").read_bytes()
    monkeypatch.setattr(javascript, "_compile", None)
    compiles(tmp_path, main=process)
    assert (tmp_path / "main.wasm").read_bytes() == first
    with pytest.raises(TypeError):
        compiles(tmp_path, main=process.replace("1", "2"))


def test_the_types_of_sdk_and_examples_hold() -> None:
    assert javascript.check_types(javascript.SDK / "tsconfig.json") == ""


def test_the_types_of_the_interface_are_generated_from_it(tmp_path: Path) -> None:
    javascript.write_types(tmp_path / "wit.d.ts")
    assert (tmp_path / "wit.d.ts").read_text() == (javascript.SDK / "wit.d.ts").read_text()
