"""The scenarios' instrument counts what happens, is silent when all is well, and speaks up when it is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nectar_node.toolchains.zig import compile_guest
from packages.build import PACKAGES, ROOT
from testnet.faults.black_hole import BlackHole
from testnet.model.where import Where
from testnet.sim.programs import Programs
from testnet.sim.simulation import SimNode
from tests.packages.lab import Lab, outcome

WITNESS = "our@witness:witness:sys"
ONE, TWO, THREE, FOUR = "one.nec", "two.nec", "three.nec", "four.nec"
ERROR = {"Err": "only this node's user may ask for that"}

LIAR = """
const nectar = @import("nectar");
const Text = []const u8;
const Handled = struct { run: Text, author: Text, number: u32, trail: []const Text = &.{}, by: Text = "" };

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) answer(our, request.body),
        .response, .send_error => {},
    };
}

fn answer(our: nectar.Address, body: []const u8) void {
    var handled = (nectar.json.parse(union(enum) { Note: Handled }, body) catch @panic("no Note")).Note;
    var blob: ?nectar.Blob = null;
    handled.by = our.node;
    switch (handled.number) {
        0 => {},
        1 => handled.number = 0,
        2 => handled.by = "three.nec",
        3 => handled.trail = &.{"three.nec"},
        4 => return nectar.respond(.{ .body = "{}" }),
        else => blob = .{ .bytes = "x" },
    }
    const said = nectar.json.stringify(union(enum) { Noted: Handled }{ .Noted = handled });
    nectar.respond(.{ .body = said, .blob = blob });
}
"""


def ask(node: SimNode, body: object) -> Any:
    return outcome(node.ask(WITNESS, json.dumps(body).encode(), 60))


def report(node: SimNode) -> Any:
    return ask(node, "Report")["Report"]


def begin(node: SimNode, targets: list[str], **others: object) -> None:
    run = {"run": "r", "targets": targets, "count": 1, "gap_ms": 0, "timeout": 10} | others
    assert ask(node, {"Begin": run}) == "Begun"


def asked(target: str, sent: int, **counts: int) -> dict[str, object]:
    nothing = {"answered": 0, "returned": 0, "offline": 0, "timeout": 0}
    return {"run": "r", "target": target, "sent": sent} | nothing | counts


def noted(author: str, trail: list[str], last: int, **counts: int) -> dict[str, object]:
    names: dict[str, object] = {"run": "r", "author": author, "from": (trail or [author])[-1], "trail": trail}
    nothing: dict[str, object] = {"noted": 0, "passed": 0, "returned": 0, "lost": 0, "doubled": 0, "disordered": 0}
    return names | nothing | {"last": last} | counts


def silent(*nodes: SimNode) -> bool:
    return all(report(node)["wrong"] == [] for node in nodes)


def test_every_request_is_answered_once_and_every_receiver_sees_all_of_them_in_order(engine: Programs) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO, THREE))
    begin(lab.node, [TWO, THREE, ONE], count=1000)
    lab.simulation.rest(5)
    rows = report(lab.node)["asked"]
    assert rows == [asked(target, 1000, answered=1000) for target in (TWO, THREE, ONE)]
    for node in lab.nodes:
        assert report(node)["noted"] == [noted(ONE, [], 999, noted=1000)]
    assert silent(*lab.nodes)


def test_nodes_that_all_ask_each_other_at_once_do_not_block_each_other(engine: Programs) -> None:
    names = (ONE, TWO, THREE)
    lab = Lab(engine, ("witness",), names)
    for node in lab.nodes:
        begin(node, list(names), count=500)
    lab.simulation.rest(30)
    for node in lab.nodes:
        assert report(node)["asked"] == [asked(target, 500, answered=500) for target in names]
    assert silent(*lab.nodes)


def test_a_gap_paces_the_requests_whatever_their_target(engine: Programs) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO))
    begin(lab.node, [ONE, TWO], count=5, gap_ms=1000)
    lab.simulation.rest(6.5)
    assert [row["sent"] for row in report(lab.node)["asked"]] == [4, 3]
    lab.simulation.rest(10)
    assert report(lab.node)["asked"] == [asked(target, 5, answered=5) for target in (ONE, TWO)]


def test_g10_g11_a_note_is_passed_on_along_its_path_and_only_the_end_answers_and_loads_the_blob(
    engine: Programs,
) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO, THREE, FOUR))
    begin(lab.node, [TWO], count=10, path=[THREE, FOUR], blob=100_000)
    lab.simulation.rest(5)
    assert report(lab.node)["asked"] == [asked(TWO, 10, answered=10)]
    two, three, four = (report(node)["noted"] for node in lab.nodes[1:])
    assert two == [noted(ONE, [], 9, passed=10)]
    assert three == [noted(ONE, [TWO], 9, passed=10)]
    assert four == [noted(ONE, [TWO, THREE], 9, noted=10)]
    loaded = [node.core.machine.blob_bytes_loaded() for node in lab.nodes]
    assert loaded == [0, 0, 0, 1_000_000]
    assert silent(*lab.nodes)


def test_g13_a_target_that_cannot_be_reached_is_offline_and_brings_back_body_and_blob(engine: Programs) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO))
    begin(lab.node, ["nobody.nec", TWO], count=20, blob=1000)
    lab.simulation.rest(20)
    assert report(lab.node)["asked"] == [asked("nobody.nec", 20, offline=20), asked(TWO, 20, answered=20)]
    assert silent(*lab.nodes)


def test_g5_a_target_that_stays_silent_is_a_timeout(engine: Programs) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO))
    lab.nodes[1].pause()
    begin(lab.node, [TWO], count=20, timeout=3)
    lab.simulation.rest(2.9)
    assert report(lab.node)["asked"] == [asked(TWO, 20)]
    lab.simulation.rest(0.2)
    assert report(lab.node)["asked"] == [asked(TWO, 20, timeout=20)]
    lab.nodes[1].resume()
    lab.simulation.rest(20)
    assert report(lab.node)["asked"] == [asked(TWO, 20, timeout=20)]
    assert silent(*lab.nodes)


def test_g14_a_note_that_cannot_be_passed_on_is_returned_to_its_author(engine: Programs) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO, THREE))
    begin(lab.node, [TWO], count=3, path=[THREE, "nobody.nec"], blob=10)
    lab.simulation.rest(9)
    assert report(lab.node)["asked"] == [asked(TWO, 3, returned=3)]
    assert report(lab.nodes[2])["noted"] == [noted(ONE, [TWO], 2, passed=3, returned=3)]
    assert silent(*lab.nodes)


def test_g15_an_answer_that_comes_back_is_counted_where_it_was_given(engine: Programs) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO))
    begin(lab.node, [TWO], count=3)
    lab.simulation.rest(1)
    with lab.simulation.apply(BlackHole(Where(TWO, ONE, both=False))):
        begin(lab.node, [TWO], run="another", count=3, timeout=60)
        lab.simulation.rest(40)
    assert report(lab.node)["asked"][1] == asked(TWO, 3, offline=3) | {"run": "another"}
    first, second = report(lab.nodes[1])["noted"]
    assert first == noted(ONE, [], 2, noted=3)
    assert second == noted(ONE, [], 2, noted=3, lost=3) | {"run": "another"}
    assert silent(*lab.nodes)


def test_after_a_forget_nothing_of_before_counts(engine: Programs) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO))
    begin(lab.node, [TWO, "nobody.nec"], count=100, gap_ms=10)
    lab.simulation.rest(0.5)
    assert ask(lab.node, "Forget") == "Forgotten"
    begin(lab.node, [TWO], run="another", count=1)
    lab.simulation.rest(20)
    (row,) = report(lab.node)["asked"]
    assert row == asked(TWO, 1, answered=1) | {"run": "another"}
    assert silent(lab.node)


# --- what it finds ----------------------------------------------------------------------------------------------------


def tell(node: SimNode, number: int, **others: object) -> Any:
    """A Note that no witness sent, from this node's user."""
    return ask(node, {"Note": {"run": "r", "author": node.name, "number": number} | others})


def test_it_finds_numbers_that_come_twice_or_too_late(engine: Programs) -> None:
    lab = Lab(engine, ("witness",))
    for number in (0, 5, 5, 3, 6, 3):
        tell(lab.node, number)
    seen = report(lab.node)
    assert seen["noted"] == [noted(ONE, [], 3, noted=6, doubled=2, disordered=1)]
    assert seen["wrong"] == [
        "number 5 of one.nec's run r came twice",
        "number 3 of one.nec's run r came after 5",
        "number 3 of one.nec's run r came twice",
    ]


@pytest.mark.parametrize(
    ("others", "sender"),
    [({"author": TWO}, TWO), ({"trail": [THREE]}, THREE), ({"author": TWO, "trail": [FOUR]}, FOUR)],
)
def test_g3_it_finds_a_note_that_comes_from_another_node_than_it_must(
    engine: Programs, others: dict[str, object], sender: str
) -> None:
    lab = Lab(engine, ("witness",))
    tell(lab.node, 0, **others)
    author = others.get("author", ONE)
    assert report(lab.node)["wrong"] == [f"number 0 of {author}'s run r must come from {sender}, and came from {ONE}"]


def test_it_finds_a_blob_that_is_lost_too_short_changed_or_too_much(engine: Programs) -> None:
    lab = Lab(engine, ("witness",))
    for number, (size, blob) in enumerate([(8, None), (8, b"1234567"), (8, b"12345678"), (0, b"1")]):
        note = {"Note": {"run": "r", "author": ONE, "number": number, "blob": size}}
        lab.node.ask(WITNESS, json.dumps(note).encode(), 5, blob)
    assert report(lab.node)["wrong"] == [
        "number 0 of one.nec's run r has lost its blob",
        "number 1 of one.nec's run r has a blob of 7 instead of 8 bytes",
        "number 2 of one.nec's run r has a blob whose byte 0 is wrong",
        "number 3 of one.nec's run r has a blob that nobody sent",
    ]


def test_it_finds_answers_for_another_number_by_another_node_or_that_came_another_way(
    engine: Programs, tmp_path: Path
) -> None:
    pytest.importorskip("ziglang")
    folder = tmp_path / "witness"
    folder.mkdir()
    (folder / "liar.zig").write_text(LIAR)
    compile_guest(folder / "liar.zig", folder / "witness.wasm", ROOT / ".zig-cache")
    shutil.copy(PACKAGES / "witness" / "pkg" / "manifest.json", folder)
    (folder / "metadata.json").write_text(json.dumps({"package": "witness", "publisher": "sys"}))
    lab = Lab(engine, ("witness",))
    lab.simulation.add(TWO, (folder,))
    lab.simulation.settle()
    begin(lab.node, [TWO], count=6)
    lab.simulation.rest(5)
    seen = report(lab.node)
    assert seen["asked"] == [asked(TWO, 6, answered=5)]
    assert seen["wrong"] == [
        "the answer to number 1 to two.nec in run r is for number 0 of one.nec's run r",
        "the answer to number 2 to two.nec in run r came another way, from three.nec",
        "the answer to number 2 to two.nec in run r is three.nec's, and came from two.nec",
        "the answer to number 3 to two.nec in run r came another way, from two.nec",
        "the answer to number 4 to two.nec in run r is not an answer",
        "the answer to number 5 to two.nec in run r has a blob that nobody sent",
    ]


def test_what_it_remembers_has_a_bound_and_it_says_what_found_no_place(engine: Programs) -> None:
    lab = Lab(engine, ("witness",))
    for _ in range(103):
        tell(lab.node, 7)
    assert len(report(lab.node)["wrong"]) == 100
    assert report(lab.node)["wrong_left_out"] == 2
    ask(lab.node, "Forget")
    for number in range(514):
        tell(lab.node, 0, run=f"run {number}")
    seen = report(lab.node)
    assert (len(seen["noted"]), seen["notes_left_out"], seen["wrong"]) == (512, 2, [])


# --- whom it listens to -----------------------------------------------------------------------------------------------


def test_another_node_can_begin_nothing_and_read_nothing(engine: Programs) -> None:
    lab = Lab(engine, ("witness",), (ONE, TWO))
    for body in ("Report", "Forget", {"Begin": {"run": "r", "targets": [ONE], "count": 1, "timeout": 5}}):
        assert lab.ask("two.nec@witness:witness:sys", body) == ERROR


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"targets": []}, "1 to 200 targets"),
        ({"targets": [TWO, TWO]}, "each target once"),
        ({"count": 100_001}, "count is at most 100000"),
        ({"path": ["x.nec"] * 8}, "at most 7 nodes in the path"),
        ({"blob": (16 << 20) + 1}, "blob is at most 16777216"),
        ({"run": "x" * 65}, "the name of the run is too long"),
        ({"targets": ["x" * 254]}, "the name of a target is too long"),
    ],
)
def test_a_run_that_is_too_large_is_refused_with_the_reason(
    engine: Programs, change: dict[str, object], reason: str
) -> None:
    lab = Lab(engine, ("witness",))
    run = {"run": "r", "targets": [ONE], "count": 1, "timeout": 5} | change
    assert ask(lab.node, {"Begin": run}) == {"Err": reason}


def test_a_name_is_for_one_run(engine: Programs) -> None:
    lab = Lab(engine, ("witness",))
    begin(lab.node, [ONE])
    run = {"run": "r", "targets": [ONE], "count": 1, "timeout": 5}
    assert ask(lab.node, {"Begin": run}) == {"Err": "there is a run of that name"}


def test_what_is_no_request_is_told_what_one_is(engine: Programs) -> None:
    lab = Lab(engine, ("witness",))
    assert ask(lab.node, {"Begun": 1}) == {"Err": "expected Begin, Note, Report or Forget"}
