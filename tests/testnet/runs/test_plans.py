"""What people type and what journals hold becomes a plan, or one sentence that says what is wrong, and where."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nectar_node.base.decoding import convert_untrusted
from nectar_node.base.errors import BadInput
from testnet.journal.journal import Header
from testnet.model.fields import nodes_of
from testnet.model.lab import PACKAGES
from testnet.runs.plans import as_read, expand, find_scenario, plan_of, ready_scenario, with_faults
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import MAX_NODES, Plan
from tests.testnet.sim.own import FAILS, HERE

TRANSFER = SCENARIOS["file_transfer"]


def header(**changes: Any) -> Header:
    return convert_untrusted({**expand(TRANSFER, 1).value(), **changes}, Header)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_plan_comes_out_of_a_journal_as_it_went_in(name: str) -> None:
    for seed in range(20):
        plan = expand(SCENARIOS[name], seed)
        value = json.loads(json.dumps(plan.value()))
        scenario, read = plan_of(convert_untrusted(value, Header), "x")
        assert (scenario, read) == (SCENARIOS[name], plan), seed
        assert read.value() == value, seed


def test_scenarios_are_found_by_name_or_in_a_file_and_others_are_suggested() -> None:
    with pytest.raises(BadInput, match="no scenario 'file_transfre'; did you mean file_transfer\\?") as error:
        find_scenario("file_transfre")
    assert all(name in str(error.value) for name in SCENARIOS)
    with pytest.raises(BadInput, match=r"There is no scenario 'qqq'\. There are "):
        find_scenario("qqq")
    found = find_scenario(f"{HERE}:FAILS")
    assert (found.name, found.about) == (f"{HERE}:FAILS", FAILS.about)
    with pytest.raises(
        BadInput, match=r"own\.py has no scenario 'NONE'; it has FAILS, STUCK, STILL, BREAKS, DIES, DIFFERS\."
    ):
        find_scenario(f"{HERE}:NONE")
    with pytest.raises(BadInput, match=r"none\.py cannot be read: No such file"):
        find_scenario("none.py:FAILS")
    with pytest.raises(BadInput) as error:
        find_scenario(f"{HERE}")
    assert str(error.value).startswith(f"Which scenario of {HERE}? Say {HERE}:FAILS or {HERE}:STUCK or ")
    with pytest.raises(BadInput, match=r"none\.py cannot be read: No such file or directory\."):
        find_scenario("none.py")


OWN = """
from testnet.scenarios.scenario import Scenario, everywhere
MINE = Scenario("mine", "x", ("a.nec", "b.nec"), everywhere("poll", "hello"), lambda *_: {}, lambda *_: None)
"""


def test_a_scenario_of_ones_own_finds_its_packages_beside_its_file_from_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path.resolve() / "here"
    (own / "poll").mkdir(parents=True)
    (own / "poll" / "manifest.json").write_text("[]")
    (own / "mine.py").write_text(OWN)
    monkeypatch.chdir(own)
    found = find_scenario("mine.py:MINE")
    assert found.name == f"{own / 'mine.py'}:MINE"
    monkeypatch.chdir(tmp_path)
    for scenario in (found, find_scenario(found.name)):
        nodes = scenario.topology(scenario.nodes)
        assert [node.folders() for node in nodes] == [(own / "poll", PACKAGES / "hello")] * 2


def test_a_package_of_ones_own_that_is_not_compiled_is_named_before_anything_runs(tmp_path: Path) -> None:
    poll = tmp_path / "poll"
    poll.mkdir()
    (poll / "manifest.json").write_text(
        '[{"process_name": "poll", "process_wasm_path": "/poll.wasm", "on_exit": "None", "request_networking": false,'
        ' "request_capabilities": [], "grant_capabilities": [], "public": true}]'
    )
    (tmp_path / "mine.py").write_text(OWN)
    with pytest.raises(BadInput) as error:
        ready_scenario(f"{tmp_path / 'mine.py'}:MINE")
    assert str(error.value) == (
        f"{poll / 'poll.wasm'}, the code of poll:poll:local, is not there: `nectar build {poll}` compiles it."
    )
    (poll / "poll.wasm").write_bytes(b"")
    assert ready_scenario(f"{tmp_path / 'mine.py'}:MINE").about == "x"
    (tmp_path / "mine.py").write_text(OWN.replace('"poll", "hello"', '"pol", "hello"'))
    with pytest.raises(BadInput, match="There is no package 'pol' in "):
        ready_scenario(f"{tmp_path / 'mine.py'}:MINE")


@pytest.mark.parametrize("nodes", [-1, 0, 1, MAX_NODES + 1])
def test_too_few_or_too_many_nodes_are_refused(nodes: int) -> None:
    with pytest.raises(BadInput, match=f"file_transfer runs with 2 to {MAX_NODES} nodes, and not with {nodes}"):
        expand(TRANSFER, 0, nodes)


def _constant(file: str, name: str) -> int:
    text = (PACKAGES / file).read_text()
    return int(re.findall(rf"const {name} = (\d+);", text)[0])


@pytest.mark.parametrize(
    ("scenario", "most"),
    [
        ("chat", _constant("chat/chat.zig", "max_members")),
        ("workers", 1 + _constant("pool/board.zig", "max_workers")),
        *((each, _constant("witness/protocol.zig", "max_targets")) for each in ("impostor", "restarts")),
    ],
)
def test_a_scenario_is_refused_more_nodes_than_its_packages_take(scenario: str, most: int) -> None:
    expand(SCENARIOS[scenario], 0, most)
    with pytest.raises(BadInput, match=f"to {most} nodes, and not with {most + 1}"):
        expand(SCENARIOS[scenario], 0, most + 1)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ('kind = "partitoin"\nat = 1.0', "fault 2: There is no fault 'partitoin'; did you mean partition?"),
        (
            'kind = "crash"\nnode = "x.nec"\nat = 1.0',
            "fault 2 (crash): there is no node x.nec; there are send.nec, recv.",
        ),
        ('kind = "partition"\nat = -1.0', "fault 2: at = -1.0 is in the past"),
        ('kind = "partition"\nat = 20.0', "fault 2 (partition): it begins at 20 s, and faults last until 20 s."),
        ('kind = "partition"\nat = 1\nuntil = 21', "fault 2 (partition): it ends at 21 s, and faults last until 20 s;"),
        ('kind = "partition"\nat = 2\nuntil = 1', "fault 2 (partition): it ends at 1 s, before it begins at 2 s."),
        ('kind = "partition"\nat = "now"', "fault 2: at = 'now' is not a time"),
        ('kind = "partition"', "fault 2 (partition): `at` is missing"),
        (f'kind = "partition"\nat = 0x{"f" * 5000}', "fault 2: at = a number of too many digits is not a time"),
        (f'kind = "partition"\nat = {"[" * 300}{"]" * 300}', f"fault 2: at = {'[' * 60}… is not a time"),
    ],
)
def test_a_schedule_says_which_entry_is_wrong_and_why(tmp_path: Path, entry: str, sentence: str) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(f'[[fault]]\nkind = "partition"\nat = 3\n\n[[fault]]\n{entry}\n')
    with pytest.raises(BadInput) as error:
        with_faults(TRANSFER, expand(TRANSFER, 0), file)
    assert str(error.value).startswith(f"{file}, {sentence}")


@pytest.mark.parametrize(
    "entry", ['kind = "registrar_down"', 'kind = "stall"\nbetween = ["send.nec", "registrar.nec"]']
)
def test_a_schedule_can_be_about_the_registrar_which_is_in_every_network(tmp_path: Path, entry: str) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(f"[[fault]]\n{entry}\nat = 3\n")
    plan = with_faults(TRANSFER, expand(TRANSFER, 0), file)
    assert all("registrar.nec" in nodes_of(step.fault) for step in plan.schedule)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"fault = " + b"[" * 100_000, "it is nested too deeply"),
        (b"\xff\xfe", "it is not text in UTF-8"),
        (b"fault = " + b"9" * 5000, "a number in it has too many digits"),
        (b"fault = [", "Invalid value (at end of document)"),
    ],
)
def test_a_file_that_is_no_toml_says_why(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "faults.toml"
    file.write_bytes(content)
    with pytest.raises(BadInput) as error:
        with_faults(TRANSFER, expand(TRANSFER, 0), file)
    assert str(error.value) == f"{file} is not TOML: {why}."


def test_a_schedule_takes_the_place_of_the_seeds_own_also_behind_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_bytes(b'\xef\xbb\xbf[[fault]]\nkind = "partition"\nat = 3\n')
    assert len(with_faults(TRANSFER, expand(TRANSFER, 0), file).schedule) == 1
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nkind = "crash"\nnode = "recv.nec"\nat = 3\nuntil = 4.5\n')
    plan = with_faults(TRANSFER, expand(TRANSFER, 0), file)
    assert [step.words() for step in plan.schedule] == ["t=3 s: kill recv.nec until t=4.5 s"]
    assert plan.options == expand(TRANSFER, 0).options


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scenario": "gone"}, "There is no scenario 'gone'"),
        ({"nodes": []}, "names 0 nodes"),
        ({"seed": -1}, "has the seed -1; a seed is a whole number from 0 to 9223372036854775807"),
        ({"seed": 10**400}, "has the seed 1000000000"),
        ({"nodes": ["a.nec", "a.nec"]}, "names a node twice"),
        ({"nodes": ["a.nec", "/etc"]}, "'/etc' is not a node id"),
        ({"schedule": [{"kind": "rain", "at": 1, "until": 2}]}, "There is no fault 'rain'"),
        ({"schedule": [{"kind": "crash", "at": 1, "until": 2, "host": "x"}]}, "crash has no parameter 'host'"),
    ],
)
def test_a_journal_that_can_no_longer_be_run_says_why(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as error:
        plan_of(header(**changes), "x.journal")
    assert str(error.value).startswith("x.journal can no longer be run: ")
    assert sentence in str(error.value)


def test_a_plan_is_run_as_it_would_be_read_from_its_journal() -> None:
    plan = Plan("file_transfer", 1, ("a.nec",), {"pairs": [(1, 2)]})
    assert as_read(plan).options == {"pairs": [[1, 2]]}
